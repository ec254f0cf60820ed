package ari

import (
	"context"
	"fmt"

	cyari "github.com/CyCoreSystems/ari/v5"
	"github.com/CyCoreSystems/ari/v5/client/native"

	"ringlink/bridge"
)

// Variable reads one variable or function of a live channel, as
// "CHANNEL(linkedid)", which needs no line in ari.conf: so doctor can tell
// what channelvars would show. Whether ari.conf has that line can be told from
// live channels only, see REST.Channels and Channel.HasVars: ARI does not show
// its own configuration (/asterisk/config/dynamic is sorcery's, not ari.conf's).
//
// The request is ari/v5's (native.New, never Connect and never Close, which
// panics then). It has no time-out: on a PBX that hangs, Variable returns when
// ctx ends and leaves its goroutine to wait for the PBX. It is for commands
// that end, not for a server.
func (r *REST) Variable(ctx context.Context, id bridge.ChannelID, name string) (string, error) {
	client := native.New(&native.Options{
		Application: "ringlink-rest", URL: r.base, Username: r.opt.User, Password: r.opt.Password,
	})
	type result struct {
		value string
		err   error
	}
	answer := make(chan result, 1)
	go func() {
		value, err := client.Channel().GetVariable(cyari.NewKey(cyari.ChannelKey, string(id)), name)
		answer <- result{value, err}
	}()
	select {
	case got := <-answer:
		if code := native.CodeFromError(got.err); code != 0 {
			got.err = &StatusError{code}
		}
		if got.err != nil {
			return "", fmt.Errorf("reading a channel's variable: %w", got.err)
		}
		return got.value, nil
	case <-ctx.Done():
		return "", fmt.Errorf("reading a channel's variable: %w", ctx.Err())
	}
}
