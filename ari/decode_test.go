package ari

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ringlink/bridge"
)

var stampTime = time.Date(2026, 11, 22, 12, 51, 54, 400e6, time.UTC)

func lab(n int, state bridge.ChannelState) bridge.Channel {
	return bridge.Channel{
		ID: channelID(n), Name: "PJSIP/trunk-0000000" + string(rune('0'+n)), State: state, ProtocolID: "call-" + string(rune('0'+n)),
		CallerNumber: "+15555550101", CallerName: "Ada Example", Context: "from-trunk", Exten: "5000", App: "Dial", AppData: "PJSIP/101",
		HasVars: true, Linkedid: string(channelID(n)), NumPres: "allowed_not_screened", DNID: "5000", Created: stampTime,
	}
}

const bridgeJSON = `{"id":"b-1","technology":"simple_bridge","bridge_type":"mixing","bridge_class":"basic","creator":"","name":"","channels":["lab-1795351914.1","lab-1795351914.2"],"creationtime":"` + testStamp + `","video_mode":"none"}`

var labBridge = bridge.Bridge{ID: "b-1", Type: "mixing", Class: "basic", Channels: []bridge.ChannelID{channelID(1), channelID(2)}}

func TestDecodeNeeded(t *testing.T) {
	ch1, ch2 := channelJSON(1, "Ring"), channelJSON(2, "Up")
	legs := `"transferer_first_leg":` + ch1 + `,"transferer_second_leg":` + ch2 + `,"result":"Success"`
	for name, tt := range map[string]struct {
		text string
		want bridge.Event
	}{
		"created":                    {`{"type":"ChannelCreated","channel":` + ch1 + `}`, bridge.Event{Kind: bridge.EventChannel, Channel: lab(1, bridge.StateRing)}},
		"type last":                  {`{"channel":` + ch2 + `,"timestamp":"` + testStamp + `","type":"ChannelStateChange"}`, bridge.Event{Kind: bridge.EventChannel, Stamp: stampTime, Channel: lab(2, bridge.StateUp)}},
		"caller id":                  {`{"type":"ChannelCallerId","caller_presentation":0,"channel":` + ch1 + `}`, bridge.Event{Kind: bridge.EventChannel, Channel: lab(1, bridge.StateRing)}},
		"destroyed":                  {`{"type":"ChannelDestroyed","cause":26,"cause_txt":"Answered elsewhere","channel":` + ch1 + `}`, bridge.Event{Kind: bridge.EventChannelDestroyed, Cause: 26, Channel: lab(1, bridge.StateRing)}},
		"hold":                       {`{"type":"ChannelHold","musicclass":null,"channel":` + ch2 + `}`, bridge.Event{Kind: bridge.EventHold, Channel: lab(2, bridge.StateUp)}},
		"unhold":                     {`{"type":"ChannelUnhold","channel":` + ch2 + `}`, bridge.Event{Kind: bridge.EventUnhold, Channel: lab(2, bridge.StateUp)}},
		"dial":                       {`{"type":"Dial","dialstatus":"ANSWER","caller":` + ch1 + `,"peer":` + ch2 + `}`, bridge.Event{Kind: bridge.EventDial, DialStatus: "ANSWER", Channel: lab(1, bridge.StateRing), Peer: lab(2, bridge.StateUp)}},
		"dial, no caller":            {`{"type":"Dial","dialstatus":"","peer":` + ch2 + `}`, bridge.Event{Kind: bridge.EventDial, Peer: lab(2, bridge.StateUp)}},
		"bridge created":             {`{"type":"BridgeCreated","bridge":` + bridgeJSON + `}`, bridge.Event{Kind: bridge.EventBridge, Bridge: labBridge}},
		"merged: the one that stays": {`{"type":"BridgeMerged","bridge_from":{"id":"b-2","channels":[]},"bridge":` + bridgeJSON + `}`, bridge.Event{Kind: bridge.EventBridge, Bridge: labBridge}},
		"bridge destroyed":           {`{"type":"BridgeDestroyed","bridge":{"id":"b-1","channels":[]}}`, bridge.Event{Kind: bridge.EventBridgeDestroyed, Bridge: bridge.Bridge{ID: "b-1"}}},
		"entered":                    {`{"type":"ChannelEnteredBridge","bridge":` + bridgeJSON + `,"channel":` + ch1 + `}`, bridge.Event{Kind: bridge.EventBridgeEntered, Bridge: labBridge, Channel: lab(1, bridge.StateRing)}},
		"left":                       {`{"type":"ChannelLeftBridge","bridge":` + bridgeJSON + `,"channel":` + ch1 + `}`, bridge.Event{Kind: bridge.EventBridgeLeft, Bridge: labBridge, Channel: lab(1, bridge.StateRing)}},
		"blind":                      {`{"type":"BridgeBlindTransfer","channel":` + ch2 + `,"exten":"102","result":"Success","transferee":` + ch1 + `,"bridge":` + bridgeJSON + `}`, bridge.Event{Kind: bridge.EventBlindTransfer, Channel: lab(2, bridge.StateUp), Peer: lab(1, bridge.StateRing), Bridge: labBridge}},
		"attended, bridge":           {`{"type":"BridgeAttendedTransfer",` + legs + `,"transferer_first_leg_bridge":{"id":"b-0"},"transferer_second_leg_bridge":` + bridgeJSON + `,"destination_type":"bridge","destination_bridge":"b-1"}`, bridge.Event{Kind: bridge.EventAttendedTransfer, Channel: lab(1, bridge.StateRing), Peer: lab(2, bridge.StateUp), Bridge: labBridge}},
		"attended, three-way":        {`{"type":"BridgeAttendedTransfer",` + legs + `,"transferer_first_leg_bridge":{"id":"b-0"},"destination_type":"threeway","destination_threeway_bridge":` + bridgeJSON + `}`, bridge.Event{Kind: bridge.EventAttendedTransfer, Channel: lab(1, bridge.StateRing), Peer: lab(2, bridge.StateUp), Bridge: labBridge}},
		"attended, link":             {`{"type":"BridgeAttendedTransfer",` + legs + `,"transferer_first_leg_bridge":` + bridgeJSON + `,"destination_type":"link"}`, bridge.Event{Kind: bridge.EventAttendedTransfer, Channel: lab(1, bridge.StateRing), Peer: lab(2, bridge.StateUp), Bridge: labBridge}},
		"variable":                   {`{"variable":"CALL_NUMBER","value":"1042","type":"ChannelVarset","channel":{"id":"c"}}`, bridge.Event{Kind: bridge.EventVariable, Variable: "CALL_NUMBER", Value: "1042", Channel: bridge.Channel{ID: "c"}}},
		"variable after type":        {`{"type":"ChannelVarset","variable":"CALL_NUMBER","value":"1042","channel":{"id":"c"}}`, bridge.Event{Kind: bridge.EventVariable, Variable: "CALL_NUMBER", Value: "1042", Channel: bridge.Channel{ID: "c"}}},
		"inherited variable":         {`{"variable":"__CALL_NUMBER","value":"7","type":"ChannelVarset","channel":{"id":"c"}}`, bridge.Event{Kind: bridge.EventVariable, Variable: "CALL_NUMBER", Value: "7", Channel: bridge.Channel{ID: "c"}}},
		"call number, best first":    {`{"type":"ChannelCreated","channel":{"id":"c","channelvars":{"TICKET":"2","CALL_NUMBER":"","X":{}}}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c", CallNumber: "2"}}},
		"nulls":                      {`{"type":"ChannelCreated","timestamp":null,"channel":{"id":"c","name":null,"state":null,"caller":null,"dialplan":null,"creationtime":null,"channelvars":null}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c"}}},
		"timestamp of a wrong type":  {`{"type":"ChannelCreated","timestamp":17,"channel":{"id":"c"}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c"}}},
		"Z":                          {`{"type":"ChannelCreated","timestamp":"2026-11-22T12:51:54.4Z","channel":{"id":"c"}}`, bridge.Event{Kind: bridge.EventChannel, Stamp: stampTime, Channel: bridge.Channel{ID: "c"}}},
		"escapes":                    {`{"t\u0079pe":"Channel\u0043reated","channel":{"id":"c","caller":{"name":"\"\u00c5sa\" \ud83d\ude00\ud83d \t"}}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c", CallerName: "\"Åsa\" 😀\ufffd \t"}}},
		"nested type is not ours":    {`{"x":{"type":"StasisStart"},"y":"\"type\":\"StasisEnd\"","type":"ChannelCreated","channel":{"type":"Dial","id":"c"}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c"}}},
		"other state":                {`{"type":"ChannelCreated","channel":{"id":"c","state":"OffHook"}}`, bridge.Event{Kind: bridge.EventChannel, Channel: bridge.Channel{ID: "c", State: bridge.StateOther}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got bridge.Event
			result, err := NewDecoder([]string{"CALL_NUMBER", "TICKET"}).Decode([]byte(tt.text), &got)
			if result != ResultDecoded || err != nil {
				t.Fatalf("%v, %v", result, err)
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeOther(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want Result
		err  error
	}{
		"connected line":           {`{"type":"ChannelConnectedLine","channel":5}`, ResultSkipped, nil},
		"new in 22.10":             {`{"type":"StasisBroadcast"}`, ResultSkipped, nil},
		"another variable":         {`{"variable":"CARD","value":"4111","type":"ChannelVarset","channel":{"id":"c"}}`, ResultSkipped, nil},
		"a global variable":        {`{"variable":"CALL_NUMBER","value":"1","type":"ChannelVarset"}`, ResultSkipped, nil},
		"a transfer that was not":  {`{"type":"BridgeBlindTransfer","result":"Fail","channel":{"id":"c"}}`, ResultSkipped, nil},
		"of the future":            {`{"type":"ChannelTeleported"}`, ResultUnknown, nil},
		"replaced":                 {`{"type":"ApplicationReplaced","application":"ringlink"}`, ResultReplaced, nil},
		"empty":                    {``, ResultMalformed, ErrSyntax},
		"not JSON":                 {`GET / HTTP/1.1`, ResultMalformed, ErrSyntax},
		"an array":                 {`[1]`, ResultMalformed, ErrSyntax},
		"no type":                  {`{}`, ResultMalformed, ErrMissing},
		"nested type only":         {`{"channel":{"type":"Dial"}}`, ResultMalformed, ErrMissing},
		"type null":                {`{"type":null}`, ResultMalformed, ErrMissing},
		"type a number":            {`{"type":1}`, ResultMalformed, ErrWrongType},
		"cut":                      {`{"type":"ChannelCreated","channel":{"id":"c`, ResultMalformed, ErrSyntax},
		"cut in an escape":         {`{"type":"ChannelCreated","channel":{"id":"c\u00`, ResultMalformed, ErrSyntax},
		"bad escape":               {`{"type":"ChannelCreated","channel":{"id":"\x"}}`, ResultMalformed, ErrSyntax},
		"control byte":             {"{\"type\":\"ChannelCreated\",\"channel\":{\"id\":\"a\nb\"}}", ResultMalformed, ErrSyntax},
		"two objects":              {`{"type":"ChannelCreated","channel":{"id":"c"}}{}`, ResultMalformed, ErrSyntax},
		"trailing comma":           {`{"type":"ChannelCreated","channel":{"id":"c",}}`, ResultMalformed, ErrSyntax},
		"no channel":               {`{"type":"ChannelCreated"}`, ResultMalformed, ErrMissing},
		"channel null":             {`{"type":"ChannelDestroyed","channel":null}`, ResultMalformed, ErrMissing},
		"channel a string":         {`{"type":"ChannelCreated","channel":"c"}`, ResultMalformed, ErrWrongType},
		"id a number":              {`{"type":"ChannelCreated","channel":{"id":7}}`, ResultMalformed, ErrWrongType},
		"cause a string":           {`{"type":"ChannelDestroyed","cause":"16","channel":{"id":"c"}}`, ResultMalformed, ErrWrongType},
		"cause a fraction":         {`{"type":"ChannelDestroyed","cause":1.5,"channel":{"id":"c"}}`, ResultMalformed, ErrWrongType},
		"members a string":         {`{"type":"BridgeCreated","bridge":{"id":"b","channels":"c"}}`, ResultMalformed, ErrWrongType},
		"a member a number":        {`{"type":"BridgeCreated","bridge":{"id":"b","channels":["c",1]}}`, ResultMalformed, ErrWrongType},
		"entered nothing":          {`{"type":"ChannelEnteredBridge","channel":{"id":"c"}}`, ResultMalformed, ErrMissing},
		"dial nobody":              {`{"type":"Dial","caller":{"id":"c"}}`, ResultMalformed, ErrMissing},
		"variable a number":        {`{"type":"ChannelVarset","variable":1}`, ResultMalformed, ErrWrongType},
		"too deep before the type": {`{"x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `,"type":"Dial"}`, ResultMalformed, ErrDepth},
		"deep":                     {`{"x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `,"type":"StasisEnd"}`, ResultSkipped, nil},
		"endless depth":            {`{"x":` + strings.Repeat("[", 1<<20), ResultMalformed, ErrDepth},
	} {
		t.Run(name, func(t *testing.T) {
			ev := bridge.Event{Kind: bridge.EventNone}
			got, err := NewDecoder([]string{"CALL_NUMBER"}).Decode([]byte(tt.text), &ev)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
			if !cmp.Equal(ev, bridge.Event{}) {
				t.Errorf("left an event: %+v", ev)
			}
		})
	}
}

func TestDecodeGiants(t *testing.T) {
	d := NewDecoder([]string{"CALL_NUMBER"})
	var ev bridge.Event
	for _, text := range [][]byte{
		[]byte(`{"type":"ChannelCreated","channel":{"id":"c","name":"` + strings.Repeat("n", 1<<20) + `"}}`),
		[]byte(`{"type":"ChannelCreated","channel":{"id":"c","name":"` + strings.Repeat("é", 1<<19) + `"}}`),
		[]byte(`{"x":"` + strings.Repeat(`\"`, 1<<19) + `","type":"ChannelCreated","channel":{"id":"c"}}`),
	} {
		if result, err := d.Decode(text, &ev); result != ResultDecoded || ev.Channel.ID != "c" || len(ev.Channel.Name) > maxField {
			t.Errorf("%v, %v, name of %d bytes", result, err, len(ev.Channel.Name))
		}
	}
	if cap(d.arena) > 64<<10 {
		t.Errorf("keeps %d bytes", cap(d.arena))
	}
	var members []string
	for range 50_000 {
		members = append(members, `"lab-1795351914.1"`)
	}
	text := []byte(`{"type":"BridgeCreated","bridge":{"id":"b","channels":[` + strings.Join(members, ",") + `]}}`)
	if result, err := d.Decode(text, &ev); result != ResultDecoded || len(ev.Bridge.Channels) != 50_000 {
		t.Errorf("%v, %v, %d members", result, err, len(ev.Bridge.Channels))
	}
}

func TestDecodedEventSharesNothing(t *testing.T) {
	d := NewDecoder([]string{"CALL_NUMBER"})
	text := event("ChannelCreated", 1, "Ring")
	var first, second bridge.Event
	if _, err := d.Decode(text, &first); err != nil {
		t.Fatal(err)
	}
	clear(text)
	if _, err := d.Decode(event("ChannelStateChange", 2, "Up"), &second); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(lab(1, bridge.StateRing), first.Channel); d != "" {
		t.Error(d)
	}
}

func TestSkippedEventsAllocateNothing(t *testing.T) {
	d := NewDecoder([]string{"CALL_NUMBER"})
	var ev bridge.Event
	for name, text := range map[string][]byte{
		"skipped":   event("ChannelConnectedLine", 1, "Up"),
		"variable":  append([]byte(`{"variable":"RTPAUDIOQOS","value":"ssrc=1;lp=0",`), event("ChannelVarset", 1, "Up")[1:]...),
		"unknown":   event("ChannelTeleported", 1, "Up"),
		"malformed": bytes.Replace(event("ChannelCreated", 1, "Up"), []byte(`"id":"`), []byte(`"id":7,"x":"`), 1),
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = d.Decode(text, &ev) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	decoded := event("ChannelCreated", 1, "Up")
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Decode(decoded, &ev) }); n > 1 {
		t.Errorf("decoded: %v allocations", n)
	}
}

func TestChannelsOfREST(t *testing.T) {
	d := NewDecoder([]string{"CALL_NUMBER"})
	got, err := d.Channels([]byte(` [` + channelJSON(1, "Ring") + `, ` + channelJSON(2, "Up") + `]`))
	if d := cmp.Diff([]bridge.Channel{lab(1, bridge.StateRing), lab(2, bridge.StateUp)}, got); err != nil || d != "" {
		t.Error(err, d)
	}
	if got, err := d.Channels([]byte(`[]`)); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	for _, bad := range []string{``, `{}`, `[`, `[{}]`, `[1]`, `[{"id":"c"}`, `[{"id":"c"} {"id":"d"}]`, `[{"id":"\x"}]`} {
		if got, err := d.Channels([]byte(bad)); err == nil {
			t.Errorf("%q gave %v", bad, got)
		}
	}
}

func TestParseStamp(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-11-22T12:51:54.400+0000":  stampTime,
		"2026-11-22T12:51:54.4Z":        stampTime,
		"2026-11-22T14:51:54.400+0200":  stampTime,
		"2026-11-22T07:21:54.400-05:30": stampTime,
		"2026-11-22T12:51:54.400":       stampTime,
		"2026-11-22T12:51:54":           stampTime.Truncate(time.Second),
		"2026-02-30T12:51:54.400+0000":  {},
		"2026-11-22 12:51:54.400+0000":  {},
		"2026-11-22T12:51:54.400+00000": {},
		"2026-11-22T12:51:54.400+0x00":  {},
		"yesterday":                     {},
		"":                              {},
		"2026-13-22T12:51:54.400+0000":  {},
		"2026-11-22T25:51:54.400+0000":  {},
		"20a6-11-22T12:51:54.400+0000":  {},
	} {
		if got := parseStamp([]byte(text)); !got.Equal(want) {
			t.Errorf("%q: %v", text, got)
		}
	}
}
