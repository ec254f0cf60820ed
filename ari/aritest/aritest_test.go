package aritest

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// scenario is a call of each kind.
func scenario() *Script {
	s := NewScript(start, "lab")
	c, _ := s.Inbound("+15555550101", "Ada Example", "5000", "call-1")
	c.SetCallNumber("1042")
	c.Queue("support")
	c.Ring("PJSIP/101", "PJSIP/102")
	s.Wait(time.Second)
	c.Answer("PJSIP/102")
	c.HoldResume(2 * time.Second)
	c.HangupBy()
	c, _ = s.Withheld("", "5000", "call-2")
	c.Ring("PJSIP/101")
	c.NoAnswer("PJSIP/101")
	c.Ring("PJSIP/102")
	c.CallerGivesUp()
	c, _ = s.Internal("PJSIP/101", "102", "call-3")
	c.Ring("PJSIP/102")
	c.Answer("PJSIP/102")
	c.Hangup()
	c, _ = s.Outbound("PJSIP/101", "+15555550199", "call-4")
	c.Ring(s.Trunk)
	c.Answer(s.Trunk)
	c.Hangup()
	return s
}

func TestScriptLeavesNothingBehind(t *testing.T) {
	var st state
	seen := make(map[string]int)
	last := start
	for _, step := range scenario().Steps() {
		var ev struct{ Type, Timestamp string }
		if err := json.Unmarshal(step.Event, &ev); err != nil {
			t.Fatalf("%s: %v", step.Event, err)
		}
		if ev.Timestamp != stamp(step.At) || step.At.Before(last) {
			t.Errorf("%s at %v bears %s", ev.Type, step.At, ev.Timestamp)
		}
		last = step.At
		seen[ev.Type]++
		st.apply(step.Event)
	}
	if len(st.channels.ids) != 0 || len(st.bridges.ids) != 0 {
		t.Errorf("left: channels %v, bridges %v", st.channels.ids, st.bridges.ids)
	}
	for _, kind := range []string{"ChannelCreated", "ChannelDestroyed", "ChannelVarset", "ChannelDtmfReceived", "Dial", "ChannelHold",
		"ChannelUnhold", "BridgeCreated", "BridgeDestroyed", "ChannelEnteredBridge", "ChannelLeftBridge", "ChannelDialplan"} {
		if seen[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
}

func TestScriptIsTheSameInEveryRun(t *testing.T) {
	if d := cmp.Diff(texts(scenario()), texts(scenario())); d != "" {
		t.Error(d)
	}
}

func texts(s *Script) []string {
	var out []string
	for _, e := range s.Events() {
		out = append(out, string(e))
	}
	return out
}

func TestACallThatIsOverStaysOver(t *testing.T) {
	s := NewScript(start, "")
	c, _ := s.Inbound("+15555550101", "", "5000", "x")
	c.CallerGivesUp()
	n := len(s.Steps())
	c.Ring("PJSIP/101")
	c.Answer("PJSIP/101")
	c.Hold()
	c.Hangup()
	c.HangupBy()
	if more := len(s.Steps()) - n; more != 0 {
		t.Errorf("%d steps after the end", more)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stream.jsonl")
	text := slices.Concat(scenario().Events()[0], []byte("\n\n"), scenario().Events()[1], []byte("\n"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	events, err := Load(file)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if err := os.WriteFile(file, []byte("{}\n{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), ":2:") {
		t.Errorf("bad line: %v", err)
	}
}

func TestSecondSocketTakesTheName(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(run) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	transport := &http.Transport{DisableKeepAlives: true}
	open := func(app string) *websocket.Conn {
		req, _ := http.NewRequest(http.MethodGet, a.URL(), nil)
		req.SetBasicAuth("ringlink", "secret")
		conn, _, err := websocket.Dial(ctx, a.URL()+"/ari/events?subscribeAll=true&app="+app, &websocket.DialOptions{
			HTTPHeader: req.Header, HTTPClient: &http.Client{Transport: transport},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		return conn
	}
	read := func(conn *websocket.Conn) string {
		_, text, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first, other := open("one"), open("two")
	second := open("one")
	if text := read(first); !strings.Contains(text, "ApplicationReplaced") {
		t.Errorf("the first heard %s", text)
	}
	event := scenario().Events()[0]
	if err := a.Play(ctx, [][]byte{event}, 0); err != nil {
		t.Fatal(err)
	}
	if text := read(second); !strings.Contains(text, `"application":"one"`) {
		t.Errorf("the second heard %s", text)
	}
	if text := read(other); !strings.Contains(text, `"application":"two"`) {
		t.Errorf("the other heard %s", text)
	}
	a.Cut()
	if _, text, err := first.Read(ctx); err == nil {
		t.Errorf("the first heard %s after it was replaced", text)
	}
}
