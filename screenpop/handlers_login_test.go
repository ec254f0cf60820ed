package screenpop_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/screenpop"
)

// countedPasswords counts what is hashed.
type countedPasswords struct {
	*screenpop.Passwords
	checks atomic.Int32
}

func (c *countedPasswords) VerifyPassword(ctx context.Context, hash, password string) (bool, bool, error) {
	c.checks.Add(1)
	return c.Passwords.VerifyPassword(ctx, hash, password)
}

// An unknown login, a wrong password and a disabled user look alike and cost
// one hash each.
func TestFailedLoginsLookAlike(t *testing.T) {
	counted := &countedPasswords{Passwords: screenpop.NewPasswords(screenpop.PasswordOptions{Memory: 64, Time: 1})}
	s := newSite(t, func(o *screenpop.ServerOptions) { o.Passwords = counted })
	var first string
	for i, try := range [][2]string{{"one", "wrong"}, {"nobody", "wrong"}, {"gone", goodPassword}, {"", ""}} {
		got := s.browser().login(try[0], try[1])
		if got.StatusCode != http.StatusUnauthorized || len(got.Cookies()) != 0 {
			t.Errorf("%v: %s, cookies %v", try, got.Status, got.Cookies())
		}
		text := strings.ReplaceAll(got.text, `value="`+try[0]+`"`, `value=""`)
		text = strings.ReplaceAll(text, " autofocus", "")
		if i == 0 {
			first = text
		} else if text != first {
			t.Errorf("%v is told something else:\n%s", try, text)
		}
		if n := counted.checks.Load(); n != int32(i+1) {
			t.Errorf("%v: %d hashes after %d tries", try, n, i+1)
		}
	}
	if n := s.audited("login_failed", ""); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

func TestLoginStartsANewSession(t *testing.T) {
	s := newSite(t)
	b := s.signedIn("one")
	base, _ := url.Parse(b.base)
	before := b.Jar.Cookies(base)[0]
	got := b.login("ONE ", goodPassword)
	if c := got.Header.Get("Set-Cookie"); !strings.HasPrefix(c, "ringlink=") || !strings.HasSuffix(c, "; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("cookie %q", c)
	}
	if after := b.Jar.Cookies(base)[0]; after.Value == before.Value || len(after.Value) < 43 {
		t.Error("the token was not renewed")
	}
	if rows, _ := s.sessions.count(); rows != 1 {
		t.Errorf("%d sessions, want 1", rows)
	}
	for hash := range s.sessions.rows {
		if strings.Contains(hash, b.Jar.Cookies(base)[0].Value) {
			t.Error("the token is in the store unhashed")
		}
	}
	if got := b.post("/logout"); got.StatusCode != http.StatusSeeOther || s.audited("logout", "") != 1 {
		t.Errorf("signing out: %s", got.Status)
	}
	if got := b.get("/me", "Cookie", "ringlink="+before.Value); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old token: %s", got.Status)
	}
}

func TestLoginLimitPerLogin(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for range 5 {
		b.login("one", "wrong")
	}
	got := b.login("one", goodPassword)
	if got.StatusCode != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" || !strings.Contains(got.text, "try again in") {
		t.Fatalf("%s %s", got.Status, got.Header.Get("Retry-After"))
	}
	if s.audited("login_limited", "") != 1 {
		t.Error("not audited")
	}
	s.late.Add(int64(31 * time.Second))
	if got := b.login("one", goodPassword); got.StatusCode != http.StatusSeeOther {
		t.Errorf("after the wait: %s", got.Status)
	}
	for range 4 { // the good password cleared the slate
		if got := b.login("one", "wrong"); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s", got.Status)
		}
	}
}

func TestLoginLimitPerAddress(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for i := range 60 { // successes cost nothing
		if got := b.login([]string{"one", "two", "boss"}[i%3], goodPassword); got.StatusCode != http.StatusSeeOther {
			t.Fatalf("sign-in %d: %s", i, got.Status)
		}
	}
	limited := 0
	for i := range 25 {
		if got := b.login("guess"+strings.Repeat("x", i), "wrong"); got.StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 4 || limited > 5 { // 20 at once, and one more may have come meanwhile
		t.Errorf("%d of 25 were limited, want 5", limited)
	}
}

// Trouble of the store is nobody's failure and nobody's sign-in.
func TestLoginWithTheStoreAway(t *testing.T) {
	s := newSite(t)
	one := s.signedIn("one")
	s.sessions.fail(errors.New("store is away"))
	for range 8 {
		if got := s.browser().login("one", goodPassword); got.StatusCode != http.StatusServiceUnavailable || len(got.Cookies()) != 0 {
			t.Fatalf("%s", got.Status)
		}
	}
	if got := one.get("/"); got.StatusCode != http.StatusServiceUnavailable || strings.Contains(got.text, "away") {
		t.Errorf("desk: %s", got.Status)
	}
	s.sessions.fail(nil)
	if got := one.get("/"); got.StatusCode != http.StatusOK {
		t.Errorf("after: %s", got.Status)
	}
}

func TestSessionTimeouts(t *testing.T) {
	s := newSite(t, func(o *screenpop.ServerOptions) { o.Idle, o.Absolute = time.Hour, 3*time.Hour })
	b := s.signedIn("one")
	for range 3 { // in use every 50 minutes
		s.late.Add(int64(50 * time.Minute))
		if got := b.get("/me"); got.StatusCode != http.StatusOK {
			t.Fatalf("in use: %s", got.Status)
		}
	}
	s.late.Add(int64(40 * time.Minute))
	if got := b.get("/me"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the absolute time-out: %s", got.Status)
	}
	idle := s.signedIn("two")
	s.late.Add(int64(time.Hour))
	if got := idle.get("/me"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the idle time-out: %s", got.Status)
	}
}

func TestDisabledUserIsOut(t *testing.T) {
	s := newSite(t)
	b := s.signedIn("one")
	s.users.change("u1", func(u *screenpop.User) { u.Disabled = true })
	if got := b.get("/me"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", got.Status)
	}
}

func TestOneTimeSignIn(t *testing.T) {
	s := newSite(t)
	at, err := url.Parse(s.srv.MintSignIn("u1"))
	if err != nil || at.Path != "/signin" || at.RawQuery != "" || len(at.Fragment) != 43 {
		t.Fatalf("%v %v", at, err)
	}
	spend := func(b *browser, token string) answer {
		return b.do(http.MethodPost, "/signin", url.Values{"token": {token}})
	}
	b := s.browser()
	if got := b.get("/signin"); got.StatusCode != http.StatusOK || len(got.Cookies()) != 0 {
		t.Errorf("looking: %s", got.Status)
	}
	if got := spend(b, at.Fragment); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/" {
		t.Errorf("first: %s", got.Status)
	}
	if got := b.get("/me"); !strings.Contains(got.text, `"agent":"`+string(agentOne)+`"`) {
		t.Errorf("/me: %s", got.text)
	}
	if got := spend(s.browser(), at.Fragment); got.StatusCode != http.StatusGone || len(got.Cookies()) != 0 {
		t.Errorf("second: %s", got.Status)
	}
	late, _ := url.Parse(s.srv.MintSignIn("u1"))
	s.late.Add(int64(10 * time.Minute))
	if got := spend(s.browser(), late.Fragment); got.StatusCode != http.StatusGone {
		t.Errorf("late: %s", got.Status)
	}
	if strings.Contains(s.log.String(), at.Fragment) {
		t.Error("the token is in the log")
	}
}

func TestSafeNext(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "/",
		"/":                              "/",
		"/o/abc":                         "/o/abc",
		"/pops/pbx1%2Flab-1.0":           "/pops/pbx1%2Flab-1.0",
		"/o/abc?x=1#y":                   "/o/abc",
		"//evil.example/o/x":             "/",
		"https://evil.example/":          "/",
		`/\evil.example`:                 "/",
		"/o/\r\nSet-Cookie: a=b":         "/",
		"/o/../logout":                   "/",
		"/logout":                        "/",
		"javascript:alert(1)":            "/",
		"/o/" + strings.Repeat("a", 600): "/",
	} {
		if got := screenpop.SafeNext(in); got != want {
			t.Errorf("%q goes to %q, want %q", in, got, want)
		}
	}
}
