package lab

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed etc/*.conf
var etc embed.FS

// DefaultChannelVars is the channelvars line that Ringlink asks for in ari.conf.
const DefaultChannelVars = "CALL_NUMBER,CHANNEL(linkedid),CALLERID(num-pres),CALLERID(dnid),CALLERID(rdnis)"

// Options says how an Asterisk is set up. The zero value is the usual one.
type Options struct {
	SystemName    string            // prefix of every channel id; "lab" if empty
	ChannelVars   string            // channelvars of ari.conf; DefaultChannelVars if empty
	NoChannelVars bool              // leave the channelvars line out
	HTTPOff       bool              // as Debian ships it: no HTTP, so no ARI; StartAsterisk then waits for the CLI only
	Files         map[string]string // whole configuration files by name, in place of the lab's own ("extensions.conf")
}

const (
	ariUser     = "ringlink"
	ariPassword = "lab-read-only"
	// crypt(3) of ariPassword, as `ari mkpasswd` prints it: what an administrator pastes.
	ariPasswordHash = "$6$ringlinklab$LnL9Ssh5lY4/njzEpYB8v2b3gJNkYq3m8oSpvcQlmlmhp6Tcn2Oz8RQ.woEPQ77r25hd4bmyG7uWWcORnzC0d1"
	ivrUser         = "ringlink-ivr"
	ivrPassword     = "lab-writing"
)

type phoneAccount struct{ Number, Name, Password string }

func phoneAccounts() []phoneAccount {
	return []phoneAccount{
		{"101", "Agent One", "lab-101"},
		{"102", "Agent Two", "lab-102"},
		{"103", "Agent Three", "lab-103"},
		{"104", "Nobody Four", "lab-104"},
	}
}

// settings is what the templates in etc/ may name.
type settings struct {
	SystemName, ChannelVars, ModuleDir            string
	HTTPOff                                       bool
	HTTPPort, SIPPort, TrunkUASPort, AgentUASPort int
	PasswordHash, IVRPassword                     string
	Phones                                        []phoneAccount
}

// writeConfig fills dir with the configuration of one Asterisk.
func writeConfig(dir string, set settings, files map[string]string) error {
	names, err := fs.Glob(etc, "etc/*.conf")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := writeTemplate(filepath.Join(dir, filepath.Base(name)), name, set); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeTemplate(path, name string, set settings) error {
	tmpl, err := template.New(filepath.Base(name)).Option("missingkey=error").ParseFS(etc, name)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := tmpl.Execute(f, set); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
