package main

import (
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
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
	return t.Execute(s.out, newAsteriskData(p, c.Reveal))
}

// asteriskData is what the template names.
type asteriskData struct {
	Name, User, Password string
	Host, Port, Bind     string // Bind is both
	Prefix               string
	HTTPS                bool
	ChannelVars          string
	Variable             string // the best of the call number's, empty if there is none
}

func newAsteriskData(p *config.PBX, reveal bool) asteriskData {
	d := asteriskData{
		Name: p.Name, User: p.ARI.User,
		Host: bindHost(p.ARI.URL.Hostname()), Port: port(p.ARI.URL),
		Prefix: strings.Trim(p.ARI.URL.Path, "/"), HTTPS: p.ARI.URL.Scheme == "https",
		ChannelVars: channelVars(p),
	}
	d.Bind = net.JoinHostPort(d.Host, d.Port)
	if len(p.CallNumberVariables) > 0 {
		d.Variable = p.CallNumberVariables[0]
	}
	if reveal {
		d.Password = strings.ReplaceAll(p.ARI.Password.Reveal(), ";", `\;`) // or it would begin a comment
	}
	return d
}

// channelVars is the value of channelvars in ari.conf: the variables that
// Ringlink wants on every channel.
func channelVars(p *config.PBX) string {
	return strings.Join(append(slices.Clone(p.CallNumberVariables),
		"CHANNEL(linkedid)", "CALLERID(num-pres)", "CALLERID(dnid)", "CALLERID(rdnis)"), ",")
}

// bindHost is the address that Asterisk listens on to be reached at host. A
// name may stand for any address of that machine.
func bindHost(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "127.0.0.1"
	}
	return "0.0.0.0"
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
	if name == "" {
		return nil, fmt.Errorf("there are several PBXs, name one: %s", strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("there is no PBX %q in the configuration; there is %s", name, strings.Join(names, ", "))
}
