package lab

import "testing"

// pairedFlows lists the flows of two outside calls.
func pairedFlows() []Flow {
	second, answered := &Second{Caller: secondCaller, Dialled: "5024"}, []string{"answered", "answered"}
	same := &Second{Caller: secondCaller, Dialled: "5000"}
	one, two := "PJSIP/101", "PJSIP/102"
	return []Flow{
		{Name: "two_at_once", Text: "dials 5000 and another dials 5024; 102 answers, then 101; the first hangs up, then the second", Pops: []string{two, one}, Of: []int{1, 0}, Caller: flowCaller, Dialled: "5000", Second: second, Outcomes: answered, Run: twoAtOnce},
		{Name: "second_call_on_hold", Text: "dials 5000, 101 answers and holds; another dials 5000, 101 answers; the second hangs up, 101 resumes", Pops: []string{one, one}, Of: []int{0, 1}, Caller: flowCaller, Dialled: "5000", Second: same, Outcomes: answered, Run: secondOnHold},
		{Name: "crossing_pickups", Text: "dials 5000 and another dials 5024; 101 takes the second by *8102 and 102 the first by *8101", Pops: []string{one, two}, Of: []int{1, 0}, Caller: flowCaller, Dialled: "5000", Second: second, Outcomes: answered, Run: crossingPickups},
		{Name: "crossing_transfers", Text: "dials 5000 and another dials 5024, 101 and 102 answer; each REFERs its caller to the other", Pops: []string{one, two, two, one}, Of: []int{0, 1, 0, 1}, Caller: flowCaller, Dialled: "5000", Second: second, Outcomes: answered, Run: crossingTransfers},
		{Name: "hot_desk", Text: "dials 5000, 101 answers, the caller hangs up; the agent of 103 sits down at 101; another dials 5000, 101 answers", Pops: []string{one, one}, Of: []int{0, 1}, Caller: flowCaller, Dialled: "5000", Second: same, Outcomes: answered, Reseat: map[string]string{one: "PJSIP/103"}, Run: hotDesk},
	}
}

func (s *Site) secondCall(tb testing.TB, to string) *Caller {
	tb.Helper()
	return Call(tb, s.Asterisk, CallOptions{From: secondCaller, Name: secondName, To: to})
}

func twoAtOnce(tb testing.TB, s *Site) {
	first, second := s.call(tb, "5000"), s.secondCall(tb, "5024")
	s.answer(tb, "102")
	s.answer(tb, "101")
	first.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	second.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func secondOnHold(tb testing.TB, s *Site) {
	first := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].Hold()
	s.await(tb, "ChannelHold", "PJSIP/101")
	second := s.secondCall(tb, "5000")
	s.answer(tb, "101")
	second.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Phones["101"].Resume()
	s.await(tb, "ChannelUnhold", "PJSIP/101")
	first.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func crossingPickups(tb testing.TB, s *Site) {
	first, second := s.call(tb, "5000"), s.secondCall(tb, "5024")
	for _, number := range []string{"101", "102"} {
		s.Phones[number].WaitRinging(tb.Context())
	}
	s.Phones["101"].Dial("*8102")
	s.connected(tb, "PJSIP/101")
	s.Phones["102"].WaitClosed(tb.Context())
	s.Phones["102"].Dial("*8101")
	s.connected(tb, "PJSIP/102")
	s.Phones["101"].WaitClosed(tb.Context())
	first.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	second.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

// crossingTransfers sends the second caller by an extension that waits a
// moment, so that each phone transfers while it has but one call.
func crossingTransfers(tb testing.TB, s *Site) {
	first, second := s.call(tb, "5000"), s.secondCall(tb, "5024")
	s.answer(tb, "101")
	s.answer(tb, "102")
	s.Phones["102"].Transfer("6101")
	s.Phones["101"].Transfer("102")
	s.answer(tb, "102")
	s.answer(tb, "101")
	first.Hangup()
	second.Hangup()
	s.Stream.Quiet(tb.Context())
}

func hotDesk(tb testing.TB, s *Site) {
	first := s.call(tb, "5000")
	s.answer(tb, "101")
	first.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
	if s.Reseat != nil {
		s.Reseat()
	}
	second := s.secondCall(tb, "5000")
	s.answer(tb, "101")
	second.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}
