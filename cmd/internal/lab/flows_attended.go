package lab

import (
	"strings"
	"testing"
)

// attendedFlows lists the flows in which an agent talks with another before the caller moves, or does not.
func attendedFlows() []Flow {
	both, first := []string{"PJSIP/101", "PJSIP/102"}, []string{"PJSIP/101"}
	sipp, ann := []string{"PJSIP/110", "PJSIP/102"}, map[string]string{"PJSIP/110": "PJSIP/101"}
	return []Flow{
		{Name: "attended_transfer_code", Text: "dials 5000, 101 answers, keys *2 102, 102 answers, 101 hangs up", Pops: both, Caller: flowCaller, Dialled: "5000", Run: attendedByCode},
		{Name: "attended_ringing", Text: "dials 5000, 101 answers, keys *2 102, hangs up while 102 rings, 102 answers", Pops: both, Caller: flowCaller, Dialled: "5000", Run: attendedRinging},
		{Name: "attended_aborted", Text: "dials 5000, 101 answers, keys *2 102, 102 answers, 101 keys *1 and goes on with the caller", Pops: first, Caller: flowCaller, Dialled: "5000", Run: attendedAborted},
		{Name: "attended_threeway", Text: "dials 5000, 101 answers, keys *2 102, 102 answers, 101 keys *3, and all three talk; 101 hangs up", Pops: both, Caller: flowCaller, Dialled: "5000", Run: attendedThreeway},
		{Name: "attended_refer", Text: "dials 5030, 110 answers, dials 102, who answers, and REFERs with Replaces", Pops: sipp, Caller: flowCaller, Dialled: "5030", Seats: ann, Run: attendedByREFER},
		{Name: "attended_older", Text: "110 has dialled 102, who answered, when a call to 5000 rings 101; 110 picks it up by *8101 and REFERs with Replaces to 102", Pops: sipp, Caller: flowCaller, Dialled: "5000", Seats: ann, Run: attendedOlder},
	}
}

// asked is a call that 101 answered and asks 102 about by *2; 102 rings.
func (s *Site) asked(tb testing.TB) *Caller {
	tb.Helper()
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].DTMF("*2")
	s.await(tb, "ChannelHold", "PJSIP/101") // Asterisk takes the number from here on
	s.Phones["101"].DTMF("102")
	s.Phones["102"].WaitRinging(tb.Context())
	return c
}

// consulted is the same when 102 has answered.
func (s *Site) consulted(tb testing.TB) *Caller {
	tb.Helper()
	c := s.asked(tb)
	s.Phones["102"].Answer()
	// Going on before the transferer's own side of the Local pair is answered
	// gives the transfer up, and the two come in either order.
	answered, bridged := false, false
	s.Stream.Wait(tb.Context(), "the consultation", func(e Event) bool {
		answered = answered || e.Type == "Dial" && e.DialStatus == "ANSWER" && strings.HasPrefix(e.Peer.Name, "Local/")
		bridged = bridged || e.Type == "ChannelEnteredBridge" && e.Channel.Is("PJSIP/102")
		return answered && bridged
	})
	return c
}

func attendedByCode(tb testing.TB, s *Site) {
	c := s.consulted(tb)
	s.Phones["101"].Hangup()
	s.await(tb, "BridgeAttendedTransfer", "")
	// The Local pair of the consultation is optimised away: 102 enters the caller's bridge.
	s.connected(tb, "PJSIP/102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func attendedRinging(tb testing.TB, s *Site) {
	c := s.asked(tb)
	s.Phones["101"].Hangup()
	s.Phones["102"].Answer()
	s.connected(tb, "PJSIP/102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func attendedAborted(tb testing.TB, s *Site) {
	c := s.consulted(tb)
	s.Phones["101"].DTMF("*1")
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Connected(tb.Context(), "PJSIP/101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func attendedThreeway(tb testing.TB, s *Site) {
	c := s.consulted(tb)
	s.Phones["101"].DTMF("*3")
	s.await(tb, "BridgeAttendedTransfer", "")
	s.Phones["101"].Hangup()
	s.await(tb, "ChannelDestroyed", "PJSIP/101")
	s.answered("PJSIP/102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func attendedByREFER(tb testing.TB, s *Site) {
	t := StartTransferer(tb, s.Asterisk, "102", "")
	c := s.call(tb, "5030")
	s.Stream.Wait(tb.Context(), "110 in a bridge", func(e Event) bool {
		if e.Type != "ChannelEnteredBridge" || !e.Channel.Is("PJSIP/110") {
			return false
		}
		t.id = e.Channel.CallID
		return true
	})
	s.answered("PJSIP/110")
	t.Press()
	s.Phones["102"].WaitRinging(tb.Context())
	s.Phones["102"].Answer()
	s.Stream.Connected(tb.Context(), "PJSIP/102")
	s.transferred(tb, t, c)
}

func attendedOlder(tb testing.TB, s *Site) {
	t := StartTransferer(tb, s.Asterisk, "102", "*8101")
	s.Phones["102"].WaitRinging(tb.Context())
	s.Phones["102"].Answer()
	s.Stream.Connected(tb.Context(), "PJSIP/102")
	c := s.call(tb, "5000")
	s.Phones["101"].WaitRinging(tb.Context())
	t.Press()
	s.connected(tb, "PJSIP/110")
	s.Phones["101"].WaitClosed(tb.Context())
	s.transferred(tb, t, c)
}

// transferred lets the transferer transfer to 102, and the caller hang up.
func (s *Site) transferred(tb testing.TB, t *Transferer, c *Caller) {
	tb.Helper()
	t.Press()
	s.await(tb, "BridgeAttendedTransfer", "")
	t.Hangup() // Asterisk leaves it to the phone to end the first call
	for range 2 {
		s.await(tb, "ChannelDestroyed", "PJSIP/110")
	}
	s.answered("PJSIP/102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}
