package main

import (
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"text/template"

	"ringlink/config"
)

//go:embed asterisk.tmpl
var asteriskFiles string

// asteriskConfigCommand prints http.conf, ari.conf and extensions.conf for a PBX.
type asteriskConfigCommand struct {
	configFlag
	PBX    string `help:"Which PBX of the configuration; needed if there is more than one."`
	Reveal bool   `help:"Write the password into ari.conf as plain text instead of the command that makes a hash of it."`
}

// Run prints the three files.
func (c *asteriskConfigCommand) Run(s *session) error {
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	p, err := choosePBX(cfg, c.PBX)
	if err != nil {
		return err
	}
	t, err := template.New("asterisk").Parse(asteriskFiles)
	if err != nil {
		return fmt.Errorf("reading the built-in template: %w", err)
	}
	data := struct {
		Name, User, Password, Port, Prefix string
		HTTPS                              bool
		Variables                          []string
	}{Name: p.Name, User: p.ARI.User, Port: port(p.ARI.URL), Prefix: strings.Trim(p.ARI.URL.Path, "/"), HTTPS: p.ARI.URL.Scheme == "https", Variables: p.CallNumberVariables}
	if c.Reveal {
		data.Password = p.ARI.Password.Reveal()
	}
	return t.Execute(s.out, data)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// choosePBX finds the PBX by name; with one PBX the name may be empty.
func choosePBX(cfg *config.Config, name string) (*config.PBX, error) {
	var names []string
	for i := range cfg.PBXs {
		if cfg.PBXs[i].Name == name || name == "" && len(cfg.PBXs) == 1 {
			return &cfg.PBXs[i], nil
		}
		names = append(names, cfg.PBXs[i].Name)
	}
	return nil, fmt.Errorf("no such PBX %q; say --pbx with one of: %s", name, strings.Join(names, ", "))
}
