package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"ringlink/cmd/internal/lab"
	"ringlink/store/storetest"
)

// axeVersion is the one that .ci/setup fetches.
const axeVersion = "4.14.1"

// axeSource reads axe-core from the cache folder. It belongs to the tier of
// Chromium: where that is mandatory it may not be missing.
func axeSource(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("RINGLINK_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "ringlink")
	}
	text, err := os.ReadFile(filepath.Join(cache, "axe-core-"+axeVersion, "axe.min.js"))
	if err != nil {
		storetest.Missing(t, storetest.TierChromium, "axe-core: %v", err)
	}
	return string(text)
}

// viewer is a tab that is looked at closely: what its console says, and what
// axe finds.
type viewer struct {
	*rig
	tab context.Context
	axe string

	mu      sync.Mutex // guards console
	console []string
}

// view watches the console of a tab from now on.
func (r *rig) view(tab context.Context, axe string) *viewer {
	r.t.Helper()
	v := &viewer{rig: r, tab: tab, axe: axe}
	err := chromedp.Listen(tab, func(ev any) {
		text := ""
		switch e := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			b, _ := json.Marshal(e.Args)
			text = fmt.Sprint("console: ", string(b))
		case *runtime.EventExceptionThrown:
			text = "exception: " + e.ExceptionDetails.Text
		case *log.EventEntryAdded:
			text = fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text)
		default:
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.console = append(v.console, text)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// quiet fails for what the console said since the last time. Pages that say
// "no" come with a status that the browser notes too.
func (v *viewer) quiet(name string, allowed ...string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
next:
	for _, text := range v.console {
		for _, ok := range allowed {
			if strings.Contains(text, ok) {
				continue next
			}
		}
		v.t.Errorf("%s: %s", name, text)
	}
	v.console = nil
}

// looks are the ways in which every state is looked at.
var looks = []struct {
	scheme string
	width  int64
}{{"light", 1280}, {"dark", 1280}, {"light", 320}, {"dark", 320}}

const axeRun = `(async () => {
	const found = await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations']});
	return found.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ') + ' (' + n.failureSummary + ')').join('; '));
})()`

// inspect looks at the state of the page that the tab shows: axe, nothing to
// scroll sideways, nothing in the console, and a picture of each look.
func (v *viewer) inspect(name string, allowed ...string) {
	v.t.Helper()
	look(v.t, v.tab, chromedp.Evaluate[bool](v.axe+"; true"))
	for _, l := range looks {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
		if _, err := chromedp.Call(v.tab, emulation.SetEmulatedMedia, media); err != nil {
			v.t.Fatal(err)
		}
		browse(v.t, v.tab, chromedp.EmulateViewport(l.width, 900))
		which := fmt.Sprintf("%s-%s-%d", name, l.scheme, l.width)
		for _, fault := range look(v.t, v.tab, chromedp.Evaluate[[]string](axeRun, chromedp.EvalAwaitPromise)) {
			v.t.Errorf("%s: axe: %s", which, fault)
		}
		if over := look(v.t, v.tab, chromedp.Evaluate[int](`document.scrollingElement.scrollWidth - innerWidth`)); over > 0 {
			v.t.Errorf("%s: %d px stand out to the side", which, over)
		}
		screenshot(v.t, v.tab, which)
	}
	browse(v.t, v.tab, chromedp.EmulateViewport(1280, 900))
	v.quiet(name, allowed...)
}

// to opens a path and waits until what is selected is seen.
func (v *viewer) to(path, selector string) {
	v.t.Helper()
	browse(v.t, v.tab, chromedp.Navigate(v.base+path), chromedp.WaitVisible(chromedp.CSS(selector)))
}

// in signs the login in by a one-time address and waits for the live desk.
func (v *viewer) in(login string) {
	v.t.Helper()
	browse(v.t, v.tab, chromedp.Navigate(v.app.server.MintSignIn(v.users[login])), chromedp.WaitVisible(chromedp.CSS(`#link[data-link=live], .empty`)))
}

// open follows a fresh link of the running pop in this tab.
func (v *viewer) open() {
	v.t.Helper()
	url := look(v.t, v.tab, chromedp.Evaluate[string](`(async () => {
		const pop = document.querySelector('.card[data-pop]:not([data-pop=""])').dataset.pop;
		return (await (await fetch('/api/pops/' + encodeURIComponent(pop) + '/link', {method: 'POST'})).json()).url;
	})()`, chromedp.EvalAwaitPromise))
	v.leave(func() { v.to(url, `body[data-page=pop] #link[data-link=live]`) })
}

// leave accepts the question that the desk asks while a call is in progress,
// and tells whether it was asked.
func (v *viewer) leave(do func()) (asked bool) {
	v.t.Helper()
	ctx, cancel := context.WithCancel(v.tab)
	dialogs := chromedp.Events(ctx, page.JavascriptDialogOpening)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ev, err := range dialogs {
			if err != nil {
				return
			}
			asked = ev.Type == page.DialogTypeBeforeunload
			_, _ = chromedp.Call(v.tab, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	}()
	do()
	cancel()
	<-done
	return asked
}

// Every page before and without a call: axe, console, both colours, both widths.
func TestDoorsInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, axeSource(t))
	v.to("/login", `input[name=password]`)
	v.inspect("login")
	// Were axe not to run, or to find nothing whatever there is, all would pass.
	if n := len(look(t, tab, chromedp.Evaluate[[]string](`document.querySelector('main').append(new Image()), `+axeRun, chromedp.EvalAwaitPromise))); n == 0 {
		t.Error("axe does not mind a picture without a text")
	}
	browse(t, tab, chromedp.SendKeys(chromedp.CSS(`input[name=login]`), "ann"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "wrong\r"), chromedp.WaitVisible(chromedp.CSS(`.fault`)))
	v.inspect("login-wrong", "401 (Unauthorized)")
	v.to("/signin", `input[name=password]`) // without a token there is nothing to do
	v.to("/signin#used", `.notice`)
	v.inspect("signin-used", "410 (Gone)")
	v.in("boss")
	v.inspect("no-desk")
	v.in("ann")
	v.inspect("empty")
	v.to("/standby", `.empty`)
	v.inspect("standby")
	v.to("/nothing", `.notice`)
	v.inspect("nothing", "404 (Not Found)")
	v.to("/o/"+strings.Repeat("A", 43), `.notice`)
	v.inspect("link-unknown", "404 (Not Found)")
	v.to("/pops/none", `.notice`)
	v.inspect("pop-unknown", "404 (Not Found)")
	if at := look(t, tab, chromedp.Location()); strings.Contains(at, "#") {
		t.Errorf("a token may be in %s", at)
	}
}

// Each kind of call on the desk and on the page behind its link.
func TestCallsInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	axe := axeSource(t)
	v := r.view(tab, axe)
	v.in("ann")
	for _, c := range []struct{ name, number, display, keys, desk, page string }{
		{"known", "+12025550101", "ADA E", "", "Ada Example", "Ada Example"},
		{"ticket", "+12025550101", "ADA E", "1042", "Printer on fire", "Printer on fire"},
		{"foreign", "+12025550101", "", "2042", "another organization", "another organization"},
		{"popup", "+12025550101", "", "9999", "No call exists against that call number", "No call exists against that call number"},
		{"unknown", "+12025550199", "", "", "Not in the directory yet", "not in the directory yet"},
		{"withheld", "", "", "", "Number withheld", "There is no caller ID and no call number"},
		{"several", "+12025550102", "", "", "2 people share this number", "2 people share this number"},
		{"hostile-name", "+12025550198", `<img src=x onerror=alert(1)>` + "\u202e" + strings.Repeat("W", 300), "", "<img src=x onerror=alert(1)>WWW", "<img src=x onerror=alert(1)>WWW"},
		{"hostile-person", "+12025550103", "", "2042", "<script>alert(1)</script>gpj.exe", "<b onclick=alert(2)>Their ticket</b>"},
	} {
		call := r.ring("ann", c.number, c.display, c.keys)
		browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#calls .card[data-state=ringing]`)))
		if c.name == "known" {
			v.inspect("ringing")
		}
		r.play(call.Answer("PJSIP/101"))
		browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#calls .card[data-state=talking][data-drawn-at]`)))
		if text := look(t, tab, chromedp.Evaluate[string](`document.querySelector('#calls .card').innerText`)); !strings.Contains(text, c.desk) {
			t.Errorf("%s: the card does not show %q:\n%s", c.name, c.desk, text)
		}
		v.inspect("desk-" + c.name)
		if c.name == "known" {
			r.play(call.Hold())
			browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#calls .card[data-state=held]`)))
			v.inspect("held")
			r.play(call.Resume())
		}
		v.open()
		if text := look(t, tab, chromedp.Evaluate[string](`document.body.innerText`)); !strings.Contains(text, c.page) {
			t.Errorf("%s: the page does not show %q:\n%s", c.name, c.page, text)
		}
		if !look(t, tab, chromedp.Evaluate[bool](`document.querySelector('.facts').getBoundingClientRect().bottom < innerHeight`)) {
			t.Errorf("%s: the facts are pushed off the screen", c.name)
		}
		v.inspect("page-"+c.name, "'beforeunload' confirmation panel") // the tab that it leaves was never touched
		r.play(call.Hangup())
		browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#window[data-state=ended]`)))
		v.to("/", `#ended .card`)
		if c.name == "known" {
			v.inspect("ended")
		}
		if n := look(t, tab, chromedp.Evaluate[int](`document.querySelectorAll('main img, main script, main [onclick], main [onerror]').length`)); n != 0 {
			t.Errorf("%s: %d elements came out of a name", c.name, n)
		}
		browse(t, tab, chromedp.Click(chromedp.CSS(`#ended .card .quiet`)), chromedp.WaitNotPresent(chromedp.CSS(`#ended .card`)))
	}
}

// focusPath presses Tab and gathers what gets the focus, until it comes round.
func (v *viewer) focusPath() (path []string) {
	v.t.Helper()
	for range 20 {
		browse(v.t, v.tab, chromedp.KeyEvent("\t"))
		at := look(v.t, v.tab, chromedp.Evaluate[string](`(() => {
			const e = document.activeElement;
			if (e === document.body) return '';
			const s = getComputedStyle(e), b = e.getBoundingClientRect();
			const seen = b.width > 0 && b.top >= 0 && b.bottom <= innerHeight && s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
			return (e.innerText || e.value || e.name || e.id).split('\n')[0].trim() + (seen ? '' : ' (not seen)');
		})()`))
		if at == "" || len(path) > 0 && at == path[0] {
			return path
		}
		path = append(path, at)
	}
	return path
}

// Hands on the keyboard alone, a question before the desk is closed in a call,
// and the running call is there again after a reload.
func TestKeyboardAndReloadInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, "")
	v.in("ann")
	if asked := v.leave(func() { browse(t, tab, chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS(`#link[data-link=live]`))) }); asked {
		t.Error("the desk asked though there is no call")
	}
	call := r.talk("ann", "+12025550101", "", "1042")
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	want := "Skip to content|Ringlink|Sign out|Open ticket 1042|Open calls in a second tab by themselves"
	if got := strings.Join(v.focusPath(), "|"); got != want {
		t.Errorf("Tab goes to %s\nwant %s", got, want)
	}
	if asked := v.leave(func() {
		browse(t, tab, chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	}); !asked {
		t.Error("the desk did not ask before it was reloaded in a call")
	}
	// Enter opens the call with the focus nowhere; its tab gets the page.
	opened := chromedp.WaitNewTarget(tab, func(i *target.Info) bool { return i.Type == "page" && i.URL != "" })
	browse(t, tab, chromedp.KeyEvent("\r"))
	pop := tabOf(t, tab, chromedp.WithTargetID(<-opened))
	browse(t, pop, chromedp.WaitVisible(chromedp.CSS(`body[data-page=pop] #link[data-link=live]`)))
	second := r.view(pop, "")
	if got := strings.Join(second.focusPath(), "|"); got != "Skip to content|Ringlink|Sign out|Back to the desk" {
		t.Errorf("on the call's page Tab goes to %s", got)
	}
	if n := r.app.hub.Streams("ann"); n != 1 {
		t.Errorf("two tabs hold %d streams", n)
	}
	r.play(call.Hangup())
	browse(t, pop, chromedp.WaitVisible(chromedp.CSS(`#window[data-state=ended]`)))
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#ended .card`)))
	v.quiet("desk")
	second.quiet("page")
}

// What the desk says when it is not live: the gateway restarts, the session is
// over.
func TestBannersInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, axeSource(t))
	v.in("bob")
	if err := r.app.db.SetDisabled(t.Context(), "bob", true); err != nil {
		t.Fatal(err)
	}
	r.app.hub.Revoke("bob")
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#link[data-link=out]`)), chromedp.WaitVisible(chromedp.CSS(`#banner a[href="/login"]`)))
	v.inspect("banner-out", "401 (Unauthorized)")
	v.in("ann")
	r.talk("ann", "+12025550101", "", "")
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`.card[data-state=talking][data-drawn-at]`)))
	v.quiet("desk", "401 (Unauthorized)") // bob's desk tried again meanwhile
	r.app.hub.Close()
	browse(t, tab, chromedp.WaitVisible(chromedp.CSS(`#link[data-link=lost]`)), chromedp.WaitVisible(chromedp.CSS(`#banner`)))
	if text := look(t, tab, chromedp.Text(chromedp.CSS(`#banner`))); !strings.Contains(text, "Connection lost. You see what was known at") {
		t.Errorf("the banner says %q", text)
	}
	v.inspect("banner-lost", "503 (Service Unavailable)")
}

// The tab that the agent opened by a click is filled when a call is answered;
// the desk stays where it is.
func TestSecondTabInChromium(t *testing.T) {
	tab := lab.StartChromium(t)
	r := newRig(t)
	v := r.view(tab, "")
	v.in("ann")
	opened := chromedp.WaitNewTarget(tab, func(i *target.Info) bool { return i.Type == "page" && i.URL != "" })
	browse(t, tab, chromedp.Click(chromedp.CSS(`#arm`)), chromedp.WaitVisible(chromedp.CSS(`#arm[aria-pressed=true]`)))
	second := tabOf(t, tab, chromedp.WithTargetID(<-opened))
	for _, number := range []string{"+12025550101", "+12025550199"} {
		r.talk("ann", number, "", "")
		ctx, cancel := context.WithTimeout(second, patience)
		err := waitFor(ctx, func() bool { // the tab goes from page to page meanwhile
			text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('.window')?.innerText || ''`))
			return strings.Contains(text, number)
		})
		cancel()
		if err != nil {
			t.Errorf("the call of %s did not come to the second tab: %v", number, err)
		}
	}
	if at := look(t, tab, chromedp.Location()); at != r.base+"/" {
		t.Errorf("the desk went to %s", at)
	}
	v.quiet("desk")
}
