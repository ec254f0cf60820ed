package screenpop_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringlink/screenpop"
)

// paths fills the wildcards of a pattern.
var paths = strings.NewReplacer("{id}", "p1", "{token}", strings.Repeat("A", 43), "{file}", "x.js", "{$}", "")

// Nothing opens without a session but the login page, the one-time sign-in,
// their files and the page that says that there is nothing.
func TestEveryRouteIsClosed(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	stale := s.signedIn("one")
	s.sessions.clear()
	open := 0
	for _, rt := range s.srv.Routes() {
		method, path, ok := strings.Cut(rt.Pattern, " ")
		if !ok {
			method, path = http.MethodGet, rt.Pattern+"nothing"
		}
		if rt.Open {
			open++
			continue
		}
		path = paths.Replace(path)
		for name, b := range map[string]*browser{"no cookie": s.browser(), "a revoked session": stale} {
			got := b.do(method, path, nil)
			want := http.StatusSeeOther
			if rt.API {
				want = http.StatusUnauthorized
			}
			if got.StatusCode != want {
				t.Errorf("%s %s with %s: %s, want %d", method, path, name, got.Status, want)
			}
			if want == http.StatusSeeOther && !strings.HasPrefix(got.Header.Get("Location"), "/login") {
				t.Errorf("%s %s with %s goes to %q", method, path, name, got.Header.Get("Location"))
			}
			if strings.Contains(got.text, "Maria") || strings.Contains(got.text, "Agent One") {
				t.Errorf("%s %s with %s tells something", method, path, name)
			}
		}
	}
	if open != 6 {
		t.Errorf("%d open routes, want 6: static, login twice, signin twice, and the page that says no", open)
	}
}

// Whoever has no agent has no desk: no stream, no pops.
func TestNoAgentNoDesk(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	boss := s.signedIn("boss")
	for _, rt := range s.srv.Routes() {
		method, path, ok := strings.Cut(rt.Pattern, " ")
		if !ok || !rt.Desk {
			continue
		}
		if got := boss.do(method, paths.Replace(path), nil); got.StatusCode != http.StatusForbidden || !strings.Contains(got.text, "no desk") {
			t.Errorf("%s: %s %s", rt.Pattern, got.Status, got.text)
		}
	}
	if got := boss.get("/"); got.StatusCode != http.StatusOK || !strings.Contains(got.text, "no desk") || strings.Contains(got.text, "<script") {
		t.Errorf("the desk of nobody: %s", got.Status)
	}
}

func TestSafetyHeaders(t *testing.T) {
	s := newSite(t)
	one := s.signedIn("one")
	for _, path := range []string{"/", "/login", "/me", "/nothing", "/pops/none", "/o/x", "/signin", "/standby"} {
		got := one.get(path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
			}
		}
		for _, inline := range []string{"<style", " style=", "<script>", " onclick", "javascript:"} {
			if strings.Contains(got.text, inline) {
				t.Errorf("%s has %q, which the policy forbids", path, inline)
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	b := s.signedIn("one")
	desk := b.get("/").text
	found := 0
	for _, quoted := range strings.Split(desk, `"`) {
		if !strings.HasPrefix(quoted, "/static/") {
			continue
		}
		found++
		got := b.get(quoted)
		if got.StatusCode != http.StatusOK || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || len(got.text) == 0 {
			t.Errorf("%s: %s %v", quoted, got.Status, got.Header)
		}
	}
	if found < 3 {
		t.Errorf("the desk names %d files", found)
	}
	if got := b.get("/static/ringlink.css"); got.StatusCode != http.StatusNotFound || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a file without its hash: %s %s", got.Status, got.Header.Get("Cache-Control"))
	}
}

func TestHostIsChecked(t *testing.T) {
	s := newSite(t)
	host := strings.TrimPrefix(s.http.URL, "http://")
	for _, tt := range []struct {
		host   string
		status int
	}{
		{host, http.StatusOK},
		{strings.ToUpper(host), http.StatusOK},
		{"rebound.example", http.StatusMisdirectedRequest},
		{"localhost" + host[strings.LastIndex(host, ":"):], http.StatusMisdirectedRequest},
		{"127.0.0.1", http.StatusMisdirectedRequest},
		{"127.0.0.1:1", http.StatusMisdirectedRequest},
	} {
		if got := s.browser().get("/login", "Host", tt.host); got.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.host, got.Status, tt.status)
		}
	}
}

func TestProxyIsNamed(t *testing.T) {
	behind := func(proxies ...netip.Prefix) func(*screenpop.ServerOptions) {
		return func(o *screenpop.ServerOptions) {
			o.ExternalURL, o.TrustedProxies = &url.URL{Scheme: "https", Host: "desk.example.com"}, proxies
		}
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	tests := []struct {
		name    string
		proxies []netip.Prefix
		headers []string
		status  int
	}{
		{"no proxy is trusted", nil, []string{"X-Forwarded-Proto", "https"}, http.StatusForbidden},
		{"another proxy is trusted", []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, []string{"X-Forwarded-Proto", "https"}, http.StatusForbidden},
		{"trusted, says nothing", []netip.Prefix{loopback}, nil, http.StatusForbidden},
		{"trusted, http", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "http"}, http.StatusForbidden},
		{"trusted, the browser's https before the proxy's http", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "https, http"}, http.StatusForbidden},
		{"trusted, https", []netip.Prefix{loopback}, []string{"X-Forwarded-Proto", "https"}, http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, behind(tt.proxies...))
			got := s.browser().get("/login", append([]string{"Host", "desk.example.com"}, tt.headers...)...)
			if got.StatusCode != tt.status {
				t.Errorf("%s, want %d\n%s", got.Status, tt.status, got.text)
			}
		})
	}
	t.Run("cookie and remote address", func(t *testing.T) {
		s := newSite(t, behind(loopback))
		got := s.browser().login("one", goodPassword, "Host", "desk.example.com", "X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.9, 203.0.113.7")
		want := "__Host-ringlink="
		if c := got.Header.Get("Set-Cookie"); !strings.HasPrefix(c, want) || !strings.Contains(c, "; Path=/; HttpOnly; Secure; SameSite=Lax") || strings.Contains(c, "Domain") {
			t.Errorf("cookie %q", c)
		}
		if got.Header.Get("Strict-Transport-Security") == "" {
			t.Error("no Strict-Transport-Security over https")
		}
		trail := s.store.Trail()
		if len(trail) != 1 || trail[0].Remote != "203.0.113.7" {
			t.Errorf("trail %+v", trail)
		}
	})
	t.Run("forwarded by nobody known", func(t *testing.T) {
		s := newSite(t)
		s.browser().login("one", goodPassword, "X-Forwarded-For", "203.0.113.7")
		if trail := s.store.Trail(); len(trail) != 1 || trail[0].Remote != "127.0.0.1" {
			t.Errorf("trail %+v", trail)
		}
	})
}

// Row 56: requests from other origins are refused, also of the same site.
func TestCrossOriginIsRefused(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	one := s.signedIn("one")
	for _, from := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		for _, rt := range s.srv.Routes() {
			method, path, _ := strings.Cut(rt.Pattern, " ")
			if method != http.MethodPost && !rt.API {
				continue
			}
			if got := one.do(method, paths.Replace(path), nil, from...); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %v: %s", rt.Pattern, from, got.Status)
			}
		}
	}
	if row, _ := s.store.Row("p1"); row.State != "offered" {
		t.Errorf("pop is %s", row.State)
	}
	if rows, _ := s.sessions.count(); rows != 1 {
		t.Errorf("%d sessions after a foreign sign-out, want 1", rows)
	}
}

func TestBigBodyIsRefused(t *testing.T) {
	s := newSite(t)
	got := s.browser().do(http.MethodPost, "/login", url.Values{"login": {"one"}, "password": {strings.Repeat("x", 64<<10)}})
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("%s", got.Status)
	}
}

func TestNewServerFaults(t *testing.T) {
	_, err := screenpop.NewServer(screenpop.ServerOptions{ExternalURL: &url.URL{Scheme: "http", Host: "desk.example.com"}, Idle: -time.Second})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"loopback", "Users", "Sessions", "Desks", "Pops", "Links", "Opened", "Passwords", "Audit", "negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
}
