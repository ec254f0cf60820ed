package lab

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// Phone is a real SIP phone on an agent's endpoint. It has one call at a time
// unless a test makes it have more.
type Phone struct {
	b        *baresip
	asterisk *Asterisk
	number   string
	seen     int // place in its events after the last one that a method waited for; owned by the test's goroutine
}

// StartPhone starts a phone of endpoint number ("101" to "104") and returns when
// Asterisk has its registration. Several phones of one number are several
// contacts of that endpoint.
func StartPhone(tb testing.TB, a *Asterisk, number string) *Phone {
	tb.Helper()
	accounts := phoneAccounts()
	i := slices.IndexFunc(accounts, func(p phoneAccount) bool { return p.Number == number })
	if i < 0 {
		tb.Fatalf("no phone account %q in the lab", number)
	}
	p := accounts[i]
	account := fmt.Sprintf(`"%s" <sip:%s@%s>;auth_pass=%s;regint=600;answermode=manual;mwi=no`, p.Name, p.Number, a.SIPAddr(), p.Password)
	b := startBaresip(tb, number)
	b.command("uanew", account)
	b.await(tb.Context(), 0, "REGISTER_OK")
	return &Phone{b: b, asterisk: a, number: number}
}

// Device is its endpoint as Asterisk writes it, "PJSIP/101".
func (p *Phone) Device() string { return "PJSIP/" + p.number }

// Number is its extension.
func (p *Phone) Number() string { return p.number }

// WaitRinging waits until a call rings that no earlier WaitRinging returned for;
// one that has rung and gone in the meantime does not count.
func (p *Phone) WaitRinging(ctx context.Context) {
	p.b.tb.Helper()
	p.b.wait(ctx, "a ringing call", func() bool {
		for i := len(p.b.events) - 1; i >= p.seen; i-- {
			switch p.b.events[i].Type {
			case "CALL_CLOSED":
				return false
			case "CALL_INCOMING":
				p.seen = i + 1
				return true
			}
		}
		return false
	})
}

// Rings says how often it has rung so far.
func (p *Phone) Rings() int { return p.b.count("CALL_INCOMING") }

// Answer takes the ringing call and waits until it stands.
func (p *Phone) Answer() {
	p.b.tb.Helper()
	p.b.command("accept", "")
	p.next(p.b.tb.Context(), "CALL_ESTABLISHED")
}

// Dial calls an extension ("102", "912025550177", "*8") and returns at once;
// WaitEstablished waits for the answer.
func (p *Phone) Dial(extension string) {
	p.b.tb.Helper()
	p.seen = p.b.mark() // what is waited for is of this call
	p.b.command("dial", "sip:"+extension+"@"+p.asterisk.SIPAddr())
}

// WaitEstablished waits until its own Dial is answered.
func (p *Phone) WaitEstablished(ctx context.Context) {
	p.b.tb.Helper()
	p.next(ctx, "CALL_ESTABLISHED")
}

// WaitAudio waits until it hears something: the first RTP packet of its call.
func (p *Phone) WaitAudio(ctx context.Context) {
	p.b.tb.Helper()
	p.next(ctx, "CALL_RTPESTAB")
}

// Hangup ends its call and waits until it has ended.
func (p *Phone) Hangup() {
	p.b.tb.Helper()
	p.b.command("hangup", "")
	p.next(p.b.tb.Context(), "CALL_CLOSED")
}

// WaitClosed waits until the other side has ended the call.
func (p *Phone) WaitClosed(ctx context.Context) {
	p.b.tb.Helper()
	p.next(ctx, "CALL_CLOSED")
}

// Hold puts the call on hold by re-INVITE.
func (p *Phone) Hold() {
	p.b.tb.Helper()
	p.b.command("hold", "")
}

// Resume takes the call off hold.
func (p *Phone) Resume() {
	p.b.tb.Helper()
	p.b.command("resume", "")
}

// Transfer sends a REFER to an extension: a blind transfer. Its own call ends when the target answers.
func (p *Phone) Transfer(extension string) {
	p.b.tb.Helper()
	p.b.command("transfer", "sip:"+extension+"@"+p.asterisk.SIPAddr())
}

// DTMF keys digits by RFC 4733: feature codes such as "##" and "*2" too.
func (p *Phone) DTMF(digits string) {
	p.b.tb.Helper()
	p.b.dtmf(digits)
}

func (p *Phone) next(ctx context.Context, typ string) phoneEvent {
	p.b.tb.Helper()
	e, at := p.b.await(ctx, p.seen, typ)
	p.seen = at + 1
	return e
}
