package ari

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ringlink/bridge"
)

// resync brings the engine up to what the PBX has, once for each stream, once
// for each gap, and every RefreshEvery, until ctx ends. While the PBX does not answer, events
// flow without a snapshot rather than wait for it; they are then repeated
// after it, since the snapshot may be older than they. The gate was begun
// before the reader.
func (s *Source) resync(ctx context.Context) {
	retry := s.newBackOff()
	failing := false
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			sleep(ctx, min(retry.NextBackOff(), s.opt.RetryMax))
			s.gate.begin(failing)
		}
		started := time.Now()
		up, err := s.snapshot(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failing = true
			s.gate.abandon()
			s.m.up.Set(0)
			s.set(true, ReasonResync+Reason(err), fmt.Errorf("listing channels and bridges: %w", err))
			continue
		}
		s.m.resync.Observe(time.Since(started).Seconds())
		failing = false
		if gap, done := s.gate.settle(up); done {
			s.settled(up.Snapshot, gap)
			retry.Reset()
			refresh := time.NewTimer(s.opt.RefreshEvery)
			select {
			case <-s.gate.missing:
				refresh.Stop()
			case <-refresh.C:
				continue
			case <-ctx.Done():
				refresh.Stop()
				return
			}
		}
		s.m.up.Set(0)
		s.set(true, ReasonCatchingUp, errGap)
	}
}

var errGap = errors.New("more events than the queue takes")

// settled notes that events and state are complete again.
func (s *Source) settled(snap *bridge.Snapshot, gap time.Duration) {
	s.m.gapSeconds.Add(gap.Seconds())
	s.m.up.Set(1)
	if len(snap.Channels) > 0 {
		s.noteVars(snap.Channels[0].HasVars)
	}
	level := slog.LevelInfo
	if s.Status().Ready() { // a refresh
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "ari up", "channels", len(snap.Channels), "bridges", len(snap.Bridges),
		"asterisk_started", snap.Booted, "gap", gap)
	s.set(true, "", nil)
}

// snapshot asks for everything at once, so that a PBX that hangs costs one
// time-out and not three. The parts are of slightly different moments; the
// events since, which follow, make up for that.
func (s *Source) snapshot(ctx context.Context) (bridge.Event, error) {
	var (
		wg       sync.WaitGroup
		info     Info
		channels []bridge.Channel
		bridges  []bridge.Bridge
		errs     [3]error
	)
	wg.Go(func() { info, errs[0] = s.rest.Info(ctx) })
	wg.Go(func() { channels, errs[1] = s.rest.Channels(ctx) })
	wg.Go(func() { bridges, errs[2] = s.rest.Bridges(ctx) })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return bridge.Event{}, err
		}
	}
	return bridge.Event{
		Kind: bridge.EventSourceUp, PBX: s.opt.PBX,
		Snapshot: &bridge.Snapshot{Channels: channels, Bridges: bridges, Booted: info.Started},
	}, nil
}
