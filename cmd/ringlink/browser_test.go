package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"ringlink/cmd/internal/lab"
)

// browse runs actions in a tab, within patience.
func browse(t testing.TB, tab context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		again, done := context.WithTimeout(tab, time.Second)
		defer done()
		text, _ := chromedp.Run(again, chromedp.Text(chromedp.CSS("body")))
		t.Fatalf("in the browser: %v\nthe page says:\n%s", err, text)
	}
}

// tabOf makes a tab usable. The first use of a context is without a deadline,
// which would close the tab when it passes.
func tabOf(t testing.TB, parent context.Context, opts ...chromedp.ContextOption) context.Context {
	t.Helper()
	tab, end := chromedp.NewContext(parent, opts...)
	t.Cleanup(end)
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	return tab
}

// look asks a tab for something, within patience.
func look[T any](t testing.TB, tab context.Context, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatalf("in the browser: %v", err)
	}
	return v
}

// signIn fills the login form and waits for the live desk.
func (g *gateway) signIn(tab context.Context, login string) {
	g.t.Helper()
	browse(g.t, tab,
		chromedp.Navigate(g.base),
		chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)),
		chromedp.SendKeys(chromedp.CSS(`input[name=login]`), login),
		chromedp.SendKeys(chromedp.CSS(`input[name=password]`), labPassword(login)+"\r"),
		chromedp.WaitVisible(chromedp.CSS(`#link[data-link=live]`)),
	)
}

// screenshot keeps a picture of the tab if RINGLINK_SCREENSHOTS names a folder.
func screenshot(t testing.TB, tab context.Context, name string) {
	t.Helper()
	dir := os.Getenv("RINGLINK_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), look(t, tab, chromedp.CaptureScreenshot()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The main job as people see it: an agent signs in, a call on the real
// Asterisk is answered on a real phone, the pop appears in a real Chromium, the
// link opens the ticket once. Another agent's browser shows nothing.
func TestPopInChromium(t *testing.T) {
	site := lab.StartSite(t, lab.Options{}, "observer")
	g := newGateway(t, site.Asterisk, sqliteStore(t))
	g.people()
	g.importText(labDirectory)
	g.start()
	g.ready()
	ann := lab.StartChromium(t)
	g.signIn(ann, "ann")
	bob := tabOf(t, ann, chromedp.WithNewBrowserContext())
	g.signIn(bob, "bob")

	caller := lab.Call(t, site.Asterisk, lab.CallOptions{From: "+12025550101", Name: "ADA E", To: "5010"})
	site.Phones["101"].WaitRinging(t.Context())
	browse(t, ann, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=ringing]`)))
	screenshot(t, ann, "ringing")
	site.Phones["101"].Answer()
	browse(t, ann, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	name, about := look(t, ann, chromedp.Text(chromedp.CSS(`.card h2`))), look(t, ann, chromedp.Text(chromedp.CSS(`.card .about`)))
	screenshot(t, ann, "talking")
	if name != "Ada Example" || !strings.Contains(about, "1042") || !strings.Contains(about, "Printer on fire") {
		t.Errorf("the card says %q, %q", name, about)
	}

	// The keyboard alone: the button is reached by Tab and pressed by Enter.
	opened := chromedp.WaitNewTarget(ann, func(i *target.Info) bool { return i.Type == "page" && i.URL != "" })
	browse(t, ann, chromedp.Focus(chromedp.CSS(`.card button.main`)), chromedp.SendKeys(chromedp.CSS(`.card button.main`), "\r"))
	var id target.ID
	select {
	case id = <-opened:
	case <-time.After(patience):
		t.Fatal("no tab opened")
	}
	pop := tabOf(t, ann, chromedp.WithTargetID(id))
	browse(t, pop, chromedp.WaitVisible(chromedp.CSS(`body[data-page=pop]`)))
	text, address := look(t, pop, chromedp.Evaluate[string](`document.body.innerText`)), look(t, pop, chromedp.Evaluate[string](`location.href`))
	screenshot(t, pop, "ticket")
	for _, want := range []string{"Ada Example", "Example Ltd", "+12025550101", "1042", "Printer on fire", "Helpdesk Example"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page behind the link does not show %q:\n%s", want, text)
		}
	}
	for _, personal := range []string{"2025550101", "1042", "Ada"} {
		if strings.Contains(address, personal) {
			t.Errorf("personal data in the address %s", address)
		}
	}

	caller.Hangup()
	browse(t, ann, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=ended]`)))
	screenshot(t, ann, "ended")
	if cards := look(t, bob, chromedp.Evaluate[int](`document.querySelectorAll('.card').length`)); cards != 0 {
		t.Errorf("bob's desk shows %d cards", cards)
	}
	rows := g.allEnded(0)
	if len(rows) != 1 || rows[0].ShownAt == nil || rows[0].AcknowledgedAt == nil {
		t.Errorf("rows: %+v", rows)
	}
}

// The demo as a newcomer sees it: the address that it prints signs the browser
// in, once, and the first call comes.
func TestDemoInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "demo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	printed := make(chan string, 1)
	go func() {
		var all strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(&all, lines.Text())
			if at := strings.Index(lines.Text(), "http://"); at >= 0 && strings.HasPrefix(lines.Text(), "Ann") {
				address <- lines.Text()[at:]
			}
		}
		printed <- all.String()
	}()
	var url string
	select {
	case url = <-address:
	case <-time.After(patience):
		t.Fatal("the demo printed no address")
	}
	browse(t, tab, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	if name := look(t, tab, chromedp.Text(chromedp.CSS(`.card h2`))); name != "Ada Example" {
		t.Errorf("the first caller is %q", name)
	}
	screenshot(t, tab, "demo")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var text string
	select {
	case text = <-printed:
	case <-time.After(patience):
		t.Fatal("the demo did not end")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	for _, want := range []string{"Call 1: known caller", "SIP INVITE", "pop for ann, INVITE and channel joined"} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo did not print %q:\n%s", want, text)
		}
	}
}
