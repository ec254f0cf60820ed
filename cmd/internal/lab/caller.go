package lab

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// CallOptions says who calls what from outside.
type CallOptions struct {
	From      string // the caller's number, "+12025550101"; with Anonymous it is not sent
	Name      string // the caller's name, if any
	To        string // the number dialled, an extension of from-trunk ("5000")
	Anonymous bool   // From is sip:anonymous@anonymous.invalid (RFC 3323)
	DTMF      string // keyed as soon as the call is answered ("1042#")
}

// Caller is a call from outside, made by a real SIP phone that is registered nowhere.
type Caller struct {
	b    *baresip
	done chan struct{}
}

// Call places a call and returns when Asterisk is ringing the far end, has
// answered or, for a number that does not exist, has refused. With DTMF it returns when the digits are keyed.
func Call(tb testing.TB, a *Asterisk, o CallOptions) *Caller {
	tb.Helper()
	aor := fmt.Sprintf("sip:%s@%s", o.From, a.SIPAddr())
	if o.Anonymous {
		aor = "sip:anonymous@anonymous.invalid"
	}
	name := ""
	if o.Name != "" {
		name = `"` + o.Name + `" `
	}
	b := startBaresip(tb, "caller "+o.From)
	b.command("uanew", fmt.Sprintf(`%s<%s>;regint=0;outbound="sip:%s";mwi=no`, name, aor, a.SIPAddr()))
	b.command("dial", fmt.Sprintf("sip:%s@%s", o.To, a.SIPAddr()))
	c := &Caller{b: b, done: make(chan struct{})}
	go c.watch()
	b.wait(tb.Context(), "ringing or an answer", func() bool {
		for _, e := range b.events {
			switch e.Type {
			case "CALL_RINGING", "CALL_PROGRESS", "CALL_ESTABLISHED", "CALL_CLOSED":
				return true
			}
		}
		return false
	})
	if o.DTMF != "" {
		c.WaitAnswered(tb.Context())
		b.dtmf(o.DTMF)
	}
	return c
}

// watch closes done at the end of the call or of the phone.
func (c *Caller) watch() {
	defer close(c.done)
	for {
		c.b.mu.Lock()
		over, changed := c.b.lost != nil, c.b.changed
		over = over || slices.ContainsFunc(c.b.events, func(e phoneEvent) bool { return e.Type == "CALL_CLOSED" })
		c.b.mu.Unlock()
		if over {
			return
		}
		<-changed
	}
}

// WaitAnswered waits until Asterisk has answered, which an IVR and a queue do long before an agent does.
func (c *Caller) WaitAnswered(ctx context.Context) {
	c.b.tb.Helper()
	c.b.await(ctx, 0, "CALL_ESTABLISHED")
}

// DTMF keys digits by RFC 4733.
func (c *Caller) DTMF(digits string) {
	c.b.tb.Helper()
	c.b.dtmf(digits)
}

// Hangup ends the call and waits for the end. The call must have been answered,
// by whatever: a hang-up that crosses the answer leaves baresip with a call that never ends.
func (c *Caller) Hangup() {
	c.b.tb.Helper()
	c.b.wait(c.b.tb.Context(), "the answer, before hanging up", func() bool {
		return slices.ContainsFunc(c.b.events, func(e phoneEvent) bool {
			return e.Type == "CALL_ESTABLISHED" || e.Type == "CALL_CLOSED"
		})
	})
	c.GiveUp()
}

// GiveUp ends a call that has not been answered and waits for the end.
func (c *Caller) GiveUp() {
	c.b.tb.Helper()
	select {
	case <-c.done:
		return // the other side was first
	default:
	}
	c.b.command("hangup", "")
	c.b.wait(c.b.tb.Context(), "the call's end", func() bool {
		return slices.ContainsFunc(c.b.events, func(e phoneEvent) bool { return e.Type == "CALL_CLOSED" })
	})
}

// Done is closed when the call is over, whoever ended it.
func (c *Caller) Done() <-chan struct{} { return c.done }
