package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

var (
	pbxName     = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	appName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	notAppName  = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	endpoint    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*/[^\s,*]*\*?$`)
	contextName = regexp.MustCompile(`^[^\s,*&|(){}\[\]"]{1,79}$`)
	variable    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\([^()\s]*\))?$`)
)

// outsideNumbers are written as no inside extension is.
var outsideNumbers = []string{"+12025550123", "12025550123", "0012025550123"}

// complete fills the defaults that depend on the machine.
func (l *loader) complete(c *Config) {
	for i := range c.PBXs {
		ari, at := &c.PBXs[i].ARI, fmt.Sprintf("pbxs[%d].ari.app", i)
		if ari.App != "" || !l.good(at) {
			continue
		}
		host, err := l.hostname()
		name := strings.Trim(notAppName.ReplaceAllString(host, "-"), "-")
		if err != nil || name == "" {
			l.fault(at, "is missing, and the host has no name to make one of", "write app: ringlink-1, another one for each replica")
			continue
		}
		ari.App = "ringlink-" + name[:min(len(name), 55)]
	}
}

func (l *loader) validatePBXs(pbxs []PBX) {
	if len(pbxs) == 0 && l.good("pbxs") {
		l.fault("pbxs", "names no PBX", "write one entry for each PBX")
	}
	regions := phonenumbers.GetSupportedRegions()
	names, apps := map[string]int{}, map[string]int{}
	for i := range pbxs {
		p, at := &pbxs[i], fmt.Sprintf("pbxs[%d]", i)
		l.validateName(p, at, names)
		l.validateARI(&p.ARI, at+".ari", apps)
		l.validateOutside(p, at)
		l.each(p.CallNumberVariables, at+".call_number_variables", variable, "a channel variable's name, without $ and leading _, such as CALL_NUMBER")
		if r := at + ".region"; l.good(r) && !regions[p.Region] {
			l.fault(r, fmt.Sprintf("is %q, not a country of ISO 3166", show(p.Region)), "write two capital letters, such as US, GB or DE")
		}
		l.validateExtensions(p, at+".extension_pattern")
	}
}

func (l *loader) validateName(p *PBX, at string, names map[string]int) {
	at += ".name"
	if !l.good(at) {
		return
	}
	if !pbxName.MatchString(p.Name) {
		l.fault(at, fmt.Sprintf("is %q", show(p.Name)), "write 1 to 32 of a-z, 0-9 and -")
		return
	}
	if line, dup := names[p.Name]; dup {
		l.fault(at, fmt.Sprintf("is %s, as in line %d", p.Name, line), "give each PBX its own name")
		return
	}
	names[p.Name] = l.lineAt(at)
}

func (l *loader) validateARI(a *ARI, at string, apps map[string]int) {
	if l.good(at+".url") && (a.URL.Path == "/ari" || strings.HasSuffix(a.URL.Path, "/ari") || strings.Contains(a.URL.Path, "/ari/")) {
		l.fault(at+".url", "ends in /ari, which Ringlink adds itself", fmt.Sprintf("write url: %s://%s%s", a.URL.Scheme, a.URL.Host, a.URL.Path[:strings.Index(a.URL.Path, "/ari")]))
	}
	if l.good(at+".user") && strings.ContainsAny(a.User, ": \t\r\n") {
		l.fault(at+".user", "has a blank or a colon in it", "write the section's name in ari.conf")
	}
	if !l.good(at + ".app") {
		return
	}
	if !appName.MatchString(a.App) {
		l.fault(at+".app", fmt.Sprintf("is %q", show(a.App)), "write 1 to 64 letters, digits, and . _ -")
		return
	}
	if !l.good(at + ".url") {
		return
	}
	id := a.URL.String() + " " + a.App
	if line, dup := apps[id]; dup {
		l.fault(at+".app", fmt.Sprintf("is %s on the same Asterisk as in line %d, and one of the two sockets would go silent", a.App, line), "name each Asterisk once")
		return
	}
	apps[id] = l.lineAt(at)
}

// validateOutside checks the keys that say what is outside.
func (l *loader) validateOutside(p *PBX, at string) {
	if len(p.Trunks) == 0 && len(p.TrunkContexts) == 0 && l.good(at+".trunks", at+".trunk_contexts") {
		l.fault(at, "has neither trunks nor trunk_contexts, so nothing would be outside", "write trunks: [PJSIP/carrier] or trunk_contexts: [from-trunk]")
	}
	for i, t := range p.Trunks {
		path := fmt.Sprintf("%s.trunks[%d]", at, i)
		tech, resource, _ := strings.Cut(string(t), "/")
		switch {
		case !l.good(path):
		case !endpoint.MatchString(string(t)) || resource == "":
			l.fault(path, fmt.Sprintf("is %q, not an endpoint", show(string(t))), "write the technology and the name, PJSIP/carrier, or PJSIP/carrier-* for all that begin so")
		case strings.EqualFold(tech, "Local"):
			l.fault(path, fmt.Sprintf("is %s, and a Local channel leads nowhere outside", show(string(t))), "write the endpoint of the carrier, such as PJSIP/carrier")
		}
	}
	l.each(p.TrunkContexts, at+".trunk_contexts", contextName, "a context's name as in extensions.conf, such as from-trunk")
}

func (l *loader) validateExtensions(p *PBX, at string) {
	if !l.good(at) {
		return
	}
	for _, number := range outsideNumbers {
		if p.ExtensionPattern.MatchString(number) {
			l.fault(at, fmt.Sprintf("matches %s too, a number outside", number), "write ^ before and $ after the pattern, such as '^[0-9]{2,6}$'")
			return
		}
	}
}

// each checks the texts of a list.
func (l *loader) each(list []string, path string, want *regexp.Regexp, advice string) {
	for i, s := range list {
		if at := fmt.Sprintf("%s[%d]", path, i); l.good(at) && !want.MatchString(s) {
			l.fault(at, fmt.Sprintf("is %q", show(s)), "write "+advice)
		}
	}
}
