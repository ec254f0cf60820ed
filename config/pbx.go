package config

import (
	"net/url"
	"regexp"
	"strings"
)

// PBX is one telephone system.
type PBX struct {
	// Name is Ringlink's name of the PBX: 1 to 32 of a-z, 0-9 and "-", unique. It is part of every CallID and
	// device, so it is not changed later.
	Name string `yaml:"name" required:"true" example:"pbx1"`

	// ARI is the way to the PBX's Asterisk REST Interface.
	ARI ARI `yaml:"ari"`

	// Trunks are the endpoints that lead outside, exact (PJSIP/carrier) or with "*" at the end (PJSIP/carrier-*).
	// Every other endpoint is inside. A PBX has Trunks, TrunkContexts or both.
	Trunks []EndpointPattern `yaml:"trunks" default:"[]" example:"PJSIP/carrier"`

	// TrunkContexts are the dialplan contexts into which calls from outside come.
	TrunkContexts []string `yaml:"trunk_contexts" default:"[]" example:"from-trunk"`

	// CallNumberVariables are the channel variables in which the IVR leaves the ticket number that the caller
	// keyed; the first that is set counts. The list may be empty.
	CallNumberVariables []string `yaml:"call_number_variables" default:"[CALL_NUMBER]" example:"CALL_NUMBER"`

	// Region is the country, as ISO 3166 letters (US, GB, DE), by which national numbers of this PBX are read.
	Region string `yaml:"region" required:"true" example:"US"`

	// ExtensionPattern matches the inside extensions, tried before a number is read as a telephone number.
	ExtensionPattern *regexp.Regexp `yaml:"extension_pattern" default:"'^[0-9]{2,6}$'" example:"^[0-9]{2,6}$"`
}

// ARI is the way to one Asterisk's REST Interface. The user needs to read only.
type ARI struct {
	// URL is the root of Asterisk's HTTP server, http(s)://host:8088, without "/ari"; a prefix of http.conf is
	// kept as its path. The websocket's address follows from it: ws for http, wss for https.
	URL *url.URL `yaml:"url" required:"true" example:"http://127.0.0.1:8088"`

	// User is the section's name in ari.conf.
	User string `yaml:"user" required:"true" example:"ringlink"`

	// Password is that user's password.
	Password Secret `yaml:"password" required:"true" example:"/etc/ringlink/ari.password"`

	// App is the ARI application's name. Each replica needs its own: of two sockets with one name the older
	// goes silent. The default is "ringlink-" and the host's name.
	App string `yaml:"app" example:"ringlink-host1"`
}

// EndpointPattern names endpoints of a PBX: exactly (PJSIP/carrier), or with "*" at the end by their beginning.
type EndpointPattern string

// Match reports whether the pattern names the endpoint (PJSIP/carrier). The technology's letter case does not
// matter, the resource's does.
func (p EndpointPattern) Match(endpoint string) bool {
	tech, want, ok := strings.Cut(string(p), "/")
	gotTech, got, ok2 := strings.Cut(endpoint, "/")
	if !ok || !ok2 || !strings.EqualFold(tech, gotTech) {
		return false
	}
	if prefix, any := strings.CutSuffix(want, "*"); any {
		return strings.HasPrefix(got, prefix)
	}
	return want == got
}
