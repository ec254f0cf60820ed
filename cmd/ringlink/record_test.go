package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
	"ringlink/config"
)

// What is written is what was read, field by field.
func TestEncodeEvent(t *testing.T) {
	files, err := filepath.Glob(streamFile("*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	d := ari.NewDecoder([]string{"CALL_NUMBER"})
	for _, file := range files {
		for i, ev := range readStream(t, file) {
			ev.PBX = ""
			text, err := encodeEvent(&ev, "CALL_NUMBER")
			if err != nil {
				t.Fatal(err)
			}
			var again bridge.Event
			if result, err := d.Decode(text, &again); result != ari.ResultDecoded || err != nil {
				t.Fatalf("%s, event %d: %v, %v: %s", file, i, result, err, text)
			}
			if diff := cmp.Diff(ev, again, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s, event %d (-read +written):\n%s", file, i, diff)
			}
		}
	}
}

// popsOf describes the pops of trails, so that a record's can be compared with
// those of its original.
func popsOf(trails []bridge.Trail) (list []string) {
	for i := range trails {
		tr := &trails[i]
		for _, p := range withTrail(tr, nil, explainView{}) {
			list = append(list, fmt.Sprintf("%s %s %s %s %s withheld=%v caller=%v number=%v",
				p.Call.UniqueID(), p.Device.Endpoint, p.State, p.Decision.Mode, p.Decision.Opens, tr.Withheld, tr.Caller > 0, tr.Number > 0))
		}
		if tr.Reason != "" {
			list = append(list, tr.Call.UniqueID()+" "+string(tr.Reason))
		}
	}
	return list
}

// personal are the numbers, names, Call-IDs and keyed digits of a stream.
func personal(events []bridge.Event) (list []string) {
	add := func(s string) {
		if !shortNumber.MatchString(s) && !slices.Contains([]string{"anonymous", "Anonymous", "unknown", "s", "h", "asterisk"}, s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	for i := range events {
		for _, c := range []bridge.Channel{events[i].Channel, events[i].Peer} {
			for _, s := range []string{c.CallerNumber, c.CallerName, c.DNID, c.RDNIS, c.Exten, c.ProtocolID} {
				add(s)
			}
		}
	}
	return list
}

// Each recorded flow, recorded again with what is personal replaced, comes to
// the same pops and reasons.
func TestRecordKeepsPops(t *testing.T) {
	for _, f := range lab.Flows() {
		if _, err := os.Stat(streamFile(f.Name)); err != nil {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			var out bytes.Buffer
			r := newRecorder(&out, &config.PBX{Name: "lab"})
			r.outside = labPBX.Outside
			devices := recordLine{Type: recordDevices}
			for _, a := range labDevices.Devices {
				devices.Devices = append(devices.Devices, recordDevice{a.Device.Endpoint, "agent-of-" + a.Device.Endpoint})
			}
			r.line(devices)
			events := readStream(t, streamFile(f.Name))
			for _, ev := range events {
				r.event(ev)
			}
			if r.flush(); r.err != nil {
				t.Fatal(r.err)
			}
			for _, p := range personal(events) {
				if bytes.Contains(out.Bytes(), []byte(p)) {
					t.Errorf("%q is left", p)
				}
			}
			file := filepath.Join(t.TempDir(), "record.jsonl")
			if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(popsOf(replayLab(t, f.Name)), popsOf(replayFile(t, file))); diff != "" {
				t.Errorf("(-original +record):\n%s", diff)
			}
		})
	}
}

// replayFile plays a record as `ringlink replay FILE` does.
func replayFile(t *testing.T, file string) []bridge.Trail {
	t.Helper()
	r, err := readRecord(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	trails, err := replayRecord(r, (&replayCommand{}).complete(r, replaySetting{}))
	if err != nil {
		t.Fatal(err)
	}
	return trails
}

func TestScrub(t *testing.T) {
	s := newScrubber()
	for _, tt := range [][2]string{
		{"+442079460123", "+12025551000"}, {"00442079460123", "0012025551000"}, {"442079460123", "12025551000"},
		{"+442079460124", "+12025551001"}, {"5000", "5000"}, {"*8101", "*8101"}, {"", ""}, {"anonymous", "anonymous"},
		{"jane.doe", "user-1"}, {"jane.doe", "user-1"},
	} {
		if got := s.number(tt[0]); got != tt[1] {
			t.Errorf("number(%q) = %q, want %q", tt[0], got, tt[1])
		}
	}
	for name, want := range map[string]string{
		"PJSIP/101-0000001c": "PJSIP/101-0000001c", "PJSIP/101-00000012": "PJSIP/101-00000012", "SIP/203.0.113.7-00000001": "SIP/192.0.2.1-00000001",
		"Local/+442079460123@out-00000001;2": "Local/+12025551000@out-00000001;2",
	} {
		if got := s.channelName(name); got != want {
			t.Errorf("channelName(%q) = %q, want %q", name, got, want)
		}
	}
	if a, b := s.callNumber("1042"), s.callNumber("9"); a != "0001" || b != "2" {
		t.Error(a, b)
	}
	if a, b := s.id("lab-1795356242.0"), s.id("jane@example.com"); a != "lab-1795356242.0" || b != "channel-1" {
		t.Error(a, b)
	}
}
