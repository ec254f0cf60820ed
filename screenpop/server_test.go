package screenpop_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

const goodPassword = "correct horse battery"

// site is a Server on a loopback port with real hub, linker and passwords and
// a store in memory.
type site struct {
	t        *testing.T
	srv      *screenpop.Server
	http     *httptest.Server
	hub      *screenpop.Hub
	store    *screenpoptest.Store
	users    *userList
	sessions *sessionMap
	links    *screenpop.Linker
	log      *lockedBuffer
	late     atomic.Int64 // how far the clock was put forward
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.late.Load())) }

func newSite(t *testing.T, change ...func(*screenpop.ServerOptions)) *site {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	s := &site{t: t, store: &screenpoptest.Store{}, sessions: &sessionMap{rows: map[string][]byte{}}, log: &lockedBuffer{}}
	passwords := screenpop.NewPasswords(screenpop.PasswordOptions{Memory: 64, Time: 1})
	hash, err := passwords.HashPassword(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	s.users = &userList{rows: []screenpop.User{
		{ID: "u1", Login: "one", Name: "Agent One", Role: screenpop.RoleAgent, PasswordHash: hash, Agent: agentOne},
		{ID: "u2", Login: "two", Name: "Agent Two", Role: screenpop.RoleAgent, PasswordHash: hash, Agent: agentTwo},
		{ID: "u3", Login: "boss", Name: "Supervisor", Role: screenpop.RoleSupervisor, PasswordHash: hash},
		{ID: "u4", Login: "gone", Name: "Gone", Role: screenpop.RoleAgent, PasswordHash: hash, Agent: "agent-gone", Disabled: true},
	}}
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.hub = screenpop.NewHub(screenpop.HubOptions{QueueLength: 4096})
	pops := &sitePops{store: s.store, now: s.now}
	s.links, err = screenpop.NewLinker(screenpop.LinkerOptions{Links: s.store, Pops: pops, Audit: s.store, Clock: s.now})
	if err != nil {
		t.Fatal(err)
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.srv.Handler().ServeHTTP(w, r) }))
	s.http.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10) // so that a stalled reader is met soon
		return ctx
	}
	o := screenpop.ServerOptions{
		ExternalURL: &url.URL{Scheme: "http", Host: s.http.Listener.Addr().String()},
		Users:       s.users, Sessions: s.sessions, Desks: s.hub, Pops: pops, Links: s.links, Opened: s.store,
		Passwords: passwords, Audit: s.store, Logger: logger, Clock: s.now,
	}
	for _, c := range change {
		c(&o)
	}
	if s.srv, err = screenpop.NewServer(o); err != nil {
		t.Fatal(err)
	}
	s.http.Start()
	t.Cleanup(func() {
		s.hub.Close()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// browser keeps cookies and follows nothing.
type browser struct {
	*http.Client
	t    *testing.T
	base string
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	tr := &http.Transport{}
	s.t.Cleanup(tr.CloseIdleConnections)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{Client: &http.Client{Jar: jar, Transport: tr, CheckRedirect: stay}, t: s.t, base: s.http.URL}
}

// signedIn is a browser of that login.
func (s *site) signedIn(login string) *browser {
	s.t.Helper()
	b := s.browser()
	if got := b.login(login, goodPassword); got.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("signing in %s: %s\n%s", login, got.Status, got.text)
	}
	return b
}

type answer struct {
	*http.Response
	text string
}

func (b *browser) do(method, path string, form url.Values, headers ...string) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (b *browser) get(path string, headers ...string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, headers...)
}

func (b *browser) post(path string, headers ...string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, path, nil, headers...)
}

func (b *browser) login(login, password string, headers ...string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, "/login", url.Values{"login": {login}, "password": {password}}, headers...)
}

// pop puts a talking pop of the agent into the store.
func (s *site) pop(id bridge.PopID, agent bridge.AgentID, change ...func(*screenpop.Pop)) {
	p := screenpop.Pop{
		ID: id, Call: "pbx1/lab-1.0", Agent: agent, State: bridge.PopOffered, Answered: s.now(), Offered: s.now(),
		Facts:    bridge.Facts{Caller: bridge.Caller{Number: "+12025550142"}, Dialled: "+12025550100", CallNumber: "48213"},
		Decision: bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensTicket},
		Found: screenpop.Found{
			Done: true, Candidates: 1, Person: &screenpop.Person{Name: "Maria Example"}, Organization: &screenpop.Organization{Name: "Example Logistics"},
			Ticket: &screenpop.Ticket{Number: "48213", Title: "Blank labels", State: "open", URL: "https://desk.example.com/t/48213"},
		},
	}
	for _, c := range change {
		c(&p)
	}
	s.store.Put(p)
}

// link mints a link as the agent's desk would have it done.
func (s *site) link(id bridge.PopID, agent bridge.AgentID) string {
	s.t.Helper()
	token, _, err := s.links.Mint(s.t.Context(), agent, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return "/o/" + token
}

// audited tells how often the trail has the action with the detail.
func (s *site) audited(action, detail string) int {
	n := 0
	for _, e := range s.store.Trail() {
		if e.Action == action && e.Detail == detail {
			n++
		}
	}
	return n
}

// sitePops is the part of a Popper that a desk uses, straight on the store.
type sitePops struct {
	store *screenpoptest.Store
	now   func() time.Time
}

func (p *sitePops) Pop(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (screenpop.Pop, error) {
	pop, err := p.store.PopByID(ctx, id)
	if err == nil && pop.Agent != agent {
		err = screenpop.ErrNotFound
	}
	return pop, err
}

func (p *sitePops) move(ctx context.Context, agent bridge.AgentID, id bridge.PopID, to bridge.PopState) error {
	if _, err := p.Pop(ctx, agent, id); err != nil {
		return err
	}
	_, err := p.store.AdvancePop(ctx, id, to, "", "", p.now())
	return err
}

func (p *sitePops) Shown(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return p.move(ctx, agent, id, bridge.PopShown)
}

func (p *sitePops) Acknowledge(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return p.move(ctx, agent, id, bridge.PopAcknowledged)
}

type userList struct {
	mu   sync.Mutex
	rows []screenpop.User
	err  error
}

func (l *userList) find(match func(screenpop.User) bool) (screenpop.User, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range l.rows {
		if match(u) && l.err == nil {
			return u, nil
		}
	}
	if l.err != nil {
		return screenpop.User{}, l.err
	}
	return screenpop.User{}, screenpop.ErrNotFound
}

func (l *userList) UserByLogin(_ context.Context, login string) (screenpop.User, error) {
	return l.find(func(u screenpop.User) bool { return u.Login == login })
}

func (l *userList) UserByID(_ context.Context, id string) (screenpop.User, error) {
	return l.find(func(u screenpop.User) bool { return u.ID == id })
}

func (l *userList) change(id string, f func(*screenpop.User)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.rows {
		if l.rows[i].ID == id {
			f(&l.rows[i])
		}
	}
}

type sessionMap struct {
	mu     sync.Mutex
	rows   map[string][]byte
	writes int
	err    error
}

func (m *sessionMap) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.rows[token]
	return b, ok, m.err
}

func (m *sessionMap) CommitCtx(_ context.Context, token string, b []byte, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	m.rows[token] = bytes.Clone(b)
	return m.err
}

func (m *sessionMap) DeleteCtx(_ context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, token)
	return m.err
}

func (m *sessionMap) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.rows)
}

func (m *sessionMap) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *sessionMap) count() (rows, writes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows), m.writes
}

func (m *sessionMap) Find(string) ([]byte, bool, error)      { panic("without a context") }
func (m *sessionMap) Commit(string, []byte, time.Time) error { panic("without a context") }
func (m *sessionMap) Delete(string) error                    { panic("without a context") }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
