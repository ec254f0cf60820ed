package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/config"
)

// doctorCommand checks the wiring.
type doctorCommand struct{ configFlag }

// finding is one line of the doctor's: what was looked at, what is wrong, and
// what to type.
type finding struct {
	level string // "ok", "warn", "fail"
	what  string
	mend  string
}

// Run prints what it finds; exit code 1 if anything fails.
func (c *doctorCommand) Run(s *session) error {
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	list := []finding{{level: "ok", what: "configuration " + c.Config}}
	devices, found := checkStore(s, cfg)
	list = append(list, found...)
	for i := range cfg.PBXs {
		list = append(list, checkPBX(s.ctx, &cfg.PBXs[i], devices)...)
	}
	failed := false
	for _, f := range list {
		failed = failed || f.level == "fail"
		fmt.Fprintf(s.out, "%-4s  %s\n", f.level, printable(f.what))
		for line := range strings.Lines(f.mend) {
			fmt.Fprintf(s.out, "        %s\n", printable(strings.TrimRight(line, "\n")))
		}
	}
	if failed {
		return exitCode(1)
	}
	return nil
}

func checkStore(s *session, cfg *config.Config) ([]bridge.Assignment, []finding) {
	db, err := openStore(s.ctx, s, cfg)
	if err != nil {
		return nil, []finding{{"fail", "store: " + err.Error(), storeAdvice(cfg)}}
	}
	defer db.Close()
	list := []finding{{level: "ok", what: fmt.Sprintf("store (%s) answers, its schema is up to date", db.Driver())}}
	users, err := db.ListUsers(s.ctx)
	if err == nil && len(users) == 0 {
		list = append(list, finding{"warn", "nobody may sign in yet", "ringlink user add --config FILE LOGIN"})
	}
	devices, err := db.Devices(s.ctx)
	if err != nil {
		return nil, append(list, finding{"fail", "store: " + err.Error(), storeAdvice(cfg)})
	}
	if len(devices) == 0 {
		list = append(list, finding{"warn", "no device belongs to an agent: nothing will pop", "ringlink agent map --config FILE LOGIN PBX PJSIP/101"})
	}
	return devices, list
}

func storeAdvice(cfg *config.Config) string {
	if cfg.Store.Driver == config.Postgres {
		return "psql \"$(cat FILE-OF-STORE.DSN)\" -c 'select 1'"
	}
	return "ls -l " + cfg.Store.Path
}

func checkPBX(ctx context.Context, p *config.PBX, devices []bridge.Assignment) []finding {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := "PBX " + p.Name + ": "
	rest, err := ari.NewREST(sourceOptions(p, nil, nil, nil))
	if err != nil {
		return []finding{{"fail", name + err.Error(), "mend pbxs[].ari in the configuration"}}
	}
	defer rest.Close()
	info, err := rest.Info(ctx)
	if err != nil {
		why := ari.Reason(err)
		return []finding{{"fail", name + p.ARI.URL.String() + ": " + why, ariAdvice(why, p)}}
	}
	list := []finding{{level: "ok", what: fmt.Sprintf("%sAsterisk %s answers at %s", name, info.Version, p.ARI.URL)}}
	return append(list, append(checkVars(ctx, rest, p, name), checkEndpoints(ctx, rest, p, name, devices)...)...)
}

// ariAdvice says what to type on the PBX.
func ariAdvice(why string, p *config.PBX) string {
	switch why {
	case ari.ReasonRefused:
		return "the HTTP server of Asterisk is off or elsewhere: ringlink asterisk-config prints http.conf\n" +
			"asterisk -rx 'http show status'"
	case ari.ReasonNotFound:
		return "enabled = yes in ari.conf, and the same prefix in http.conf and in pbxs[].ari.url\n" +
			"asterisk -rx 'module load res_ari.so' ; asterisk -rx 'ari show status'"
	case ari.ReasonPassword:
		return "asterisk -rx 'ari show users'   (is " + p.ARI.User + " there?)\n" +
			"asterisk -rx 'ari mkpasswd SECRET' and put the result into ari.conf, SECRET into the file that pbxs[].ari.password names"
	case ari.ReasonNoHost, ari.ReasonTimeout, ari.ReasonNetwork:
		return "curl -sv " + p.ARI.URL.String() + "/ari/asterisk/info"
	case ari.ReasonBooting:
		return "wait a moment: asterisk -rx 'core waitfullybooted'"
	}
	return "asterisk -rx 'http show status' ; asterisk -rx 'ari show status'"
}

// checkVars looks at a live channel: only there does ARI show the channelvars.
func checkVars(ctx context.Context, rest *ari.REST, p *config.PBX, name string) []finding {
	channels, err := rest.Channels(ctx)
	switch {
	case err != nil:
		return []finding{{"fail", name + "listing channels: " + ari.Reason(err), "asterisk -rx 'ari show users'"}}
	case len(channels) == 0:
		return []finding{{"warn", name + "no call right now, so the channelvars line cannot be seen", "ask again during a call"}}
	case !channels[0].HasVars:
		return []finding{{"warn", name + "ari.conf has no channelvars line: withheld numbers, the number first dialled and queue legs are told less surely",
			"channelvars = " + strings.Join(append(slices.Clone(p.CallNumberVariables), "CHANNEL(linkedid)", "CALLERID(num-pres)", "CALLERID(dnid)", "CALLERID(rdnis)"), ",") +
				"\nunder [general] in ari.conf, then: asterisk -rx 'module reload res_ari.so'"}}
	}
	return []finding{{level: "ok", what: name + "the channelvars line is there"}}
}

// checkEndpoints compares the PBX's endpoints with trunks and devices.
func checkEndpoints(ctx context.Context, rest *ari.REST, p *config.PBX, name string, devices []bridge.Assignment) []finding {
	endpoints, err := rest.Endpoints(ctx)
	if err != nil {
		return []finding{{"warn", name + "listing endpoints: " + ari.Reason(err), ""}}
	}
	slices.Sort(endpoints)
	var list []finding
	for _, t := range p.Trunks {
		if !slices.ContainsFunc(endpoints, t.Match) {
			list = append(list, finding{"warn", fmt.Sprintf("%strunks: no endpoint is called %s", name, t), "asterisk -rx 'pjsip show endpoints'"})
		}
	}
	mapped := map[string]bool{}
	for _, d := range devices {
		if d.Device.PBX != bridge.PBX(p.Name) {
			continue
		}
		mapped[d.Device.Endpoint] = true
		if !slices.Contains(endpoints, d.Device.Endpoint) {
			list = append(list, finding{"warn", fmt.Sprintf("%s%s is mapped to %s, but there is no such endpoint", name, d.Device.Endpoint, d.Agent),
				fmt.Sprintf("ringlink agent unmap --config FILE %s %s", p.Name, d.Device.Endpoint)})
		}
	}
	isTrunk := outside(p)
	for _, e := range endpoints {
		if !mapped[e] && !isTrunk(e, "") {
			list = append(list, finding{"warn", fmt.Sprintf("%s%s is nobody's device: calls answered there do not pop", name, e),
				fmt.Sprintf("ringlink agent map --config FILE LOGIN %s %s", p.Name, e)})
		}
	}
	if len(list) == 0 {
		list = append(list, finding{level: "ok", what: fmt.Sprintf("%s%d endpoints, each a trunk or an agent's device", name, len(endpoints))})
	}
	return list
}
