package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// lifecycle runs named parts and ends them in the reverse order of their
// start, all together within a limit.
type lifecycle struct {
	log    *slog.Logger
	limit  time.Duration
	parts  []part
	failed chan error
}

type part struct {
	name string
	stop func(context.Context) error
}

func newLifecycle(log *slog.Logger, limit time.Duration) *lifecycle {
	return &lifecycle{log: log, limit: limit, failed: make(chan error, 1)}
}

// run starts a part that blocks until its context ends. If it returns before
// that, the whole program ends.
func (l *lifecycle) run(name string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := f(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("it ended by itself")
			}
			select {
			case l.failed <- fmt.Errorf("running %s: %w", name, err):
			default:
			}
		}
		done <- err
	}()
	l.onStop(name, func(limit context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-limit.Done():
			return limit.Err()
		}
	})
}

// onStop adds a step to the end.
func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.parts = append(l.parts, part{name, stop})
}

// wait blocks until ctx ends or a part fails.
func (l *lifecycle) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.failed:
		return err
	}
}

// stop ends every part, the last started first.
func (l *lifecycle) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.limit)
	defer cancel()
	var errs []error
	for len(l.parts) > 0 {
		p := l.parts[len(l.parts)-1]
		l.parts = l.parts[:len(l.parts)-1]
		if err := p.stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stopping %s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}
