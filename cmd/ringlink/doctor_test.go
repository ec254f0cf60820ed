package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringlink/ari/aritest"
	"ringlink/cmd/internal/lab"
	"ringlink/store/storetest"
)

// doctor runs `ringlink doctor` and returns what it printed, and its exit code.
func (g *gateway) doctor() (string, int) {
	g.t.Helper()
	out, err := g.try("", "doctor")
	exit, ok := errors.AsType[*exec.ExitError](err)
	if err != nil && !ok {
		g.t.Fatal(err)
	}
	out = strings.ReplaceAll(out, g.config, "CONFIG")
	if err != nil {
		return out, exit.ExitCode()
	}
	return out, 0
}

// diagnosis runs the doctor, which must end with the code and print every one
// of the texts.
func (g *gateway) diagnosis(t *testing.T, code int, want ...string) string {
	t.Helper()
	out, got := g.doctor()
	if got != code {
		t.Errorf("the doctor's exit code is %d, want %d", got, code)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("the doctor does not say %q", w)
		}
	}
	if t.Failed() {
		t.Fatalf("the doctor said:\n%s", out)
	}
	return out
}

// mend gives the gateway another configuration.
func (g *gateway) mend(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("the configuration has no %q", from)
	}
	if err := os.WriteFile(g.config, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// asteriskFile finds a part of what asterisk-config printed.
func asteriskFile(t *testing.T, printed, name string) string {
	t.Helper()
	_, text, ok := strings.Cut(printed, "- "+name+"\n")
	if !ok {
		t.Fatalf("asterisk-config prints no %s:\n%s", name, printed)
	}
	text, _, _ = strings.Cut(text, "\n; ------")
	return text
}

func etc(a *lab.Asterisk, name string) string { return filepath.Join(a.Dir(), "etc", name) }

func writeEtc(t *testing.T, a *lab.Asterisk, name, text string) {
	t.Helper()
	if err := os.WriteFile(etc(a, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendEtc(t *testing.T, a *lab.Asterisk, name, text string) {
	t.Helper()
	old, err := os.ReadFile(etc(a, name))
	if err != nil {
		t.Fatal(err)
	}
	writeEtc(t, a, name, string(old)+"\n"+text)
}

// An Asterisk as Debian ships it, wired by nothing but what the doctor says and
// what asterisk-config prints, up to a pop with the call number that the
// printed IVR collected.
func TestDoctorWiresAsterisk(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{HTTPOff: true, Files: map[string]string{"ari.conf": "[general]\nenabled = no\n"}})
	g := newGateway(t, a, sqliteStore(t))

	g.diagnosis(t, 1, "fail  lab            "+a.URL()+": connection refused\n",
		"asterisk -rx 'http show status'", "ringlink asterisk-config --config CONFIG\n", "asterisk -rx 'module reload'\n",
		"nobody may sign in yet\n                       ringlink user add --config CONFIG LOGIN\n")
	if status := a.CLI("http show status"); !strings.Contains(status, "Server Disabled") {
		t.Errorf("http show status does not tell: %s", status)
	}
	printed := g.ringlink("", "asterisk-config")
	writeEtc(t, a, "http.conf", asteriskFile(t, printed, "http.conf"))
	a.CLI("module reload")

	g.diagnosis(t, 1, "ARI is not enabled at this address (404)", "asterisk -rx 'ari show status'")
	if status := a.CLI("ari show status"); !strings.Contains(status, "Enabled: No") {
		t.Errorf("ari show status does not tell: %s", status)
	}
	writeEtc(t, a, "ari.conf", asteriskFile(t, printed, "ari.conf"))
	a.CLI("module reload")

	g.diagnosis(t, 1, "wrong user or password (401)", "asterisk -rx 'ari show users'", "asterisk -rx 'ari mkpasswd SECRET'")
	appendEtc(t, a, "ari.conf", a.CLI("ari mkpasswd "+a.Password()))
	a.CLI("module reload")

	g.people()
	g.diagnosis(t, 0, "ok    lab            Asterisk 22.", " answers ringlink at "+a.URL()+"\n",
		"note  lab            no call right now",
		"note  lab            nobody's, calls answered there do not pop: PJSIP/104, PJSIP/110, PJSIP/anonymous\n",
		"ringlink agent map --config CONFIG LOGIN lab ENDPOINT\n")

	appendEtc(t, a, "extensions.conf", asteriskFile(t, printed, "extensions.conf")+`
[from-trunk](+)
exten => 5099,1,Gosub(ringlink-call-number,s,1)
 same => n,Dial(PJSIP/101,30)
`)
	a.CLI("module reload")
	if plan := a.CLI("dialplan show ringlink-call-number"); !strings.Contains(plan, "Read(CALL_NUMBER,beep,12,,1,8)") {
		t.Fatalf("the printed dialplan was not taken:\n%s", plan)
	}

	phone := lab.StartPhone(t, a, "101")
	g.start()
	g.ready()
	caller := lab.Call(t, a, lab.CallOptions{From: "+12025550101", To: "5099", DTMF: "1042#"})
	phone.WaitRinging(t.Context())
	phone.Answer()
	g.until("the pop's row", func() error {
		if rows := g.pops(); len(rows) != 1 || rows[0].CallNumber != "1042" || rows[0].Agent != "ann" || rows[0].Dialled != "5099" {
			return fmt.Errorf("pops: %+v", rows)
		}
		return nil
	})
	g.diagnosis(t, 0, "ok    lab            the channelvars line of ari.conf is there\n")
	caller.Hangup()
}

// Without the channelvars line the doctor sees it during a call, and the line
// that it prints mends it.
func TestDoctorChannelVars(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{NoChannelVars: true})
	g := newGateway(t, a, sqliteStore(t))
	phone := lab.StartPhone(t, a, "101")
	call := func(look func()) {
		c := lab.Call(t, a, lab.CallOptions{From: "+12025550101", To: "5000"})
		phone.WaitRinging(t.Context())
		look()
		c.GiveUp()
		phone.WaitClosed(t.Context())
	}
	call(func() {
		out := g.diagnosis(t, 0, "warn  lab            ari.conf has no channelvars line", "asterisk -rx 'module reload'\n")
		_, line, ok := strings.Cut(out, "  channelvars = ")
		if !ok {
			t.Fatalf("no line to type:\n%s", out)
		}
		line, _, _ = strings.Cut(line, "\n")
		text, err := os.ReadFile(etc(a, "ari.conf"))
		if err != nil {
			t.Fatal(err)
		}
		writeEtc(t, a, "ari.conf", strings.Replace(string(text), "[general]\n", "[general]\nchannelvars = "+line+"\n", 1))
		a.CLI("module reload")
	})
	call(func() { g.diagnosis(t, 0, "ok    lab            the channelvars line of ari.conf is there\n") })
}

// Names that the PBX does not have, and a wrong password.
func TestDoctorNames(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	g := newGateway(t, a, sqliteStore(t))
	g.ringlink("long enough for all\n", "user", "add", "ann")
	g.diagnosis(t, 0, "warn  lab            no endpoint is an agent's device, so nothing pops; there are PJSIP/101, PJSIP/102, ",
		"ringlink agent map --config CONFIG LOGIN lab ENDPOINT\n")

	for _, endpoint := range []string{"PJSIP/101", "PJSIP/999"} {
		g.ringlink("", "agent", "map", "ann", "lab", endpoint)
	}
	g.diagnosis(t, 0, "warn  lab            agents' devices that are no endpoint here: PJSIP/999 of ann\n",
		"ringlink agent unmap --config CONFIG lab ENDPOINT\n")
	g.ringlink("", "agent", "unmap", "lab", "PJSIP/999")
	if out, _ := g.doctor(); strings.Contains(out, "PJSIP/999") || strings.Contains(out, "PJSIP/101") {
		t.Errorf("mended, but the doctor says\n%s", out)
	}
	for _, endpoint := range []string{"PJSIP/102", "PJSIP/103", "PJSIP/104", "PJSIP/110", "PJSIP/anonymous"} {
		g.ringlink("", "agent", "map", "ann", "lab", endpoint)
	}
	g.diagnosis(t, 0, "ok    lab            7 endpoints, each a trunk or an agent's device\n")

	g.mend(t, "trunks: [PJSIP/trunkout]", "trunks: [PJSIP/trunkout, PJSIP/carrier, PJSIP/sbc-*]")
	g.diagnosis(t, 0, "warn  lab            trunks that match no endpoint: PJSIP/carrier, PJSIP/sbc-*\n", "asterisk -rx 'pjsip show endpoints'")
	g.mend(t, "    trunks: [PJSIP/trunkout, PJSIP/carrier, PJSIP/sbc-*]\n    trunk_contexts: [from-trunk]", "    trunks: [PJSIP/carrier]")
	g.diagnosis(t, 1, "fail  lab            no endpoint is a trunk, so every call counts as internal and none pops; trunks: PJSIP/carrier\n")
	g.mend(t, "trunks: [PJSIP/carrier]", "trunks: [PJSIP/trunkout]")
	g.diagnosis(t, 0)

	g.env = append(g.env, "ARI_PASSWORD=not the password")
	out := g.diagnosis(t, 1, "wrong user or password (401)")
	if users := a.CLI("ari show users"); !strings.Contains(users, a.User()) {
		t.Errorf("ari show users does not tell: %s", users)
	}
	if strings.Contains(out, "not the password") {
		t.Errorf("the doctor prints the password:\n%s", out)
	}
}

// The database is away, frozen, and back.
func TestDoctorStore(t *testing.T) {
	db := storetest.PostgresServer(t)
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, "{driver: postgres, dsn: {env: DSN}}", a)
	g.env = append(g.env, "DSN="+db.DSN())
	g.diagnosis(t, 0, "ok    store          postgres answers: 0 users, 0 devices of agents\n")
	db.Kill()
	g.diagnosis(t, 1, "fail  store          ", "refused", "psql 'ADDRESS' -c 'select 1'", "ok    lab            Asterisk 22.10.1 answers")
	db.Restart()
	g.diagnosis(t, 0)
	db.Stop()
	g.diagnosis(t, 1, "fail  store          ")
	db.Cont()
	g.diagnosis(t, 0)
}

// What the doctor says of a fake Asterisk, to the letter.
func TestDoctorWords(t *testing.T) {
	endpoints := []string{"PJSIP/trunk"}
	for n := range 40 {
		endpoints = append(endpoints, fmt.Sprintf("PJSIP/1%02d", n))
	}
	a := runFake(t, aritest.Options{Endpoints: endpoints})
	g := fakeGateway(t, sqliteStore(t), a)
	say := func() string {
		var out, errs bytes.Buffer
		err := (&doctorCommand{configFlag{g.config}}).Run(&session{t.Context(), streams{strings.NewReader(""), &out, &errs}, g.lookup})
		text := strings.NewReplacer(g.config, "ringlink.yaml", a.URL(), "URL").Replace(out.String())
		return text + fmt.Sprintf("%v %s\n", err, errs.String())
	}
	same := func(what, want string) {
		t.Helper()
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), say()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	same("an empty store", `
ok    configuration  ringlink.yaml
ok    store          sqlite answers: 0 users, 0 devices of agents
warn  store          nobody may sign in yet
                       ringlink user add --config ringlink.yaml LOGIN
ok    lab            Asterisk 22.10.1 answers ringlink at URL
note  lab            no call right now; only during one can the channelvars line of ari.conf be seen
1 to look at
<nil> 
`)
	g.ringlink("long enough for all\n", "user", "add", "ann")
	g.ringlink("", "agent", "map", "ann", "lab", "PJSIP/100")
	same("an agent", `
ok    configuration  ringlink.yaml
ok    store          sqlite answers: 1 user, 1 device of agents
ok    lab            Asterisk 22.10.1 answers ringlink at URL
note  lab            no call right now; only during one can the channelvars line of ari.conf be seen
note  lab            nobody's, calls answered there do not pop: PJSIP/101, PJSIP/102, PJSIP/103, PJSIP/104, PJSIP/105 and 34 more
                       ringlink agent map --config ringlink.yaml LOGIN lab ENDPOINT
<nil> 
`)
	a.Booting(true)
	same("booting", `
ok    configuration  ringlink.yaml
ok    store          sqlite answers: 1 user, 1 device of agents
fail  lab            URL: Asterisk is booting (503)
                       asterisk -rx 'core waitfullybooted'
1 to mend
exit code 1 
`)
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"/etc/ringlink/ringlink.yaml": "/etc/ringlink/ringlink.yaml", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
}
