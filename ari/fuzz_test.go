package ari

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ringlink/ari/aritest"
	"ringlink/bridge"
)

// oracle reads an event as encoding/json sees it, field by field. wrong is set
// where a field has a type that ours must refuse.
type oracle struct{ wrong bool }

func (o *oracle) object(v any) map[string]any {
	m, ok := v.(map[string]any)
	o.wrong = o.wrong || v != nil && !ok
	return m
}

func (o *oracle) text(v any) string {
	s, ok := v.(string)
	o.wrong = o.wrong || v != nil && !ok
	return s
}

func (o *oracle) channel(v any) (ch bridge.Channel) {
	m := o.object(v)
	caller, plan, vars := o.object(m["caller"]), o.object(m["dialplan"]), o.object(m["channelvars"])
	ch = bridge.Channel{
		ID: bridge.ChannelID(o.text(m["id"])), Name: o.text(m["name"]), State: channelState([]byte(o.text(m["state"]))),
		ProtocolID: o.text(m["protocol_id"]), CallerName: o.text(caller["name"]), CallerNumber: o.text(caller["number"]),
		Context: o.text(plan["context"]), Exten: o.text(plan["exten"]), App: o.text(plan["app_name"]), AppData: o.text(plan["app_data"]),
		Linkedid: o.text(vars["CHANNEL(linkedid)"]), NumPres: o.text(vars["CALLERID(num-pres)"]), DNID: o.text(vars["CALLERID(dnid)"]),
		RDNIS: o.text(vars["CALLERID(rdnis)"]), CallNumber: o.text(vars["CALL_NUMBER"]),
	}
	_, ch.HasVars = vars["CHANNEL(linkedid)"]
	if s, ok := m["creationtime"].(string); ok {
		ch.Created = parseStamp([]byte(s))
	}
	return ch
}

func (o *oracle) bridge(v any) (br bridge.Bridge) {
	m := o.object(v)
	br = bridge.Bridge{ID: bridge.BridgeID(o.text(m["id"])), Type: o.text(m["bridge_type"]), Class: o.text(m["bridge_class"]), Name: o.text(m["name"])}
	list, ok := m["channels"].([]any)
	o.wrong = o.wrong || m["channels"] != nil && !ok
	for _, id := range list {
		br.Channels = append(br.Channels, bridge.ChannelID(o.text(id)))
	}
	return br
}

// event gives the event that the plain layouts must give.
func (o *oracle) event(m map[string]any, kind bridge.EventKind, where layout) bridge.Event {
	ev := bridge.Event{Kind: kind}
	if s, ok := m["timestamp"].(string); ok {
		ev.Stamp = parseStamp([]byte(s))
	}
	switch where {
	case layoutChannel:
		ev.Channel, ev.Bridge = o.channel(m["channel"]), o.bridge(m["bridge"])
		if kind == bridge.EventChannelDestroyed && m["cause"] != nil {
			cause, ok := m["cause"].(json.Number)
			n, err := cause.Int64()
			o.wrong = o.wrong || !ok || err != nil || n > math.MaxInt32 || n < math.MinInt32
			ev.Cause = int(n)
		}
		o.wrong = o.wrong || ev.Channel.ID == "" || ev.Bridge.ID == "" && (kind == bridge.EventBridgeEntered || kind == bridge.EventBridgeLeft)
	case layoutDial:
		ev.Channel, ev.Peer, ev.DialStatus = o.channel(m["caller"]), o.channel(m["peer"]), strings.ToUpper(o.text(m["dialstatus"]))
		o.wrong = o.wrong || ev.Peer.ID == ""
	case layoutBridge:
		ev.Bridge = o.bridge(m["bridge"])
		o.wrong = o.wrong || ev.Bridge.ID == ""
	}
	return ev
}

// unique tells whether no object of a valid JSON text has a key twice (what
// Asterisk's jansson cannot make, and readers differ about) and it is not
// nested past half our bound.
func unique(data []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	type level struct {
		keys map[string]bool // nil in an array
		key  bool            // a key is due
	}
	var stack []level
	for {
		tok, err := dec.Token()
		if err != nil {
			return true
		}
		top := len(stack) - 1
		if s, ok := tok.(string); ok && top >= 0 && stack[top].key {
			if stack[top].keys[s] {
				return false
			}
			stack[top].keys[s], stack[top].key = true, false
			continue
		}
		if tok == json.Delim('}') || tok == json.Delim(']') {
			stack = stack[:top]
			continue
		}
		if top >= 0 && stack[top].keys != nil {
			stack[top].key = true // this is the value
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, level{make(map[string]bool), true})
		case json.Delim('['):
			stack = append(stack, level{})
		}
		if len(stack) > maxDepth/2 {
			return false
		}
	}
}

func FuzzDecode(f *testing.F) {
	script := aritest.NewScript(stampTime, "lab")
	c, _ := script.Inbound("+15555550101", `Åsa "Ada"`, "5000", "x")
	c.SetCallNumber("1042")
	c.Ring("PJSIP/101", "PJSIP/102")
	c.Answer("PJSIP/101")
	c.Hangup()
	for _, e := range script.Events() {
		f.Add(e)
	}
	f.Add([]byte(`{"x":[1,{"type":"no"}],"t\u0079pe":"ChannelDestroyed","cause":-1e2,"channel":{"id":"\ud83d\ude00"}}`))
	d := NewDecoder([]string{"CALL_NUMBER"})
	f.Fuzz(func(t *testing.T, data []byte) {
		var got bridge.Event
		result, err := d.Decode(data, &got)
		if (err != nil) != (result == ResultMalformed) || (result != ResultDecoded && got.Kind != bridge.EventNone) {
			t.Fatalf("%v, %v, %+v", result, err, got)
		}
		_, _ = d.Channels(data)
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var m map[string]any
		if len(data) > maxField || !json.Valid(data) || !unique(data) || dec.Decode(&m) != nil || m == nil {
			return
		}
		name, ok := m["type"].(string)
		if !ok || name == "" {
			if result != ResultMalformed {
				t.Fatalf("no type, but %v", result)
			}
			return
		}
		var o oracle
		kind, where := classify([]byte(name))
		want := o.event(m, kind, where)
		switch {
		case where == layoutSkip && result != ResultSkipped, where == layoutUnknown && result != ResultUnknown,
			where == layoutReplaced && result != ResultReplaced:
			t.Fatalf("type %q: %v", name, result)
		case where != layoutChannel && where != layoutDial && where != layoutBridge:
			return
		case o.wrong != (result == ResultMalformed):
			t.Fatalf("type %q: %v, %v; encoding/json sees %+v", name, result, err, want)
		case o.wrong:
			return
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}
