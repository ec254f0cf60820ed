package lab_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ringlink/cmd/internal/lab"
)

// One call of each kind that the lab makes, so that a fault of the lab is not
// taken for a fault of Ringlink.
func TestLab(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	p101, p102 := lab.StartPhone(t, a, "101"), lab.StartPhone(t, a, "102")

	t.Run("direct", func(t *testing.T) {
		s := lab.Listen(t, a, "lab-direct")
		c := lab.Call(t, a, lab.CallOptions{From: "+12025550101", Name: "Ada Caller", To: "5000"})
		p101.WaitRinging(t.Context())
		p101.Answer()
		s.Connected(t.Context(), "PJSIP/101")
		c.Hangup()
		p101.WaitClosed(t.Context())
		s.Quiet(t.Context())
		if n := p102.Rings(); n != 0 {
			t.Errorf("102 rang %d times for a call to 101", n)
		}
		if got := s.Events()[0].Channel; !got.Is("PJSIP/anonymous") || got.Caller.Number != "+12025550101" || got.Caller.Name != "Ada Caller" {
			t.Errorf("the first event shows %+v, not the caller on the trunk", got)
		}
	})

	t.Run("keyed call number", func(t *testing.T) {
		s := lab.Listen(t, a, "lab-ivr")
		c := lab.Call(t, a, lab.CallOptions{From: "+12025550102", To: "5001", DTMF: "1042#"})
		p101.WaitRinging(t.Context())
		p102.WaitRinging(t.Context())
		p102.Answer()
		s.Connected(t.Context(), "PJSIP/102")
		p101.WaitClosed(t.Context())
		p102.Hangup()
		<-c.Done()
		s.Quiet(t.Context())
		var digits strings.Builder
		number := ""
		for _, e := range s.Events() {
			if e.Type == "ChannelDtmfReceived" {
				digits.WriteString(e.Digit)
			}
			if e.Type == "ChannelVarset" && e.Variable == "CALL_NUMBER" {
				number = e.Value
			}
		}
		if digits.String() != "1042#" || number != "1042" {
			t.Errorf("keyed 1042#: Asterisk heard %q and CALL_NUMBER is %q", digits.String(), number)
		}
	})
}

func TestSIPp(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	s := lab.Listen(t, a, "lab-rate")
	lab.StartUAS(t, a, lab.LoadAgent, 50*time.Millisecond)
	lab.SIPpRate(t, a, "5030", 4, 8)
	s.Quiet(t.Context())
	answered := 0
	for _, e := range s.Events() {
		if e.Type == "Dial" && e.DialStatus == "ANSWER" && e.Peer.Is("PJSIP/110") {
			answered++
		}
	}
	if answered != 8 {
		t.Errorf("8 calls made, 110 answered %d", answered)
	}
}

func TestHeaders(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	p := lab.StartPhone(t, a, "101")
	s := lab.Listen(t, a, "lab-headers")
	c := lab.CallWithHeaders(t, a, lab.CallOptions{Anonymous: true, To: "5000"},
		"P-Asserted-Identity: <sip:+12025550105@example.com>", "Privacy: id")
	p.WaitRinging(t.Context())
	p.Answer()
	s.Connected(t.Context(), "PJSIP/101")
	c.Hangup()
	s.Quiet(t.Context())
	e := s.Wait(t.Context(), "the trunk's end", func(e lab.Event) bool {
		return e.Type == "ChannelDestroyed" && e.Channel.Is("PJSIP/anonymous")
	})
	if !bytes.Contains(e.Raw, []byte(c.CallID())) || !bytes.Contains(e.Raw, []byte(`"CALLERID(num-pres)":"prohib`)) {
		t.Errorf("no Call-ID %s or no withheld number in %s", c.CallID(), e.Raw)
	}
	if e.Channel.Caller.Number != "+12025550105" {
		t.Errorf("caller number %q, not that of the P-Asserted-Identity", e.Channel.Caller.Number)
	}
}

func TestOutbound(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	s := lab.Listen(t, a, "lab-out")
	lab.StartUAS(t, a, lab.TrunkOut, 50*time.Millisecond)
	p := lab.StartPhone(t, a, "101")
	p.Dial("912025550177")
	p.WaitEstablished(t.Context())
	s.Connected(t.Context(), "PJSIP/trunkout")
	p.Hangup()
	s.Quiet(t.Context())
}

// Registrations and ports outlive a power cut: what is tested against a restart
// would otherwise test the lab.
func TestRestart(t *testing.T) {
	a := lab.StartAsterisk(t, lab.Options{})
	p := lab.StartPhone(t, a, "101")
	url := a.URL()
	a.Kill()
	if err := a.Get(t.Context(), "/ari/asterisk/ping", nil); err == nil {
		t.Error("a killed Asterisk answered")
	}
	a.Restart()
	if a.URL() != url {
		t.Errorf("back at %s, was at %s", a.URL(), url)
	}
	s := lab.Listen(t, a, "lab-restart")
	c := lab.Call(t, a, lab.CallOptions{From: "+12025550103", To: "5000"})
	p.WaitRinging(t.Context())
	c.GiveUp()
	s.Quiet(t.Context())
}

func TestChromium(t *testing.T) {
	ctx := lab.StartChromium(t)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate("data:text/html,<title>desk</title>")); err != nil {
		t.Fatal(err)
	}
	title, err := chromedp.Run(ctx, chromedp.Title())
	if err != nil || title != "desk" {
		t.Errorf("title %q, %v", title, err)
	}
	// The popup blocker is the desk's fact of life: a browser without it proves nothing.
	blocked, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("window.open('about:blank') === null"))
	if err != nil || !blocked {
		t.Errorf("a window opened without a click, %v", err)
	}
}

// Several Asterisks at once, each as its options say.
func TestSeveral(t *testing.T) {
	bare := lab.StartAsterisk(t, lab.Options{SystemName: "pbx2", NoChannelVars: true})
	off := lab.StartAsterisk(t, lab.Options{HTTPOff: true})
	usual := lab.StartAsterisk(t, lab.Options{})
	if err := off.Get(t.Context(), "/ari/asterisk/ping", nil); err == nil {
		t.Error("ARI answers where HTTP is off")
	}
	for _, c := range []struct {
		a      *lab.Asterisk
		prefix string
		vars   bool
	}{{bare, "pbx2-", false}, {usual, "lab-", true}} {
		s := lab.Listen(t, c.a, "lab-several")
		lab.Call(t, c.a, lab.CallOptions{From: "+12025550104", To: "5013"}).Hangup()
		s.Quiet(t.Context())
		events := s.Events()
		at := slices.IndexFunc(events, func(e lab.Event) bool { return e.Channel != nil })
		if at < 0 {
			t.Fatal("no event names a channel")
		}
		first := events[at]
		if !strings.HasPrefix(first.Channel.ID, c.prefix) {
			t.Errorf("channel id %s does not begin with %s", first.Channel.ID, c.prefix)
		}
		if got := bytes.Contains(first.Raw, []byte(`"CHANNEL(linkedid)"`)); got != c.vars {
			t.Errorf("%s: channelvars in the event: %v, want %v", c.prefix, got, c.vars)
		}
	}
	if row := usual.CDR("+12025550104"); !strings.Contains(row, `"5013"`) {
		t.Errorf("the CDR does not name the number dialled: %s", row)
	}
}
