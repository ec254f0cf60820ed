package lab_test

import (
	"strings"
	"testing"

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
