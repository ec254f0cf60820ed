package bridge

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	known, none, withheld := Caller{Number: "+12025550101"}, Caller{}, Caller{Number: "+12025550101", Withheld: true}
	for _, tt := range []struct {
		name   string
		caller Caller
		number TicketNumber
		ticket Known
		mode   Mode
		opens  Opens
		why    string
	}{
		{"caller only", known, "", NotYet, ModeCallerID, OpensCallerInfo, "caller ID present; no call number"},
		{"both, ticket", known, "1042", Present, ModeIVR, OpensTicket, "caller ID present; call number present; ticket found"},
		{"both, none of that number", known, "9", Absent, ModeIVR, OpensPopup, "caller ID present; call number present; no ticket of that number"},
		{"both, lookup not back", known, "9", NotYet, ModeIVR, OpensPending, "caller ID present; call number present; directory has not answered yet"},
		{"number only, ticket", none, "1042", Present, ModeIVR, OpensTicket, "no caller ID; call number present; ticket found"},
		{"number only, none", withheld, "9", Absent, ModeIVR, OpensPopup, "caller ID withheld; call number present; no ticket of that number"},
		{"neither", none, "", NotYet, ModeIVR, OpensPopup, "no caller ID; no call number"},
		{"withheld", withheld, "", Absent, ModeIVR, OpensPopup, "caller ID withheld; no call number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Decide(ModeFacts{Caller: tt.caller, CallNumber: tt.number, Ticket: tt.ticket})
			want := Decision{Mode: tt.mode, Opens: tt.opens, Reasons: strings.Split(tt.why, "; ")}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A number and a name must not come out of any of the usual ways of printing.
func TestPersonalDataIsMasked(t *testing.T) {
	facts := Facts{Caller: Caller{Number: "+12025550101", Name: "Ada Caller"}, Dialled: "+12025550199"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "n", facts.Caller.Number, "who", facts.Caller.Name)
	js, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(facts), fmt.Sprintf("%+v", facts), fmt.Sprintf("%#v", facts.Caller.Number), fmt.Sprintf("%#v", facts.Caller.Name),
		fmt.Sprintf("%q %s", facts.Caller.Number, facts.Caller.Name), string(js), log.String(),
	} {
		if strings.Contains(text, "555") || strings.Contains(text, "Ada") {
			t.Errorf("personal data in %s", text)
		}
	}
	if got := facts.Caller.Number.String(); got != "…01" {
		t.Errorf("masked number is %q", got)
	}
}

func TestEndpoint(t *testing.T) {
	for name, want := range map[string]struct {
		endpoint string
		half     int8
	}{
		"PJSIP/101-0000001c":           {"PJSIP/101", 0},
		"PJSIP/my-trunk-0000001c":      {"PJSIP/my-trunk", 0},
		"SIP/provider-00000001":        {"SIP/provider", 0},
		"Local/101@agents-00000000;1":  {"", 1},
		"Local/101@agents-00000000;2":  {"", 2},
		"Surrogate/PJSIP/101-00000001": {"", 0},
		"CBAnn/42-00000001;2":          {"", 0},
		"nonsense":                     {"", 0},
		"":                             {"", 0},
		"PJSIP/":                       {"PJSIP/", 0},
		"PJSIP/-":                      {"PJSIP/-", 0},
	} {
		if endpoint, half := Endpoint(name); endpoint != want.endpoint || half != want.half {
			t.Errorf("Endpoint(%q) = %q, %d", name, endpoint, half)
		}
	}
}

func TestPopIDIsDeterministicAndDistinct(t *testing.T) {
	seen := map[PopID]bool{}
	for _, call := range []CallID{"p/1", "p/2"} {
		for _, agent := range []AgentID{"a", "b"} {
			for n := range 2 {
				id := MakePopID(call, agent, "leg", n)
				if id != MakePopID(call, agent, "leg", n) || len(id) != 26 || seen[id] {
					t.Errorf("PopID %q for %s %s %d", id, call, agent, n)
				}
				seen[id] = true
			}
		}
	}
}
