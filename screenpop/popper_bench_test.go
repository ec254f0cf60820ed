package screenpop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

// BenchmarkEffectToStream is the way from an answer's effect to its message in
// an open stream, one call after the other, over a store and a directory in
// memory.
func BenchmarkEffectToStream(b *testing.B) {
	hub := screenpop.NewHub(screenpop.HubOptions{})
	popper, err := screenpop.NewPopper(screenpop.PopperOptions{Pops: &screenpoptest.Store{}, Directory: newDirectory(), Hub: hub})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- popper.Run(ctx) }()
	defer func() {
		hub.Close()
		cancel()
		<-done
	}()
	s, err := hub.Subscribe(agentOne)
	if err != nil {
		b.Fatal(err)
	}
	<-s.C()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		call, id, now := bridge.CallID(fmt.Sprintf("pbx1/%d", i)), bridge.PopID(fmt.Sprint(i)), time.Now()
		popper.Handle(bridge.Effect{Kind: bridge.EffectPopOffered, Call: call, Pop: id, Agent: agentOne, Facts: knownFacts(), Received: now, At: now})
		<-s.C()
		popper.Handle(bridge.Effect{Kind: bridge.EffectPopEnded, Call: call, Pop: id, Agent: agentOne, State: bridge.PopSuperseded, Cause: "transfer", At: now})
		<-s.C()
		popper.Handle(bridge.Effect{Kind: bridge.EffectCallEnded, Call: call, Outcome: bridge.OutcomeAnswered, At: now})
	}
}
