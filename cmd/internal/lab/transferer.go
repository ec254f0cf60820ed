package lab

import (
	"net/url"
	"testing"
	"time"
)

// Transferer is the phone PJSIP/110 with two calls that it joins by REFER with
// Replaces, which baresip cannot. sipp plays it.
type Transferer struct {
	*sippRun
	id string // Call-ID of its first call
}

// dialling is one of the calls that the phone itself makes, as the scenario needs it.
type dialling struct{ To, Asterisk, Tag, Prefix string }

// Escaped is the prefix of the Call-ID as a URI header needs it.
func (d dialling) Escaped() string { return url.QueryEscape(d.Prefix) }

// StartTransferer starts the phone. With takes it dials consult at once, and
// takes a call by dialling that when it is pressed; without, it waits for a call from
// outside, answers it at once, and dials consult when it is pressed. Pressed again it transfers.
func StartTransferer(tb testing.TB, a *Asterisk, consult, takes string) *Transferer {
	tb.Helper()
	type calls struct {
		Asterisk     string
		Consultation dialling
		Takes        *dialling
	}
	c := calls{Asterisk: a.SIPAddr(), Consultation: dialling{consult, a.SIPAddr(), "consult", ""}}
	port := a.base + int(LoadAgent)
	if takes == "" {
		c.Consultation.Prefix = "consult///"
		t := &Transferer{sippRun: startSIPp(tb, renderScenario(tb, "transferer.xml", c), port, "-m", "1")}
		t.awaitBound()
		return t
	}
	c.Takes = &dialling{takes, a.SIPAddr(), "outside", "outside///"}
	id := sippCallID(port)
	return &Transferer{startSIPp(tb, renderScenario(tb, "transferer.xml", c), port, a.SIPAddr(), "-m", "1", "-cid_str", id), id}
}

// Press lets the phone take its next step.
func (t *Transferer) Press() {
	t.tb.Helper()
	t.press(t.id)
}

// Hangup ends what Asterisk leaves open after the transfer. It presses until that
// is done: sipp is deaf between two steps.
func (t *Transferer) Hangup() {
	t.tb.Helper()
	limit := time.NewTimer(phoneTime)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-t.done:
			t.finish()
			return
		case <-limit.C:
			t.tb.Fatalf("sipp does not end its calls")
		case <-tick.C:
			t.Press()
		}
	}
}

// startRedirect starts a phone PJSIP/110 that forwards one call to an extension.
func startRedirect(tb testing.TB, a *Asterisk, to string) {
	tb.Helper()
	scenario := renderScenario(tb, "redirect.xml", struct{ To, Asterisk string }{to, a.SIPAddr()})
	startSIPp(tb, scenario, a.base+int(LoadAgent), "-m", "1").awaitBound()
}
