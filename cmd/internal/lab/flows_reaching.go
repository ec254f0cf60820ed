package lab

import (
	"testing"
	"time"
)

// reachingFlows lists the flows that differ in how a call finds who answers it.
func reachingFlows() []Flow {
	one, two := []string{"PJSIP/101"}, []string{"PJSIP/102"}
	return []Flow{
		simple("ring_groups_nested", "dials 5014, a group of 103 and a group of 101 and 102, by Local channels in Local channels, all kept; 102 answers", "5014", "102"),
		simple("ring_groups_optimised", "dials 5015, the same with Local channels that go away; 102 answers", "5015", "102"),
		simple("queue_local_optimised", "dials 5027, a queue whose members are Local channels that go away; 102 answers", "5027", "102"),
		simple("followme", "dials 5016, FollowMe, which tries 102; 102 answers", "5016", "102"),
		simple("early_media", "dials 5026, hears early media, then 101 answers", "5026", "101"),
		{Name: "forwarded_by_phone", Text: "dials 5017, the phone 110 forwards to 102 (302), who answers", Pops: two, Caller: flowCaller, Dialled: "5017", Run: redirected},
		{Name: "forwarded_by_phone_out", Text: "dials 5017, the phone 110 forwards to an outside number (302), which answers", Caller: flowCaller, Dialled: "5017", Outcomes: []string{"forwarded_outside"}, Run: redirectedOut},
		{Name: "two_devices", Text: "dials 5018, which rings 101 and 104, both of one agent; 104 answers", Pops: []string{"PJSIP/104"}, Caller: flowCaller, Dialled: "5018", Seats: map[string]string{"PJSIP/104": "PJSIP/101"}, Run: twoDevices},
		{Name: "several_contacts", Text: "dials 5019, which rings two phones of the endpoint 101; the second answers", Pops: one, Caller: flowCaller, Dialled: "5019", Run: severalContacts},
		{Name: "voicemail", Text: "dials 5013, which the PBX itself answers", Caller: flowCaller, Dialled: "5013", Outcomes: []string{"no_agent"}, Run: voicemail},
		{Name: "number_keyed_again", Text: "dials 5025, keys 1041# and 9999#, 101 answers, CALL_NUMBER becomes 1042", Pops: one, Caller: flowCaller, CallNumber: "1042", Dialled: "5025", Run: keyedAgain},
		{Name: "click_to_call", Text: "ARI originates to 101, who answers, and then to an outside number, which answers", Outcomes: []string{"outbound"}, Run: clickToCall},
		{Name: "queue_callback", Text: "ARI originates to the outside number, which answers and goes to the queue 5002; 102 answers", Pops: two, Caller: flowCaller, Dialled: "5002", Run: queueCallback},
	}
}

func redirected(tb testing.TB, s *Site) {
	startRedirect(tb, s.Asterisk, "102")
	c := s.call(tb, "5017")
	s.answer(tb, "102")
	c.Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func redirectedOut(tb testing.TB, s *Site) {
	StartUAS(tb, s.Asterisk, TrunkOut, 100*time.Millisecond)
	startRedirect(tb, s.Asterisk, "912025550177")
	c := s.call(tb, "5017")
	s.connected(tb, "PJSIP/trunkout")
	c.Hangup()
	s.Stream.Quiet(tb.Context())
}

func twoDevices(tb testing.TB, s *Site) {
	desk, mobile := s.Phones["101"], StartPhone(tb, s.Asterisk, "104")
	c := s.call(tb, "5018")
	desk.WaitRinging(tb.Context())
	mobile.WaitRinging(tb.Context())
	mobile.Answer()
	s.connected(tb, "PJSIP/104")
	desk.WaitClosed(tb.Context())
	c.Hangup()
	mobile.WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func severalContacts(tb testing.TB, s *Site) {
	first, second := s.Phones["101"], StartPhone(tb, s.Asterisk, "101")
	c := s.call(tb, "5019")
	first.WaitRinging(tb.Context())
	second.WaitRinging(tb.Context())
	second.Answer()
	s.connected(tb, "PJSIP/101")
	first.WaitClosed(tb.Context())
	c.Hangup()
	second.WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func voicemail(tb testing.TB, s *Site) {
	c := s.call(tb, "5013")
	c.Hangup()
	s.Stream.Quiet(tb.Context())
}

func keyedAgain(tb testing.TB, s *Site) {
	c := Call(tb, s.Asterisk, CallOptions{From: flowCaller, Name: flowName, To: "5025", DTMF: "1041#9999#"})
	trunk := s.Stream.Wait(tb.Context(), "the call number", func(e Event) bool {
		return e.Type == "ChannelVarset" && e.Variable == "CALL_NUMBER" && e.Value == "9999"
	}).Channel
	s.answer(tb, "101")
	s.Asterisk.SetVariable(trunk.Name, "CALL_NUMBER", "1042")
	s.Stream.Wait(tb.Context(), "the new call number", func(e Event) bool {
		return e.Type == "ChannelVarset" && e.Variable == "CALL_NUMBER" && e.Value == "1042"
	})
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func clickToCall(tb testing.TB, s *Site) {
	StartUAS(tb, s.Asterisk, TrunkOut, 100*time.Millisecond)
	s.Asterisk.Originate("PJSIP/101", "internal", "912025550177", "12025550177")
	s.Phones["101"].WaitRinging(tb.Context())
	s.Phones["101"].Answer()
	s.connected(tb, "PJSIP/trunkout")
	s.Phones["101"].Hangup()
	s.Stream.Quiet(tb.Context())
}

func queueCallback(tb testing.TB, s *Site) {
	StartUAS(tb, s.Asterisk, TrunkOut, 100*time.Millisecond)
	s.Asterisk.Originate("PJSIP/12025550101@trunkout", "from-trunk", "5002", flowCaller)
	s.Phones["101"].WaitRinging(tb.Context())
	s.answer(tb, "102")
	s.Phones["101"].WaitClosed(tb.Context())
	s.Phones["102"].Hangup()
	s.Stream.Quiet(tb.Context())
}
