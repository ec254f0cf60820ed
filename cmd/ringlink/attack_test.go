package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

// rigDirectory adds to labDirectory what the desk shows differently: several
// people of one number, a ticket of somebody else's, one that is closed and
// has an address, and names that mean harm.
const rigDirectory = labDirectory + `organization,o3,Other Example,,,,,,
person,p2,Bea Example,,o1,,,,
person,p3,Cem Example,,o1,,,,
number,n4,,+12025550102,,p2,,,work
number,n5,,+12025550102,,p3,,,work
person,p4,"<script>alert(1)</script>` + "\u202e" + `gpj.exe",,,,,,
number,n6,,+12025550103,,p4,,,work
ticket,t2,,2042,o3,,"<b onclick=alert(2)>Their ticket</b>",closed,
`

// rig is a gateway in this process with a fake Asterisk whose calls a test
// plays step by step.
type rig struct {
	t      *testing.T
	app    *app
	fake   *aritest.Asterisk
	script *aritest.Script
	base   string
	log    *logFile
	calls  int
	users  map[string]string // login -> id
}

const rigPassword = "rig-has-a-long-password"

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, log: &logFile{}, users: map[string]string{}}
	var err error
	if r.fake, err = aritest.New(aritest.Options{}); err != nil {
		t.Fatal(err)
	}
	desk, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.base = "http://" + desk.Addr().String()
	cfg, err := config.Parse("rig.yaml", fmt.Appendf(nil, `external_url: %[1]s
listen: %[2]s
debug_listen: 127.0.0.1:0
store: {driver: sqlite, path: ":memory:"}
pbxs:
  - name: lab
    ari: {url: %[3]s, user: ringlink, password: {env: ARI}, app: ringlink-rig}
    trunks: [PJSIP/trunk]
    region: US
`, r.base, desk.Addr(), r.fake.URL()), os.TempDir(), func(string) (string, bool) { return "secret", true })
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.app, err = newApp(cfg, log, appOptions{desk: desk}); err != nil {
		t.Fatal(err)
	}
	r.script = aritest.NewScript(time.Now(), "lab")
	r.script.Follow(time.Now)
	l := newLifecycle(log, stopLimit)
	l.run("fake Asterisk", r.fake.Run)
	l.run("ringlink", r.app.Run)
	t.Cleanup(func() {
		if err := l.stop(); err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	r.fill()
	return r
}

// fill waits until the gateway is ready and fills its store.
func (r *rig) fill() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := waitFor(ctx, func() bool { return len(r.app.notReady()) == 0 }); err != nil {
		r.t.Fatalf("%v: %v", err, r.app.notReady())
	}
	db := r.app.db
	if _, err := db.Import(ctx, strings.NewReader(rigDirectory), store.ImportOptions{Name: "rig.csv", Region: "US"}); err != nil {
		r.t.Fatal(err)
	}
	hash, err := screenpop.NewPasswords(screenpop.PasswordOptions{Memory: 64, Time: 1}).HashPassword(ctx, rigPassword)
	if err != nil {
		r.t.Fatal(err)
	}
	for login, role := range map[string]screenpop.Role{"ann": screenpop.RoleAgent, "bob": screenpop.RoleAgent, "boss": screenpop.RoleSupervisor} {
		u, err := db.AddUser(ctx, store.NewUser{Login: login, Name: "Agent " + login, Role: role, PasswordHash: hash})
		if err != nil {
			r.t.Fatal(err)
		}
		r.users[login] = u.ID
		if role != screenpop.RoleAgent {
			continue
		}
		if err := db.MapDevice(ctx, login, bridge.Device{PBX: "lab", Endpoint: labAgents[login]}); err != nil {
			r.t.Fatal(err)
		}
	}
	r.app.tellDevices(ctx, "")
}

func (r *rig) play(steps []aritest.Step) {
	r.t.Helper()
	if err := r.fake.PlaySteps(r.t.Context(), steps, 0); err != nil {
		r.t.Fatal(err)
	}
}

// ring plays a call up to its ringing at the login's device. An empty number
// is withheld.
func (r *rig) ring(login, number, name, keys string) *aritest.Call {
	r.t.Helper()
	r.calls++
	id := fmt.Sprintf("rig-%d@caller.example.com", r.calls)
	c, steps := r.script.Inbound(number, name, "5000", id)
	if number == "" {
		c, steps = r.script.Withheld("", "5000", id)
	}
	r.play(steps)
	if keys != "" {
		r.play(c.SetCallNumber(keys))
	}
	r.play(c.Ring(labAgents[login]))
	return c
}

// talk is ring and the answer.
func (r *rig) talk(login, number, name, keys string) *aritest.Call {
	r.t.Helper()
	c := r.ring(login, number, name, keys)
	r.play(c.Answer(labAgents[login]))
	return c
}

// client signs a client in that holds the login's stream until the test ends.
func (r *rig) client(login string) *deskClient {
	r.t.Helper()
	d, err := newDeskClient(r.base)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := d.signIn(r.t.Context(), login, rigPassword); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	open, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.stream(ctx, open) }()
	r.t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-open:
	case <-time.After(patience):
		r.t.Fatal("the stream did not open")
	}
	return d
}

// At level debug the log of a whole call tells no number, no name, no ticket,
// no token and no password, whoever did what.
func TestLogTellsNothingPersonal(t *testing.T) {
	r := newRig(t)
	ann, bob := r.client("ann"), r.client("bob")
	c := r.talk("ann", "+12025550101", "ADA E", "1042")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := ann.wait(ctx, talking)
	if err != nil {
		t.Fatal(err)
	}
	link, err := ann.link(ctx, v.Pop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.open(ctx, link); err == nil {
		t.Error("bob opened ann's link")
	}
	if page, err := ann.open(ctx, link); err != nil || !strings.Contains(page, "Printer on fire") {
		t.Errorf("ann's page: %v", err)
	}
	for _, d := range []*deskClient{ann, bob} {
		_, _ = d.open(ctx, link)
	}
	if err := bob.signIn(ctx, "bob", "a-wrong-password"); err == nil {
		t.Error("a wrong password signed in")
	}
	at, err := url.Parse(r.app.server.MintSignIn(r.users["bob"]))
	if err != nil || bob.signInOnce(ctx, at.Fragment) != nil {
		t.Error("the one-time sign-in failed")
	}
	if err := bob.signInOnce(ctx, at.Fragment); err == nil {
		t.Error("the one-time sign-in worked twice")
	}
	r.play(c.Hangup())
	if _, err := ann.wait(ctx, func(v screenpop.CallView) bool { return v.Pop != "" && v.State == "ended" }); err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse(r.base)
	secrets := []string{"2025550101", "Ada", "ADA", "1042", "Printer", "Example Ltd", strings.TrimPrefix(link, "/o/"), at.Fragment, rigPassword, "a-wrong-password"}
	for _, d := range []*deskClient{ann, bob} {
		for _, cookie := range d.client.Jar.Cookies(base) {
			secrets = append(secrets, cookie.Value)
		}
	}
	// The line of the call follows the desk's message.
	if err := waitFor(ctx, func() bool { return strings.Contains(r.log.String(), "msg=call ") }); err != nil {
		t.Errorf("the log has no line of the call: %v", err)
	}
	log := r.log.String()
	for i, s := range secrets {
		if strings.Contains(log, s) {
			t.Errorf("secret %d of %d is in the log", i+1, len(secrets))
		}
	}
	if !strings.Contains(log, "level=DEBUG") {
		t.Error("the log is not at level debug")
	}
}

// 500 streams of one agent: a few are let in, the others told why, and when
// they go nothing stays.
func TestManyStreamsOfOneAgent(t *testing.T) {
	r := newRig(t)
	ann := r.client("ann")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	status := make(chan int, 500)
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/stream", nil)
			resp, err := ann.client.Do(req)
			if err != nil {
				status <- 0
				return
			}
			defer resp.Body.Close()
			status <- resp.StatusCode
			<-ctx.Done()
		})
	}
	got := map[int]int{}
	for range 500 {
		got[<-status]++
	}
	if got[http.StatusOK] != 7 || got[http.StatusTooManyRequests] != 493 || r.app.hub.Streams("ann") != 8 {
		t.Errorf("answers by status %v, %d streams open", got, r.app.hub.Streams("ann"))
	}
	cancel()
	all.Wait()
	limit, end := context.WithTimeout(t.Context(), patience)
	defer end()
	if err := waitFor(limit, func() bool { return r.app.hub.Streams("ann") == 1 }); err != nil {
		t.Errorf("%d streams are left", r.app.hub.Streams("ann"))
	}
}

// foreignPage does to the desk at base what a page of another origin can: it
// returns what it managed.
const foreignPage = `(async (base, pop) => {
	const got = [];
	for (const [path, init] of [['/me', {}], ['/api/stream', {}], ['/api/stream', {mode: 'no-cors'}], ['/', {mode: 'no-cors'}],
		['/api/pops/' + encodeURIComponent(pop) + '/acknowledge', {method: 'POST', mode: 'no-cors', body: '{}'}], ['/logout', {method: 'POST', mode: 'no-cors'}]]) {
		const res = await fetch(base + path, {credentials: 'include', ...init}).catch(() => null);
		if (res) got.push(path + ' ' + res.type + ' ' + res.status);
	}
	const stream = new EventSource(base + '/api/stream', {withCredentials: true});
	await new Promise((done) => { stream.onerror = done; stream.onopen = () => { got.push('EventSource'); done(); }; });
	stream.close();
	const form = document.body.appendChild(document.createElement('form'));
	Object.assign(form, {method: 'post', action: base + '/logout'});
	setTimeout(() => form.submit());
	return got;
})`

// Row 56: a page of another site, and one of the same site but another origin,
// in the agent's own browser with the agent's own cookie.
func TestForeignPageInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, "")
	v.in("ann")
	r.talk("ann", "+12025550101", "", "")
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	pop := look(t, tab, chromedp.Evaluate[string](`document.querySelector('.card').dataset.pop`))
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Evil</title><body>`)
	}))
	defer evil.Close()
	for name, base := range map[string]string{"same site": evil.URL, "another site": strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		page := tabOf(t, tab)
		browse(t, page, chromedp.Navigate(base), chromedp.WaitReady(chromedp.CSS("body")))
		if got := look(t, page, chromedp.Evaluate[[]string](fmt.Sprintf("%s(%q, %q)", foreignPage, r.base, pop), chromedp.EvalAwaitPromise)); len(got) > 0 {
			t.Errorf("a page of %s managed %q", name, got)
		}
		browse(t, page, chromedp.WaitVisible(chromedp.CSS(`pre`)))
		if text := look(t, page, chromedp.Text(chromedp.CSS("body"))); !strings.Contains(text, "another site") {
			t.Errorf("signing out from %s: %s", name, text)
		}
	}
	if n := r.app.hub.Streams("ann"); n != 1 {
		t.Errorf("ann has %d streams", n)
	}
	row, err := r.app.db.PopByID(t.Context(), bridge.PopID(pop))
	if err != nil || row.State != bridge.PopShown {
		t.Errorf("the pop is %s, %v", row.State, err)
	}
	v.open() // the session holds
}

// After signing out, Back shows nothing of the desk or of a call, and another
// agent at the same browser sees their own desk alone.
func TestSignOutInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, "")
	v.in("ann")
	r.talk("ann", "+12025550101", "", "")
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	v.open()
	browse(t, tab, chromedp.Click(chromedp.CSS(`form[action="/logout"] button`)), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	for range 2 {
		browse(t, tab, chromedp.NavigateBack(), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
		if text := look(t, tab, chromedp.Evaluate[string](`document.documentElement.innerHTML`)); strings.Contains(text, "Ada") {
			t.Error("the page is there again after signing out")
		}
	}
	v.in("bob")
	if n := look(t, tab, chromedp.Evaluate[int](`document.querySelectorAll('.card').length`)); n != 0 || r.app.hub.Streams("ann") != 0 {
		t.Errorf("bob sees %d cards; ann has %d streams", n, r.app.hub.Streams("ann"))
	}
}
