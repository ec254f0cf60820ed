package screenpop_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

func TestPopCommands(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	one, two := s.signedIn("one"), s.signedIn("two")
	for _, verb := range []string{"shown", "acknowledge", "link"} {
		if got := two.post("/api/pops/p1/" + verb); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s by another agent: %s", verb, got.Status)
		}
	}
	if row, _ := s.store.Row("p1"); row.State != bridge.PopOffered || s.store.Links() != 0 {
		t.Fatalf("another agent moved the pop to %s", row.State)
	}
	if got := one.post("/api/pops/p1/shown"); got.StatusCode != http.StatusNoContent {
		t.Errorf("shown: %s", got.Status)
	}
	if row, _ := s.store.Row("p1"); row.State != bridge.PopShown {
		t.Errorf("pop is %s", row.State)
	}
	got := one.post("/api/pops/p1/link")
	var link struct {
		URL     string
		Expires time.Time
	}
	if err := json.Unmarshal([]byte(got.text), &link); err != nil || !strings.HasPrefix(link.URL, "/o/") || len(link.URL) != 46 ||
		time.Until(link.Expires) > time.Minute || time.Until(link.Expires) < 30*time.Second {
		t.Errorf("link: %s %s %v", got.Status, got.text, err)
	}
	if got := one.post("/api/pops/p1/acknowledge"); got.StatusCode != http.StatusNoContent {
		t.Errorf("acknowledge: %s", got.Status)
	}
	if row, _ := s.store.Row("p1"); row.State != bridge.PopAcknowledged {
		t.Errorf("pop is %s", row.State)
	}
}

func TestDegradedPopHasNoLinkYet(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne, func(p *screenpop.Pop) { p.Degraded = true })
	got := s.signedIn("one").post("/api/pops/p1/link")
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || !strings.Contains(got.text, "being written") {
		t.Errorf("%s %s", got.Status, got.text)
	}
}

// A PopID with a slash in it still is one segment.
func TestPopIDWithASlash(t *testing.T) {
	s := newSite(t)
	s.pop("pbx1/lab-1.0", agentOne)
	one := s.signedIn("one")
	got := one.post(s.link("pbx1/lab-1.0", agentOne))
	at := got.Header.Get("Location")
	if at != "/pops/pbx1%2Flab-1.0" {
		t.Fatalf("goes to %q", at)
	}
	if got := one.get(at); got.StatusCode != http.StatusOK {
		t.Errorf("%s", got.Status)
	}
}

// Row 57: a hostile name is text in the page, in the stream and in the log.
func TestHostileNamesAreInert(t *testing.T) {
	for _, name := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><svg/onload=alert(1)>`,
		"CR\r\nSet-Cookie: a=b\r\n\r\nevent: state", "\u202egnp.exe", "\u2028\u2029", "{{.}}${1}", strings.Repeat("W", 10<<10), "\xff\xfe\x00",
	} {
		s := newSite(t)
		s.pop("p1", agentOne, func(p *screenpop.Pop) {
			p.Found.Person = &screenpop.Person{Name: bridge.PersonName(name)}
			p.Found.Organization = &screenpop.Organization{Name: name}
			p.Found.Dialled = &screenpop.Organization{Name: name}
			p.Found.Ticket.Title, p.Found.Ticket.URL = name, "https://desk.example.com/?q="+name
			p.Facts.CallNumber, p.Facts.Dialled = bridge.TicketNumber(name), bridge.Number(name)
			p.Facts.Caller = bridge.Caller{Number: bridge.Number(name), Name: bridge.PersonName(name)}
		})
		one := s.signedIn("one")
		one.post(s.link("p1", agentOne))
		got := one.get("/pops/p1")
		if got.StatusCode != http.StatusOK {
			t.Errorf("%.20q: %s", name, got.Status)
		}
		for _, bad := range []string{"<script>alert", "<img src=x", "<svg", "\r", "\u202e", "\u2028", "\x00", "\xff", strings.Repeat("W", 300)} {
			if strings.Contains(strings.ReplaceAll(got.text, "https://desk.example.com/?q="+name, ""), bad) &&
				!strings.HasPrefix(bad, "WWW") || strings.HasPrefix(bad, "WWW") && strings.Contains(got.text, ">"+bad) {
				t.Errorf("%.20q: the page has %.20q", name, bad)
			}
		}
		_, events := one.listen()
		await(t, events)
		s.hub.Publish(agentOne, screenpop.CallView{Call: "c1", State: "talking", CallerName: name, Person: name, TicketTitle: name})
		s.hub.Publish(agentOne, talking("c2"))
		for _, want := range []string{"c1", "c2"} {
			e := await(t, events)
			var v screenpop.CallView
			if err := json.Unmarshal([]byte(e.data), &v); err != nil || e.name != "call" || v.Call != want || strings.ContainsAny(e.data, "<>\r\u2028") {
				t.Errorf("%.20q: event %.200q: %v", name, e.data, err)
			}
		}
		if len(name) > 3 && strings.Contains(s.log.String(), name) {
			t.Errorf("%.20q is in the log", name)
		}
	}
}
