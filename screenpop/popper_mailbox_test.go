package screenpop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

// TestMailboxFull: ends are never dropped, facts and holds are folded, ringing
// notices go.
func TestMailboxFull(t *testing.T) {
	pop := func(kind bridge.EffectKind, id bridge.PopID) bridge.Effect {
		return bridge.Effect{Kind: kind, Call: "pbx1/1", Agent: "one", Pop: id}
	}
	facts := func(e bridge.Effect, n bridge.TicketNumber) bridge.Effect {
		e.Facts.CallNumber = n
		return e
	}
	held := func(e bridge.Effect, held bool) bridge.Effect {
		e.Held = held
		return e
	}
	const offered, updated, ended, hold = bridge.EffectPopOffered, bridge.EffectPopUpdated, bridge.EffectPopEnded, bridge.EffectHeld
	for name, c := range map[string]struct {
		in   []bridge.Effect
		want string
	}{
		"facts into the offer":         {[]bridge.Effect{facts(pop(offered, "a"), "1"), pop(offered, "b"), facts(pop(updated, "a"), "2"), facts(pop(updated, "a"), "3")}, "1a3- 1b-"},
		"facts into the latest":        {[]bridge.Effect{pop(ended, "x"), pop(ended, "y"), facts(pop(updated, "a"), "2"), facts(pop(updated, "a"), "3")}, "4x- 4y- 2a3-"},
		"holds":                        {[]bridge.Effect{pop(offered, "a"), held(pop(hold, "a"), true), held(pop(hold, "a"), false), held(pop(hold, "a"), true)}, "1a- 7a+"},
		"ends stay":                    {[]bridge.Effect{pop(offered, "a"), pop(offered, "b"), pop(ended, "a"), pop(ended, "b"), pop(bridge.EffectRingingOver, ""), pop(bridge.EffectCallEnded, "")}, "1a- 1b- 4a- 4b- 6- 8-"},
		"new offers stay":              {[]bridge.Effect{pop(offered, "a"), pop(offered, "b"), pop(offered, "c")}, "1a- 1b- 1c-"},
		"ringing goes when it is full": {[]bridge.Effect{pop(bridge.EffectRinging, ""), pop(offered, "a"), pop(bridge.EffectRinging, "")}, "5- 1a-"},
	} {
		t.Run(name, func(t *testing.T) {
			b := mailbox{limit: 2, wake: make(chan struct{}, 1), metrics: NewMetrics(nil)}
			for _, e := range c.in {
				b.put(e)
			}
			kinds := map[bridge.EffectKind]int{offered: 1, updated: 2, ended: 4, bridge.EffectRinging: 5, bridge.EffectRingingOver: 6, hold: 7, bridge.EffectCallEnded: 8}
			var got []string
			effects, _ := b.take()
			for _, e := range effects {
				mark := "-"
				if e.Held {
					mark = "+"
				}
				got = append(got, fmt.Sprint(kinds[e.Kind], e.Pop, e.Facts.CallNumber, mark))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("queue (-want +got):\n%s", diff)
			}
			if again, posts := b.take(); len(again) != 0 || len(posts) != 0 {
				t.Error("take did not empty the mailbox")
			}
		})
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Zoë O'Neil": "Zoë O'Neil", "a\r\nb": "ab", "\u202eab\u2066": "ab", "\xffx": "\uFFFDx", "a\u2028b": "ab", "": "",
		strings.Repeat("x", 201): strings.Repeat("x", 200) + "…",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}
