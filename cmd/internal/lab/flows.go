package lab

import (
	"strings"
	"testing"
	"time"
)

// Flow is one way that a call can go through the lab's Asterisk, and what must
// come of it: the recorder makes a stream of each, and the end-to-end tests run each.
type Flow struct {
	Name string
	Text string // what happens

	Pops       []string // devices whose agents get a pop, in order; nobody else gets one
	Caller     string   // the caller's number on the pops; empty if withheld
	CallNumber string
	Dialled    string
	Second     *Second  // the other outside call of the flow
	Of         []int    // the call that each pop is of, 0 or 1; nil if all are of the first
	Outcomes   []string // of the calls from or to outside, in the order of their ends; nil: the first call is answered if there are pops

	Seats  map[string]string // who else's device is used in this flow, by the usual device of that agent
	Reseat map[string]string // the same, as it becomes when Site.Reseat is called

	Run func(testing.TB, *Site)
}

// Second is an outside call beside the first.
type Second struct{ Caller, Dialled string }

// CallOf is the call that a pop is of, 0 or 1.
func (f Flow) CallOf(pop int) int {
	if f.Of == nil {
		return 0
	}
	return f.Of[pop]
}

// Facts are the caller, the dialled number and the call number of a pop.
func (f Flow) Facts(pop int) (caller, dialled, callNumber string) {
	if f.CallOf(pop) == 1 {
		return f.Second.Caller, f.Second.Dialled, ""
	}
	return f.Caller, f.Dialled, f.CallNumber
}

// Seat is the usual device of the agent who has a pop.
func (f Flow) Seat(pop int) string {
	device := f.Pops[pop]
	if usual := f.Reseat[device]; usual != "" && f.CallOf(pop) == 1 {
		return usual
	}
	if usual := f.Seats[device]; usual != "" {
		return usual
	}
	return device
}

// End is how a pop ends: the next of its call supersedes it, unless that is the same agent's.
func (f Flow) End(pop int) string {
	for next := pop + 1; next < len(f.Pops); next++ {
		if f.CallOf(next) == f.CallOf(pop) {
			if f.Seat(next) == f.Seat(pop) {
				break
			}
			return "superseded"
		}
	}
	return "ended"
}

// Site is a running lab: one Asterisk with the phones 101, 102 and 103 and a stream to wait on.
type Site struct {
	Asterisk *Asterisk
	Phones   map[string]*Phone
	Stream   *Stream

	// Answered, if set, is called in the flow's goroutine whenever a device has come
	// to share a bridge with somebody: the moment to look before the call goes on.
	Answered func(device string)
	// Pause, if set, is called between two steps that no person takes in one instant.
	Pause func()
	// Reseat, if set, is called where the flow's Reseat comes into force: no call is running then.
	Reseat func()
}

// StartSite starts a lab whose stream has the application name app.
func StartSite(tb testing.TB, o Options, app string) *Site {
	tb.Helper()
	s := &Site{Asterisk: StartAsterisk(tb, o), Phones: map[string]*Phone{}}
	for _, number := range []string{"101", "102", "103"} {
		s.Phones[number] = StartPhone(tb, s.Asterisk, number)
	}
	s.Stream = Listen(tb, s.Asterisk, app)
	return s
}

// lend makes what the site's parts have to say the business of a test until it
// ends, so that a flow run as a subtest fails alone. Every flow begins with it.
func (s *Site) lend(tb testing.TB) {
	use := func(a, stream testing.TB, phones map[string]testing.TB) {
		s.Asterisk.tb, s.Stream.tb = a, stream
		for number, p := range s.Phones {
			p.b.tb = phones[number]
		}
	}
	before, now := map[string]testing.TB{}, map[string]testing.TB{}
	for number, p := range s.Phones {
		before[number], now[number] = p.b.tb, tb
	}
	asterisk, stream := s.Asterisk.tb, s.Stream.tb
	tb.Cleanup(func() { use(asterisk, stream, before) })
	use(tb, tb, now)
}

// connected waits for a device's channel in a bridge, and tells whoever wants to know.
func (s *Site) connected(tb testing.TB, device string) {
	tb.Helper()
	s.Stream.Connected(tb.Context(), device)
	s.answered(device)
}

// answered tells that a device has the caller now.
func (s *Site) answered(device string) {
	if s.Answered != nil {
		s.Answered(device)
	}
}

// answer lets a phone ring and takes the call.
func (s *Site) answer(tb testing.TB, number string) {
	tb.Helper()
	s.Phones[number].WaitRinging(tb.Context())
	s.Phones[number].Answer()
	s.connected(tb, "PJSIP/"+number)
}

func (s *Site) await(tb testing.TB, typ, device string) {
	tb.Helper()
	s.Stream.Wait(tb.Context(), typ+" of "+device, func(e Event) bool {
		return e.Type == typ && (device == "" || e.Channel.Is(device))
	})
}

// The outside caller of the flows; the numbers and names are fictional.
const (
	flowCaller   = "+12025550101"
	flowName     = "Ada Caller"
	secondCaller = "+12025550102"
	secondName   = "Ben Caller"
)

func (s *Site) call(tb testing.TB, to string) *Caller {
	tb.Helper()
	return Call(tb, s.Asterisk, CallOptions{From: flowCaller, Name: flowName, To: to})
}

// simple is a flow in which one agent answers what the caller dialled and the caller hangs up.
func simple(name, text, to, agent string) Flow {
	return Flow{
		Name: name, Text: text, Pops: []string{"PJSIP/" + agent}, Caller: flowCaller, Dialled: to,
		Run: func(tb testing.TB, s *Site) {
			c := s.call(tb, to)
			s.answer(tb, agent)
			c.Hangup()
			s.Phones[agent].WaitClosed(tb.Context())
			s.Stream.Quiet(tb.Context())
		},
	}
}

// Flows lists every flow: first those in which a call has at most one turn, then transfers and the like.
func Flows() []Flow {
	numPres := simple("withheld_num_pres", "a number that CALLERID(num-pres) withholds dials 5007, 101 answers", "5007", "101")
	numPres.Caller = ""
	keyed := simple("ivr_direct", "the dialplan sets CALL_NUMBER=1042 and rings 101, who answers", "5010", "101")
	keyed.CallNumber = "1042"
	wrong := simple("ivr_unknown", "the dialplan sets CALL_NUMBER=9999 and rings 101, who answers", "5011", "101")
	wrong.CallNumber = "9999"
	flows := append([]Flow{
		simple("direct", "dials 5000, 101 answers, the caller hangs up", "5000", "101"),
		simple("forked", "dials 5006, which forks to 101 and 102; 102 answers", "5006", "102"),
		simple("queue_ring_all", "dials 5002, a queue that answers at once and rings both; 101 answers", "5002", "101"),
		simple("queue_linear", "dials 5003, a queue that rings 101 for three seconds, then 102, who answers", "5003", "102"),
		simple("queue_local_members", "dials 5009, a queue whose members are Local channels; 102 answers", "5009", "102"),
		simple("local_kept", "dials 5004, Local/101@agents/n; 101 answers", "5004", "101"),
		simple("no_answer_then_next", "dials 5008: 101 for three seconds, then 102, who answers", "5008", "102"),
		numPres, keyed, wrong,
		{Name: "local_optimised", Text: "dials 5005, Local/101@agents, which goes away after the answer", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5005", Run: localOptimised},
		{Name: "unanswered", Text: "dials 5000, 101 rings, the caller gives up", Caller: flowCaller, Dialled: "5000", Outcomes: []string{"missed"}, Run: unanswered},
		{Name: "anonymous", Text: "From is anonymous, dials 5000, 101 answers", Pops: []string{"PJSIP/101"}, Dialled: "5000", Run: anonymous},
		{Name: "withheld_privacy_id", Text: "From is anonymous, P-Asserted-Identity has the number, Privacy: id; dials 5000, 101 answers", Pops: []string{"PJSIP/101"}, Dialled: "5000", Run: privacyID},
		{Name: "ivr_queue", Text: "dials 5001, keys 1042#, a queue rings both, 102 answers and hangs up", Pops: []string{"PJSIP/102"}, Caller: flowCaller, CallNumber: "1042", Dialled: "5001", Run: ivrQueue},
		{Name: "hold_resume", Text: "dials 5000, 101 answers, holds, resumes", Pops: []string{"PJSIP/101"}, Caller: flowCaller, Dialled: "5000", Run: holdResume},
		{Name: "internal", Text: "101 dials 102, who answers", Run: internal},
		{Name: "outbound", Text: "101 dials an outside number, which answers", Outcomes: []string{"outbound"}, Run: outbound},
		{Name: "forwarded_out", Text: "dials 5012, which goes to an outside number", Caller: flowCaller, Dialled: "5012", Outcomes: []string{"forwarded_outside"}, Run: forwardedOut},
	}, movingFlows()...)
	flows = append(flows, attendedFlows()...)
	flows = append(flows, reachingFlows()...)
	flows = append(flows, pairedFlows()...)
	for i := range flows {
		run := flows[i].Run
		flows[i].Run = func(tb testing.TB, s *Site) {
			tb.Helper()
			s.lend(tb)
			run(tb, s)
		}
	}
	return flows
}

func localOptimised(tb testing.TB, s *Site) {
	c := s.call(tb, "5005")
	p := s.Phones["101"]
	p.WaitRinging(tb.Context())
	p.Answer()
	s.connected(tb, "PJSIP/101")
	// The two halves go once agent and trunk share a bridge.
	for range 2 {
		s.Stream.Wait(tb.Context(), "a Local half going away", func(e Event) bool {
			return e.Type == "ChannelDestroyed" && strings.HasPrefix(e.Channel.Name, "Local/")
		})
	}
	c.Hangup()
	p.WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func unanswered(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.Phones["101"].WaitRinging(tb.Context())
	c.GiveUp()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func anonymous(tb testing.TB, s *Site) {
	c := Call(tb, s.Asterisk, CallOptions{Anonymous: true, To: "5000"})
	s.answer(tb, "101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func privacyID(tb testing.TB, s *Site) {
	c := CallWithHeaders(tb, s.Asterisk, CallOptions{Anonymous: true, To: "5000"},
		"P-Asserted-Identity: <sip:"+flowCaller+"@example.com>", "Privacy: id")
	s.answer(tb, "101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func ivrQueue(tb testing.TB, s *Site) {
	c := Call(tb, s.Asterisk, CallOptions{From: flowCaller, Name: flowName, To: "5001", DTMF: "1042#"})
	s.Phones["101"].WaitRinging(tb.Context())
	s.answer(tb, "102")
	s.Phones["101"].WaitClosed(tb.Context())
	s.Phones["102"].Hangup()
	<-c.Done()
	s.Stream.Quiet(tb.Context())
}

func holdResume(tb testing.TB, s *Site) {
	c := s.call(tb, "5000")
	s.answer(tb, "101")
	s.Phones["101"].Hold()
	s.await(tb, "ChannelHold", "PJSIP/101")
	s.Phones["101"].Resume()
	s.await(tb, "ChannelUnhold", "PJSIP/101")
	c.Hangup()
	s.Phones["101"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func internal(tb testing.TB, s *Site) {
	s.Phones["101"].Dial("102")
	s.answer(tb, "102")
	s.Phones["101"].Hangup()
	s.Phones["102"].WaitClosed(tb.Context())
	s.Stream.Quiet(tb.Context())
}

func outbound(tb testing.TB, s *Site) {
	StartUAS(tb, s.Asterisk, TrunkOut, 100*time.Millisecond)
	s.Phones["101"].Dial("912025550177")
	s.connected(tb, "PJSIP/trunkout")
	s.Phones["101"].Hangup()
	s.Stream.Quiet(tb.Context())
}

func forwardedOut(tb testing.TB, s *Site) {
	StartUAS(tb, s.Asterisk, TrunkOut, 100*time.Millisecond)
	c := s.call(tb, "5012")
	s.connected(tb, "PJSIP/trunkout")
	c.Hangup()
	s.Stream.Quiet(tb.Context())
}
