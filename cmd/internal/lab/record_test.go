package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringlink/cmd/internal/lab"
)

// streamsDir is where the scenario tests of cmd/ringlink read the recordings.
const streamsDir = "../../ringlink/testdata/streams"

// TestRecord makes the recordings anew, under RINGLINK_RECORD=1 only: a recording
// is a fixture, and a test run does not rewrite its own fixtures.
func TestRecord(t *testing.T) {
	if os.Getenv("RINGLINK_RECORD") != "1" {
		t.Skip("records only with RINGLINK_RECORD=1")
	}
	if err := os.MkdirAll(streamsDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, flow := range lab.Flows() {
		t.Run(flow.Name, func(t *testing.T) {
			site := lab.StartSite(t, lab.Options{}, "lab-driver")
			r := lab.Record(t, site.Asterisk, filepath.Join(streamsDir, flow.Name+".jsonl"))
			// A talk outlasts by far how Asterisk's stamps run back, and so does the time between two calls.
			pace := func() { time.Sleep(100 * time.Millisecond) }
			site.Answered = func(string) { pace(); r.Snapshot(t.Context()) }
			site.Pause, site.Reseat = pace, func() { pace(); pace() }
			flow.Run(t, site)
			r.Save(t.Context())
		})
	}
	if t.Failed() {
		return // and leave the table to a run that has them all
	}
	if err := os.WriteFile(filepath.Join(streamsDir, "README.md"), []byte(table(lab.Flows())), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table(flows []lab.Flow) string {
	var b strings.Builder
	b.WriteString(`# ARI event streams of the project's own lab

Recorded from a real Asterisk 22 with real SIP phones by
` + "`RINGLINK_RECORD=1 RINGLINK_TIERS=all go test -run TestRecord ./cmd/internal/lab`" + `, as Asterisk
sent them: one JSON object a line. Beside each stream NAME.channels.json and NAME.bridges.json are
what GET /ari/channels and /ari/bridges answered when last a device had come into a bridge.
The trunk is PJSIP/anonymous in from-trunk (outbound PJSIP/trunkout); numbers and names are fictional.

| stream | what happens | pops, in order | caller ID | call number | dialled |
|---|---|---|---|---|---|
`)
	for _, f := range flows {
		var devices []string
		for i, device := range f.Pops {
			devices = append(devices, device+[]string{"", " (second)"}[f.CallOf(i)])
		}
		pops, caller, dialled := strings.Join(devices, ", "), dash(f.Caller), dash(f.Dialled)
		if f.Second != nil {
			caller, dialled = caller+", second "+f.Second.Caller, dialled+", second "+f.Second.Dialled
		}
		if pops == "" {
			pops = "nobody"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.Name, f.Text, pops, caller, dash(f.CallNumber), dialled)
	}
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
