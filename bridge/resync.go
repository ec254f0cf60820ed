package bridge

import "time"

// resync makes the state what the PBX says it is: legs that it does not have
// are gone, bridges are as it lists them. A PBX that restarted lost every call
// of before.
func (s *State) resync(x *exchange, snap *Snapshot) {
	if snap == nil {
		return
	}
	s.late = true
	if restarted(x.booted, snap.Booted) {
		x.lose(snap.Booted)
		for _, k := range s.running() {
			if k.pbx == x.opts.Name {
				s.finish(k, "lost", OutcomeLost)
			}
		}
		for id := range x.channels {
			s.drop(x, id)
		}
		clear(x.gone)
	}
	if !snap.Booted.IsZero() {
		x.booted = snap.Booted
	}
	there := make(map[ChannelID]bool, len(snap.Channels))
	for i := range snap.Channels {
		there[snap.Channels[i].ID] = true
	}
	for id := range x.channels {
		if !there[id] {
			s.drop(x, id)
		}
	}
	for i := range snap.Channels {
		delete(x.gone, snap.Channels[i].ID)
		s.channelSeen(x, &snap.Channels[i])
	}
	// Again, now that the first legs of all are known: a leg may be listed
	// before the one that it belongs to.
	for i := range snap.Channels {
		if c := x.channels[snap.Channels[i].ID]; c != nil {
			c.originated = c.originated || c.call == nil && c.up && c.endpoint != "" && c.dialledBy == nil && walks(&snap.Channels[i])
			s.belongs(x, c)
			s.gather(c, &snap.Channels[i], false)
		}
	}
	s.rebridge(x, snap.Bridges)
	x.synced = true
	s.adopt(x)
}

// rebridge puts every leg where the PBX lists it. Bridges are not listed at one
// moment: a leg that is in two lists is in the later one.
func (s *State) rebridge(x *exchange, list []Bridge) {
	in := map[ChannelID]BridgeID{}
	for i := range list {
		for _, id := range list[i].Channels {
			in[id] = list[i].ID
		}
	}
	for _, c := range x.channels {
		if c.bridge != nil && in[c.id] != c.bridge.id {
			s.leave(x, c)
		}
	}
	for i := range list {
		for _, id := range list[i].Channels {
			if c := x.channels[id]; c != nil && in[id] == list[i].ID {
				s.enter(x, c, &list[i])
			}
		}
	}
}

// restarted compares boot times: Asterisk tells the same one, to the
// millisecond, as long as it runs.
func restarted(before, after time.Time) bool {
	return !before.IsZero() && !after.IsZero() && !before.Equal(after)
}
