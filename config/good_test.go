package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// minimal has the required keys and no other.
const minimal = `
external_url: http://127.0.0.1:8080
store: {path: ringlink.db}
pbxs:
  - name: pbx1
    ari: {url: "HTTP://Localhost:8088/", user: ringlink, password: {env: PASSWORD}}
    trunks: [PJSIP/carrier]
    region: US
`

// password answers for every environment variable.
func password(string) (string, bool) { return "open sesame, and sixteen bytes", true }

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("ringlink.yaml", []byte(text), "/etc/ringlink", password)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b *regexp.Regexp) bool { return a.String() == b.String() }),
}

func TestDefaults(t *testing.T) {
	got := mustParse(t, minimal)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		ExternalURL:    &url.URL{Scheme: "http", Host: "127.0.0.1:8080"},
		Listen:         "127.0.0.1:8080",
		TrustedProxies: []netip.Prefix{},
		DebugListen:    "127.0.0.1:9090",
		Log:            Log{Level: slog.LevelInfo, Format: LogJSON},
		Store:          Store{Driver: SQLite, Path: "/etc/ringlink/ringlink.db", MaxOpen: 10},
		PBXs: []PBX{{
			Name: "pbx1",
			ARI: ARI{
				URL: &url.URL{Scheme: "http", Host: "localhost:8088"}, User: "ringlink",
				Password: NewSecret("open sesame, and sixteen bytes"),
				App:      "ringlink-" + strings.Trim(regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(host, "-"), "-"),
			},
			Trunks:              []EndpointPattern{"PJSIP/carrier"},
			TrunkContexts:       []string{},
			CallNumberVariables: []string{"CALL_NUMBER"},
			Region:              "US",
			ExtensionPattern:    regexp.MustCompile(`^[0-9]{2,6}$`),
		}},
		SIP:      SIP{Allow: []netip.Prefix{}},
		Pops:     Pops{LinkTTL: time.Minute, LookupDeadline: 250 * time.Millisecond},
		Sessions: Sessions{Idle: 8 * time.Hour, Absolute: 24 * time.Hour},
		Limits:   Limits{Calls: 20000, EventsQueue: 8192, StreamsPerAgent: 8},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if w := got.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
}

func TestGood(t *testing.T) {
	sub := func(old, new string) string { return strings.Replace(minimal, old, new, 1) }
	tests := []struct {
		name, text string
		check      func(*Config) bool
	}{
		{"behind a proxy on another host", sub("http://127.0.0.1:8080", "https://Desk.example.com/") + "listen: :8080\ntrusted_proxies: [10.0.0.7, 2001:db8::/32]\n", func(c *Config) bool {
			return c.ExternalURL.String() == "https://desk.example.com" && c.TrustedProxies[0].String() == "10.0.0.7/32" && !c.TLS.Enabled()
		}},
		{"free ports", minimal + "listen: 127.0.0.1:0\ndebug_listen: \"127.0.0.1:0\"\nsip: {listen: \"127.0.0.1:0\", allow: [127.0.0.1]}\n", func(c *Config) bool { return c.SIP.Enabled() }},
		{"localhost names", sub("http://127.0.0.1:8080", "http://desk.localhost:8080") + "listen: localhost:8080\n", func(c *Config) bool { return true }},
		{"memory", sub("ringlink.db", `":memory:"`), func(c *Config) bool { return c.Store.Path == MemoryPath && len(c.Warnings()) == 1 }},
		{"no IVR", sub("region: US", "region: GB\n    call_number_variables: []"), func(c *Config) bool {
			v := c.PBXs[0].CallNumberVariables
			return v != nil && len(v) == 0
		}},
		{"windows line ends and a byte order mark", "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"), func(c *Config) bool { return c.PBXs[0].Region == "US" }},
		{"a quoted number, a tag and a literal", minimal + "tickets: {prefix: !!str 007, pad_to: 0x7}\n", func(c *Config) bool { return c.Tickets == Tickets{"007", 7} }},
		{"anchors", minimal + "pops: {link_ttl: &ttl 5s, lookup_deadline: *ttl}\n", func(c *Config) bool { return c.Pops.LookupDeadline == 5*time.Second }},
		{"merge keys", strings.Replace(minimal, "  - name: pbx1", "  - &one\n    name: pbx1", 1) + "  - <<: [*one, {region: DE, extension_pattern: '^1..$'}]\n    name: pbx2\n", func(c *Config) bool {
			p := c.PBXs[1]
			return p.Name == "pbx2" && p.Region == "US" && p.ExtensionPattern.String() == "^1..$" && p.ARI.User == "ringlink"
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := test.text
			if test.name == "merge keys" { // two names for the same socket are refused
				text = strings.Replace(text, "    name: pbx2\n", "    name: pbx2\n    ari: {url: https://pbx2.example.com:8089, user: ringlink, password: {env: X}}\n", 1)
			}
			if c := mustParse(t, text); !test.check(c) {
				dump, _ := c.Dump()
				t.Errorf("wrong configuration:\n%s", dump)
			}
		})
	}
}

func TestPostgresDSN(t *testing.T) {
	text := strings.Replace(minimal, "{path: ringlink.db}", "{driver: postgres, dsn: {env: DSN}}", 1)
	for dsn, warnings := range map[string]int{
		"postgres://u:p%40@db.example.com/ringlink?sslmode=verify-full":     0,
		"postgresql:///ringlink?host=/run/postgresql&sslmode=disable":       0,
		"host=db user = u password='a \\' b=c' sslmode='require' dbname=x":  0,
		"dbname=x password=a://b sslmode=prefer":                            1,
		"sslmode=disable host=/run/postgresql\tdbname=x password=a\\ b\\\\": 0,
	} {
		c, err := Parse("x", []byte(text), "/", func(string) (string, bool) { return dsn, true })
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
		} else if w := c.Warnings(); len(w) != warnings || c.Store.DSN.Reveal() != dsn {
			t.Errorf("%s: warnings %q", dsn, w)
		}
	}
}

func TestWarnings(t *testing.T) {
	text := strings.Replace(minimal, "HTTP://Localhost:8088/", "http://pbx.example.com:8088", 1)
	text = strings.Replace(text, "[PJSIP/carrier]", "[PJSIP/*, DAHDI/*]", 1)
	text += "  - {name: b, region: US, trunks: [PJSIP/a], ari: {url: 'http://pbx.example.com:8088', user: u, password: {env: X}, app: other}}\n"
	text += "sip: {listen: ':5060', allow: [0.0.0.0/0]}\n"
	got := mustParse(t, text).Warnings()
	want := []string{"pbxs[0].ari.url: ", "pbxs[0].trunks[0]: ", "pbxs[1].ari.url: ", "pbxs[1].ari.url: b", "sip.allow[0]: "}
	if len(got) != len(want) {
		t.Fatalf("%d warnings: %q", len(got), got)
	}
	for i := range want {
		if path, _, _ := strings.Cut(want[i], ": "); !strings.HasPrefix(got[i], path+": ") {
			t.Errorf("warning %d is %q, want one of %s", i, got[i], path)
		}
	}
}

func TestTLSFiles(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	text := strings.Replace(minimal, "http://127.0.0.1:8080", "https://desk.example.com", 1) + "listen: :443\ntls: {cert_file: desk.crt, key_file: desk.key}\n"
	c, err := Parse("x", []byte(text), dir, password)
	if err != nil {
		t.Fatal(err)
	}
	if !c.TLS.Enabled() || c.TLS.CertFile != filepath.Join(dir, "desk.crt") {
		t.Errorf("tls is %+v", c.TLS)
	}
}

func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"desk.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"desk.crt": {Type: "CERTIFICATE", Bytes: cert}, "desk.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEndpointPattern(t *testing.T) {
	for _, test := range []struct {
		pattern, endpoint string
		want              bool
	}{
		{"PJSIP/carrier", "PJSIP/carrier", true},
		{"PJSIP/carrier", "pjsip/carrier", true},
		{"PJSIP/carrier", "PJSIP/Carrier", false},
		{"PJSIP/carrier", "PJSIP/carrier2", false},
		{"PJSIP/carrier-*", "PJSIP/carrier-2", true},
		{"PJSIP/carrier-*", "PJSIP/carrier", false},
		{"DAHDI/*", "DAHDI/i1", true},
		{"DAHDI/*", "PJSIP/101", false},
		{"DAHDI/*", "DAHDI", false},
		{"", "", false},
	} {
		if got := EndpointPattern(test.pattern).Match(test.endpoint); got != test.want {
			t.Errorf("%q matches %q: %v", test.pattern, test.endpoint, got)
		}
	}
}

func TestTooManyValues(t *testing.T) {
	var b strings.Builder
	b.WriteString(minimal + "    trunk_contexts: &l [" + strings.Repeat("a,", 2000) + "a]\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - {name: p%d, trunk_contexts: *l}\n", i)
	}
	_, err := Parse("x", []byte(b.String()), "/", password)
	if err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("error is %.200v", err)
	}
	_, err = Parse("x", bytes.Repeat([]byte("["), 100_000), "/", password)
	if err == nil || !strings.Contains(err.Error(), "open brackets") {
		t.Errorf("error is %.200v", err)
	}
	_, err = Parse("x", bytes.Repeat([]byte("#"), maxFileSize+1), "/", password)
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error is %.200v", err)
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil)
	if !os.IsNotExist(err) && !strings.Contains(fmt.Sprint(err), "no such file") {
		t.Errorf("error is %v", err)
	}
	if Faults(err) != nil {
		t.Error("a file that cannot be opened is a fault of its text")
	}
}

func TestNoHostname(t *testing.T) {
	l := &loader{file: "x", baseDir: "/", env: password, hostname: func() (string, error) { return "…", nil }}
	_, err := l.load([]byte(minimal))
	if err == nil || !strings.HasPrefix(err.Error(), "x:6: pbxs[0].ari.app: is missing") {
		t.Errorf("error is %v", err)
	}
	l = &loader{file: "x", baseDir: "/", env: password, hostname: func() (string, error) { return "büro 1.example.com", nil }}
	c, err := l.load([]byte(minimal))
	if err != nil || c.PBXs[0].ARI.App != "ringlink-b-ro-1.example.com" {
		t.Errorf("error is %v", err)
	}
}

func TestFaultsOfOthers(t *testing.T) {
	f := &Fault{File: "x", Problem: "p"}
	if got := Faults(fmt.Errorf("wrapped: %w", joinFaults([]*Fault{f, f}))); !reflect.DeepEqual(got, []*Fault{f, f}) {
		t.Errorf("faults are %v", got)
	}
	if f.Error() != "x: p" || Faults(f)[0] != f || Faults(nil) != nil {
		t.Errorf("fault is %v", f)
	}
}

// TestLinesOfWindowsFiles: an editor counts CR LF as one line end.
func TestLinesOfWindowsFiles(t *testing.T) {
	_, err := Parse("x", []byte(strings.ReplaceAll("\ufeff# comment\n"+minimal+"bogus: 1\n", "\n", "\r\n")), "/", password)
	if fs := Faults(err); len(fs) != 1 || fs[0].Line != 10 {
		t.Errorf("error is %v", err)
	}
}
