package screenpop_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringlink/screenpop"
)

// Row 52: nothing but the agent's own POST spends a link.
func TestLookingSpendsNoLink(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	one, nobody := s.signedIn("one"), s.browser()
	link := s.link("p1", agentOne)
	looks := []struct {
		name    string
		by      *browser
		method  string
		headers []string
		status  int
	}{
		{"GET", one, http.MethodGet, nil, http.StatusOK},
		{"HEAD", one, http.MethodHead, nil, http.StatusOK},
		{"prefetch", one, http.MethodGet, []string{"Sec-Purpose", "prefetch;prerender", "Purpose", "prefetch"}, http.StatusOK},
		{"OPTIONS", one, http.MethodOptions, nil, http.StatusNotFound},
		{"PUT", one, http.MethodPut, nil, http.StatusNotFound},
		{"GET signed out", nobody, http.MethodGet, nil, http.StatusSeeOther},
		{"HEAD signed out", nobody, http.MethodHead, nil, http.StatusSeeOther},
		{"scanner's POST", nobody, http.MethodPost, nil, http.StatusSeeOther},
		{"cross-site POST", one, http.MethodPost, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
	}
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			got := l.by.do(l.method, link, nil, l.headers...)
			if got.StatusCode != l.status {
				t.Errorf("status %d, want %d", got.StatusCode, l.status)
			}
			if l.status == http.StatusSeeOther {
				if want := "/login?next=" + url.QueryEscape(link); got.Header.Get("Location") != want {
					t.Errorf("goes to %q, want %q", got.Header.Get("Location"), want)
				}
			}
			if strings.Contains(got.text, "Maria") || strings.Contains(got.text, "2025550142") {
				t.Error("the page shows the caller")
			}
		})
	}
	got := one.post(link, "Sec-Fetch-Site", "same-origin", "Origin", "null")
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/pops/p1" {
		t.Fatalf("redeeming: %s to %q", got.Status, got.Header.Get("Location"))
	}
	if n := s.audited("link_redeemed", ""); n != 1 {
		t.Errorf("%d rows say redeemed, want 1", n)
	}
}

// Row 53, with what the agent is told.
func TestLinkRefusals(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	one, two, boss := s.signedIn("one"), s.signedIn("two"), s.signedIn("boss")
	used := s.link("p1", agentOne)
	if got := one.post(used); got.StatusCode != http.StatusSeeOther {
		t.Fatal(got.Status)
	}
	foreign := s.link("p1", agentOne)
	tests := []struct {
		name   string
		by     *browser
		link   string
		status int
		says   string
		detail string
	}{
		{"used", one, used, http.StatusGone, "was used already", "used"},
		{"other agent", two, foreign, http.StatusForbidden, "a colleague", "foreign"},
		{"no agent", boss, foreign, http.StatusForbidden, "a colleague", "no_desk"},
		{"unknown", one, "/o/" + strings.Repeat("A", 43), http.StatusNotFound, "do not know this link", "unknown"},
		{"cut off", one, foreign[:20], http.StatusNotFound, "do not know this link", "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.by.post(tt.link)
			if got.StatusCode != tt.status || !strings.Contains(got.text, tt.says) || !strings.Contains(got.text, `href="/"`) {
				t.Errorf("status %d, page\n%s", got.StatusCode, got.text)
			}
			if s.audited("link_refused", tt.detail) != 1 {
				t.Errorf("no row of %q in %+v", tt.detail, s.store.Trail())
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		s.late.Add(int64(61 * time.Second))
		got := one.post(foreign)
		if got.StatusCode != http.StatusGone || !strings.Contains(got.text, "has expired") || s.audited("link_refused", "expired") != 1 {
			t.Errorf("status %d, trail %+v", got.StatusCode, s.store.Trail())
		}
	})
	if strings.Contains(s.log.String(), foreign[3:]) {
		t.Error("a token is in the log")
	}
}

// The page behind a link is its agent's alone, and opens by a link alone.
func TestPopPageNeedsItsLink(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	one, two := s.signedIn("one"), s.signedIn("two")
	if got := one.get("/pops/p1"); got.StatusCode != http.StatusForbidden || strings.Contains(got.text, "Maria") {
		t.Errorf("before a link: %s", got.Status)
	}
	one.post(s.link("p1", agentOne))
	if got := two.get("/pops/p1"); got.StatusCode != http.StatusNotFound || strings.Contains(got.text, "Maria") {
		t.Errorf("for another agent: %s", got.Status)
	}
	if got := one.get("/pops/none"); got.StatusCode != http.StatusNotFound {
		t.Errorf("a pop that is not there: %s", got.Status)
	}
	got := one.get("/pops/p1")
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%s", got.Status)
	}
	for _, want := range []string{"IVR mode", "Maria Example", "+12025550142", "Example Logistics", "48213", "Blank labels", "https://desk.example.com/t/48213", "&#43;12025550100"} {
		if !strings.Contains(got.text, want) && !strings.Contains(strings.ReplaceAll(got.text, "&#43;", "+"), strings.ReplaceAll(want, "&#43;", "+")) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(got.text, "Dialled organization") {
		t.Error("the page has a dialled organization though none is known")
	}
}

// A link that meets the login page works after it, while it is young.
func TestLinkSurvivesSignIn(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	b := s.browser()
	link := s.link("p1", agentOne)
	if got := b.get(link); got.StatusCode != http.StatusSeeOther {
		t.Fatal(got.Status)
	}
	got := b.do(http.MethodPost, "/login", url.Values{"login": {"one"}, "password": {goodPassword}, "next": {link}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != link {
		t.Fatalf("%s to %q", got.Status, got.Header.Get("Location"))
	}
	if got := b.post(link); got.Header.Get("Location") != "/pops/p1" {
		t.Errorf("%s to %q", got.Status, got.Header.Get("Location"))
	}
}

func TestPopPageStates(t *testing.T) {
	s := newSite(t)
	one := s.signedIn("one")
	tests := []struct {
		name   string
		change func(*screenpop.Pop)
		has    []string
		lacks  []string
	}{
		{"no ticket of that number", func(p *screenpop.Pop) { p.Decision.Opens, p.Found.Ticket = "popup", nil },
			[]string{`role="dialog"`, "No call exists against that call number", "48213"}, []string{"Blank labels", "Open in the service desk"}},
		{"withheld", func(p *screenpop.Pop) {
			p.Decision.Opens, p.Found = "popup", screenpop.Found{Done: true}
			p.Facts.CallNumber, p.Facts.Caller.Withheld, p.Facts.Caller.Name = "", true, "Hidden Name"
		}, []string{"Number withheld", "no caller ID and no call number"}, []string{"2025550142", "Hidden Name"}},
		{"foreign", func(p *screenpop.Pop) { p.Found.Foreign = true }, []string{"belongs to another organization", "Blank labels"}, nil},
		{"ticket with a script for a URL", func(p *screenpop.Pop) { p.Found.Ticket.URL = "javascript:alert(1)" },
			[]string{"gave no address"}, []string{"javascript:", "Open in the service desk"}},
		{"ticket with a script that looks like a host", func(p *screenpop.Pop) { p.Found.Ticket.URL = "javascript://desk.example.com/%0aalert(1)" },
			[]string{"gave no address"}, []string{"javascript:", "alert(1)", "Open in the service desk"}},
		{"several", func(p *screenpop.Pop) { p.Found.Person, p.Found.Candidates = nil, 3 }, []string{"3 people share this number"}, []string{"Maria"}},
		{"ended", func(p *screenpop.Pop) { p.State = "ended" }, []string{"This call has ended"}, nil},
		{"superseded", func(p *screenpop.Pop) { p.State = "superseded" }, []string{"moved on to somebody else"}, nil},
		{"directory silent", func(p *screenpop.Pop) { p.Decision.Opens, p.Found = "pending", screenpop.Found{} }, []string{"Looking in the directory"}, nil},
	}
	s.pop("p1", agentOne)
	one.post(s.link("p1", agentOne))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.pop("p1", agentOne, tt.change)
			got := one.get("/pops/p1")
			for _, want := range tt.has {
				if !strings.Contains(got.text, want) {
					t.Errorf("the page lacks %q:\n%s", want, got.text)
				}
			}
			for _, no := range tt.lacks {
				if strings.Contains(got.text, no) {
					t.Errorf("the page has %q", no)
				}
			}
		})
	}
}
