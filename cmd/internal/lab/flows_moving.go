package lab

import "testing"

// movingFlows lists the flows in which a call moves from one agent to another, or is joined.
func movingFlows() []Flow {
	both := []string{"PJSIP/101", "PJSIP/102"}
	return []Flow{
		{Name: "blind_transfer_refer", Text: "dials 5000, 101 answers and REFERs to 102, who answers", Pops: both, Caller: flowCaller, Dialled: "5000", Run: blindByREFER},
		{Name: "blind_transfer_code", Text: "dials 5000, 101 answers and keys ## 102, who answers", Pops: both, Caller: flowCaller, Dialled: "5000", Run: blindByCode},
		{Name: "blind_transfer_back", Text: "dials 5000, 101 answers and REFERs to 102, who answers and REFERs back to 101, who answers", Pops: append(both, "PJSIP/101"), Caller: flowCaller, Dialled: "5000", Run: blindAndBack},
		{Name: "pickup_group", Text: "dials 5000, 101 rings, 102 dials *8", Pops: []string{"PJSIP/102"}, Caller: flowCaller, Dialled: "5000", Run: pickup("*8")},
		{Name: "pickup_directed", Text: "dials 5000, 101 rings, 102 dials *8101", Pops: []string{"PJSIP/102"}, Caller: flowCaller, Dialled: "5000", Run: pickup("*8101")},
		{Name: "park_retrieve", Text: "dials 5000, 101 answers and parks the caller by ## 700, 102 dials 701", Pops: both, Caller: flowCaller, Dialled: "5000", Run: park},
		{Name: "spy", Text: "dials 5000, 101 answers, 103 spies by 5021", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: spy("5021")},
		{Name: "whisper", Text: "dials 5000, 101 answers, 103 whispers to 101 by 5022", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: spy("5022")},
		{Name: "barge", Text: "dials 5000, 101 answers, 103 barges in by 5023", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: spy("5023")},
		{Name: "park_same_agent", Text: "dials 5000, 101 answers, parks the caller by ## 700 and dials 701 itself", Pops: []string{"PJSIP/101", "PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: parkAndFetch},
		{Name: "park_timeout", Text: "dials 5000, 101 answers and parks the caller by a REFER to 750; nobody comes, 101 rings again and answers", Pops: []string{"PJSIP/101", "PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: parkTimeout},
		{Name: "conference", Text: "dials 5020 (ConfBridge), 101 joins, then 103", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5020", Run: conference},
	}
}

func blindByREFER(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].Transfer("102")
	s.answer(tb, "102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func blindByCode(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].DTMF("##")
	s.await(tb, "ChannelHold", "PJSIP/101") // Asterisk takes the number from here on
	s.Phones["101"].DTMF("102")
	s.answer(tb, "102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func blindAndBack(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].Transfer("102")
	s.answer(tb, "102")
	s.Phones["101"].WaitClosed(tb.Context())
	s.Phones["102"].Transfer("101")
	s.answer(tb, "101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func pickup(code string) func(testing.TB, *Site) {
	return func(tb testing.TB, s *Site) {
		c := s.call(tb, "5000")
		s.Phones["101"].WaitRinging(tb.Context())
		s.Phones["102"].Dial(code)
		s.connected(tb, "PJSIP/102")
		s.Phones["101"].WaitClosed(tb.Context())
		c.Hangup()
		s.Phones["102"].WaitClosed(tb.Context())
		s.Stream.Quiet(tb.Context())
	}
}

// parked is a call that 101 answered and parked by ## and the extension.
func (s *Site) parked(tb testing.TB, extension string) *Caller {
	tb.Helper()
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].DTMF("##")
	s.await(tb, "ChannelHold", "PJSIP/101")
	s.Phones["101"].DTMF(extension)
	s.connected(tb, "PJSIP/anonymous") // alone, in the parking bridge
	s.Phones["101"].WaitClosed(tb.Context())
	return c
}

func parkAndFetch(tb testing.TB, s *Site) {
	c := s.parked(tb, "700")
	if s.Pause != nil {
		s.Pause()
	}
	s.Phones["101"].Dial("701")
	s.connected(tb, "PJSIP/101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func parkTimeout(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].Transfer("750")
	s.await(tb, "BridgeBlindTransfer", "")
	s.Phones["101"].Hangup()
	s.answer(tb, "101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func park(tb testing.TB, s *Site) {
	c := s.parked(tb, "700")
	s.Phones["102"].Dial("701")
	s.connected(tb, "PJSIP/102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func spy(extension string) func(testing.TB, *Site) {
	return func(tb testing.TB, s *Site) {
		c := s.call(tb, "5000")
		s.answer(tb, "101")
		s.Phones["103"].Dial(extension)
		s.Phones["103"].WaitAudio(tb.Context()) // ARI does not say when a spy listens; the spy does
		c.Hangup()
		s.Phones["101"].WaitClosed(tb.Context())
		// With the E option the spy's call ends with the call that it spied on.
		s.Phones["103"].WaitClosed(tb.Context())
		s.Stream.Quiet(tb.Context())
	}
}

func conference(tb testing.TB, s *Site) {
	c := s.call(tb, "5020")
	s.connected(tb, "PJSIP/anonymous")
	for _, number := range []string{"101", "103"} {
		s.Phones[number].Dial("5020")
		s.connected(tb, "PJSIP/"+number)
	}
	for _, number := range []string{"103", "101"} {
		s.Phones[number].Hangup()
	}
	c.Hangup()
	s.Stream.Quiet(tb.Context())
}
