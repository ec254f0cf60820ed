package bridge

// dialStatus keeps the closed set of Dial's statuses, so that no trail holds
// on to the message that one came in.
func dialStatus(s string) string {
	for _, known := range [...]string{
		"RINGING", "PROGRESS", "PROCEEDING", "ANSWER", "CANCEL", "BUSY", "NOANSWER", "CHANUNAVAIL", "CONGESTION",
		"DONTCALL", "TORTURE", "INVALIDARGS", "CONTINUE", "GOSUB", "ABORT", "GOTO",
	} {
		if s == known {
			return known
		}
	}
	if s != "" {
		return "OTHER"
	}
	return ""
}

// application names the dialplan applications that say where a caller is; of
// the others a trail tells nothing, and of none its data.
func application(s string) string {
	for _, known := range [...]string{
		"Answer", "BackGround", "Background", "ConfBridge", "Dial", "Directory", "FollowMe", "Hangup", "MeetMe", "Park", "Pickup",
		"Playback", "Queue", "Read", "Record", "Stasis", "VoiceMail", "Voicemail", "VoiceMailMain", "WaitExten",
	} {
		if s == known {
			return known
		}
	}
	return ""
}

// event adds what the event says to the trails of its legs.
func (ts *Trails) event(ev *Event) {
	step := TrailStep{}
	switch ev.Kind {
	case EventChannel:
		ts.application(ev)
		return
	case EventDial:
		ts.dial(ev)
		return
	case EventSourceUp, EventSourceDown:
		ts.source(ev)
		return
	case EventBlindTransfer, EventAttendedTransfer:
		ts.transfer(ev)
		return
	case EventChannelDestroyed:
		step.Kind, step.Q850 = StepGone, int16(ev.Cause)
	case EventHold:
		step.Kind = StepHold
	case EventUnhold:
		step.Kind = StepUnhold
	case EventBridgeEntered:
		step.Kind = StepEnter
		if ev.Bridge.Type == "holding" {
			step.Status = "holding"
		}
	case EventBridgeLeft:
		step.Kind = StepLeave
	case EventVariable:
		step.Kind = StepNumber
	default:
		return
	}
	key := legKey{ev.PBX, ev.Channel.ID}
	for _, t := range ts.legs[key] {
		step.Leg = int16(t.index[ev.Channel.ID])
		switch step.Kind {
		case StepEnter, StepLeave:
			step.Bridge = t.bridge(ev.Bridge.ID)
		case StepNumber:
			step.Value = int16(t.number(ev.Value))
		}
		ts.add(t, step)
	}
	if ev.Kind == EventChannelDestroyed {
		delete(ts.legs, key)
	}
}

// application notes where the dialplan has led the caller.
func (ts *Trails) application(ev *Event) {
	app := application(ev.Channel.App)
	if app == "" {
		return
	}
	for _, t := range ts.legs[legKey{ev.PBX, ev.Channel.ID}] {
		if t.index[ev.Channel.ID] == 1 && t.app != app {
			t.app = app
			ts.add(t, TrailStep{Kind: StepApp, Leg: 1, Status: app})
		}
	}
}

func (ts *Trails) dial(ev *Event) {
	switch ev.DialStatus {
	case "RINGING", "PROGRESS", "PROCEEDING": // the leg's own state tells
		return
	}
	id := ev.Peer.ID
	for _, t := range ts.legs[legKey{ev.PBX, id}] {
		ts.add(t, TrailStep{
			Kind: StepDial, Leg: int16(t.index[ev.Channel.ID]), Peer: int16(t.index[id]), Status: dialStatus(ev.DialStatus),
		})
	}
}

func (ts *Trails) transfer(ev *Event) {
	kind := StepBlind
	if ev.Kind == EventAttendedTransfer {
		kind = StepAttended
	}
	var told []*trail
	for _, id := range []ChannelID{ev.Channel.ID, ev.Peer.ID} {
		for _, t := range ts.legs[legKey{ev.PBX, id}] {
			if len(told) == 0 || told[0] != t {
				told = append(told, t)
				ts.add(t, TrailStep{Kind: kind, Leg: int16(t.index[ev.Channel.ID]), Peer: int16(t.index[ev.Peer.ID])})
			}
		}
	}
}

// source notes a gap in the trails of the PBX's running calls.
func (ts *Trails) source(ev *Event) {
	kind := StepLost
	if ev.Kind == EventSourceUp {
		if ev.Snapshot == nil || ev.Snapshot.Gap == 0 {
			return
		}
		kind = StepResync
	}
	for _, t := range ts.sorted() {
		if t.over.IsZero() && t.Call.PBX() == ev.PBX {
			ts.add(t, TrailStep{Kind: kind})
		}
	}
}

// effect adds what the engine made of it.
func (ts *Trails) effect(s *State, e *Effect) {
	t := ts.calls[e.Call]
	if t == nil {
		return
	}
	step := TrailStep{Agent: e.Agent, Pop: e.Pop, To: e.To}
	switch e.Kind {
	case EffectPopOffered:
		if tn := t.call.turn; tn != nil {
			for _, c := range tn.legs {
				ts.leg(s, t.call, c)
				ts.standing(s, t.call, c)
			}
		}
		step.Kind = StepPop
		if e.Late {
			step.Status = "late"
		}
	case EffectPopUpdated:
		step.Kind = StepUpdated
	case EffectPopLeft:
		step.Kind = StepLeft
	case EffectPopEnded:
		step.Kind, step.Status = StepPopEnded, string(e.State)
	case EffectRinging:
		step.Kind = StepRings
	case EffectRingingOver:
		step.Kind, step.Status = StepQuiet, e.Cause
	case EffectHeld:
		if step.Kind = StepResumed; e.Held {
			step.Kind = StepHeld
		}
	case EffectCallEnded:
		t.Ended, t.Direction, t.Outcome, t.Cause, t.over = e.At, e.Direction.String(), e.Outcome, e.Cause, ts.now
		ts.add(t, TrailStep{Kind: StepEnded, Status: string(e.Outcome)})
		ts.keep(t)
		return
	default:
		return
	}
	step.Leg = t.endpoint(e.Device.Endpoint)
	ts.add(t, step)
}

// endpoint finds the newest leg of an endpoint, 0 for none.
func (t *trail) endpoint(name string) int16 {
	for i := len(t.Legs) - 1; i >= 0; i-- {
		if t.Legs[i].Endpoint == name {
			return int16(i + 1)
		}
	}
	return 0
}
