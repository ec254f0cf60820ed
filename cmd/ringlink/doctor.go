package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/config"
	"ringlink/store"
)

// doctorCommand checks the wiring.
type doctorCommand struct{ configFlag }

// level says how bad a finding is, as it is printed.
type level string

const (
	fine level = "ok"
	note level = "note" // nothing is wrong, or it cannot be seen now
	warn level = "warn" // some calls will not pop, or pop with less
	fail level = "fail" // nothing works until it is mended
)

// finding is one thing that was looked at.
type finding struct {
	level level
	part  string // "store", or a PBX's name
	what  string
	mend  []string // what to do; what begins with a blank is to be typed
}

// doctor is one round.
type doctor struct {
	config string // its file, as it was named
	cfg    *config.Config
	list   []finding
}

// Run prints what it finds; exit code 1 if anything fails.
func (c *doctorCommand) Run(s *session) error {
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	d := &doctor{config: c.Config, cfg: cfg}
	d.say(fine, "configuration", c.Config)
	devices, known := d.checkStore(s)
	for i := range cfg.PBXs {
		d.checkPBX(s.ctx, &cfg.PBXs[i], devices, known)
	}
	if failed, err := d.print(s.out); err != nil {
		return err
	} else if failed {
		return exitCode(1)
	}
	return nil
}

func (d *doctor) say(l level, part, what string, mend ...string) {
	d.list = append(d.list, finding{l, part, what, mend})
}

// print writes the findings in columns and tells whether any fails.
func (d *doctor) print(w io.Writer) (failed bool, err error) {
	width := 0
	count := map[level]int{}
	for _, f := range d.list {
		width = max(width, len(f.part))
		count[f.level]++
	}
	var b strings.Builder
	for _, f := range d.list {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", f.level, width, f.part, printable(f.what))
		for _, line := range f.mend {
			fmt.Fprintf(&b, "%*s%s\n", 4+2+width+2, "", printable(line))
		}
	}
	var sum []string
	if n := count[fail]; n > 0 {
		sum = append(sum, fmt.Sprintf("%d to mend", n))
	}
	if n := count[warn]; n > 0 {
		sum = append(sum, fmt.Sprintf("%d to look at", n))
	}
	if len(sum) > 0 {
		fmt.Fprintln(&b, strings.Join(sum, ", "))
	}
	_, err = io.WriteString(w, b.String())
	return count[fail] > 0, err
}

// ringlink is a command line of this program, to be typed.
func (d *doctor) ringlink(command string, args ...string) string {
	words := append([]string{"  ringlink", command, "--config", shellWord(d.config)}, args...)
	return strings.Join(words, " ")
}

// shellWord quotes a word for a POSIX shell where it has to be.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// files is the command that prints the files of a PBX.
func (d *doctor) files(p *config.PBX) string {
	if len(d.cfg.PBXs) == 1 {
		return d.ringlink("asterisk-config")
	}
	return d.ringlink("asterisk-config", "--pbx", p.Name)
}

const reload = "  asterisk -rx 'module reload'"

// checkStore returns who uses which device; known is false if the store could
// not be asked, or if nobody could use one yet.
func (d *doctor) checkStore(s *session) (devices []bridge.Assignment, known bool) {
	const part = "store"
	db, err := openStore(s.ctx, s, d.cfg)
	if err != nil {
		d.say(fail, part, err.Error(), d.storeAdvice(err)...)
		return nil, false
	}
	defer db.Close()
	users, err := db.ListUsers(s.ctx)
	if err == nil {
		devices, err = db.Devices(s.ctx)
	}
	if err != nil {
		d.say(fail, part, err.Error(), d.storeAdvice(err)...)
		return nil, false
	}
	d.say(fine, part, fmt.Sprintf("%s answers: %s, %s of agents", db.Driver(), counted(len(users), "user"), counted(len(devices), "device")))
	if len(users) == 0 {
		d.say(warn, part, "nobody may sign in yet", d.ringlink("user add", "LOGIN"))
	}
	return devices, len(users) > 0
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func (d *doctor) storeAdvice(err error) []string {
	switch {
	case errors.Is(err, store.ErrNewerSchema):
		return []string{"Use the ringlink that was here last; this one is older:", "  ringlink version"}
	case d.cfg.Store.Driver == config.Postgres:
		return []string{"With the address that store.dsn names:", "  psql 'ADDRESS' -c 'select 1'"}
	case d.cfg.Store.Path == config.MemoryPath:
		return nil
	}
	return []string{"  ls -ld " + shellWord(filepath.Dir(d.cfg.Store.Path)) + " " + shellWord(d.cfg.Store.Path)}
}

// checkPBX asks one Asterisk.
func (d *doctor) checkPBX(ctx context.Context, p *config.PBX, devices []bridge.Assignment, known bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	rest, err := ari.NewREST(sourceOptions(p, nil, nil, nil))
	if err != nil {
		d.say(fail, p.Name, err.Error())
		return
	}
	defer rest.Close()
	info, err := rest.Info(ctx)
	if err != nil {
		why := ari.Reason(err)
		d.say(fail, p.Name, p.ARI.URL.String()+": "+why, d.ariAdvice(why, p)...)
		return
	}
	release, _, _ := strings.Cut(info.Version, "+") // of a distribution's package
	d.say(fine, p.Name, fmt.Sprintf("Asterisk %s answers %s at %s", release, p.ARI.User, p.ARI.URL))
	d.checkVars(ctx, rest, p)
	endpoints, err := rest.Endpoints(ctx)
	if err != nil {
		d.say(fail, p.Name, "listing endpoints: "+ari.Reason(err), d.ariAdvice(ari.Reason(err), p)...)
		return
	}
	slices.Sort(endpoints)
	d.checkTrunks(p, endpoints)
	d.checkDevices(p, endpoints, devices, known)
}

// ariAdvice says what to type where ARI does not answer as it should.
func (d *doctor) ariAdvice(why string, p *config.PBX) []string {
	switch why {
	case ari.ReasonRefused:
		return []string{
			"Does Asterisk run, with its HTTP server enabled and bound to that address?",
			"  asterisk -rx 'http show status'",
			"If not, put into http.conf what this prints, and read it in:",
			d.files(p), reload,
		}
	case ari.ReasonNotFound:
		return []string{
			"Is ARI enabled, and the prefix of http.conf that of pbxs[].ari.url?",
			"  asterisk -rx 'ari show status' ; asterisk -rx 'http show status'",
			"If not, put into http.conf and ari.conf what this prints, and read it in:",
			d.files(p), reload,
		}
	case ari.ReasonPassword:
		return []string{
			"Is " + p.ARI.User + " there?",
			"  asterisk -rx 'ari show users'",
			"If not, put into ari.conf what this prints. If so, its password is another one. Then read it in:",
			d.files(p), "  asterisk -rx 'ari mkpasswd SECRET'", reload,
		}
	case ari.ReasonBooting:
		return []string{"  asterisk -rx 'core waitfullybooted'"}
	}
	return []string{"  curl -sv " + shellWord(strings.TrimRight(p.ARI.URL.String(), "/")+"/ari/asterisk/info")}
}

// checkVars looks at live channels: only there does ARI show the channelvars.
func (d *doctor) checkVars(ctx context.Context, rest *ari.REST, p *config.PBX) {
	channels, err := rest.Channels(ctx)
	switch {
	case err != nil:
		d.say(fail, p.Name, "listing channels: "+ari.Reason(err), d.ariAdvice(ari.Reason(err), p)...)
	case len(channels) == 0:
		d.say(note, p.Name, "no call right now; only during one can the channelvars line of ari.conf be seen")
	case !slices.ContainsFunc(channels, func(c bridge.Channel) bool { return c.HasVars }):
		d.say(warn, p.Name, "ari.conf has no channelvars line: withheld numbers, dialled numbers and call numbers may be missed",
			"Under [general] in ari.conf, and read it in; calls from then on have it:",
			"  channelvars = "+channelVars(p), reload)
	default:
		d.say(fine, p.Name, "the channelvars line of ari.conf is there")
	}
}

// checkTrunks looks for the endpoints that the configuration calls outside.
func (d *doctor) checkTrunks(p *config.PBX, endpoints []string) {
	var missing []string
	for _, t := range p.Trunks {
		if !slices.ContainsFunc(endpoints, t.Match) {
			missing = append(missing, string(t))
		}
	}
	mend := []string{"Their names, for pbxs[].trunks:", "  asterisk -rx 'pjsip show endpoints'"}
	switch {
	case len(missing) == 0:
	case len(missing) == len(p.Trunks) && len(p.TrunkContexts) == 0:
		d.say(fail, p.Name, "no endpoint is a trunk, so every call counts as internal and none pops; trunks: "+some(missing), mend...)
	default:
		d.say(warn, p.Name, "trunks that match no endpoint: "+some(missing), mend...)
	}
}

// checkDevices compares the PBX's endpoints with agents' devices.
func (d *doctor) checkDevices(p *config.PBX, endpoints []string, devices []bridge.Assignment, known bool) {
	if !known {
		return
	}
	var gone, spare []string
	mapped := map[string]bool{}
	for _, a := range devices {
		if a.Device.PBX != bridge.PBX(p.Name) {
			continue
		}
		mapped[a.Device.Endpoint] = true
		if !slices.Contains(endpoints, a.Device.Endpoint) {
			gone = append(gone, a.Device.Endpoint+" of "+string(a.Agent))
		}
	}
	isTrunk := outside(p)
	for _, e := range endpoints {
		if !mapped[e] && !isTrunk(e, "") {
			spare = append(spare, e)
		}
	}
	give := d.ringlink("agent map", "LOGIN", p.Name, "ENDPOINT")
	if len(gone) > 0 {
		d.say(warn, p.Name, "agents' devices that are no endpoint here: "+some(gone),
			"Their names, and what to do about each:", "  asterisk -rx 'pjsip show endpoints'",
			d.ringlink("agent unmap", p.Name, "ENDPOINT"), give)
	}
	switch {
	case len(mapped) == 0:
		d.say(warn, p.Name, "no endpoint is an agent's device, so nothing pops; there are "+some(spare), give)
	case len(spare) > 0:
		d.say(note, p.Name, "nobody's, calls answered there do not pop: "+some(spare), give)
	case len(gone) == 0:
		d.say(fine, p.Name, counted(len(endpoints), "endpoint")+", each a trunk or an agent's device")
	}
}

// some lists the first few of many.
func some(names []string) string {
	const few = 5
	if len(names) > few+1 {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
