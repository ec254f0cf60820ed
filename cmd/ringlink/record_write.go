package main

import (
	"encoding/json"
	"time"

	"ringlink/bridge"
)

// ariEvent is an event as Asterisk writes it, with the fields that the decoder
// reads and no other.
type ariEvent struct {
	Type       string      `json:"type"`
	Timestamp  string      `json:"timestamp"`
	Channel    *ariChannel `json:"channel,omitempty"`
	Bridge     *ariBridge  `json:"bridge,omitempty"`
	Caller     *ariChannel `json:"caller,omitempty"` // of a Dial
	Peer       *ariChannel `json:"peer,omitempty"`
	Dialstatus *string     `json:"dialstatus,omitempty"`
	Variable   string      `json:"variable,omitempty"`
	Value      *string     `json:"value,omitempty"`
	Cause      int         `json:"cause,omitempty"`
	Transferee *ariChannel `json:"transferee,omitempty"`
	First      *ariChannel `json:"transferer_first_leg,omitempty"`
	Second     *ariChannel `json:"transferer_second_leg,omitempty"`
	FirstIn    *ariBridge  `json:"transferer_first_leg_bridge,omitempty"`
	Into       string      `json:"destination_bridge,omitempty"`
	Result     string      `json:"result,omitempty"`
}

type ariBridge recordBridge

type ariChannel struct {
	ID         bridge.ChannelID `json:"id"`
	Name       string           `json:"name"`
	State      string           `json:"state,omitempty"`
	ProtocolID string           `json:"protocol_id"`
	Caller     struct {
		Name   string `json:"name"`
		Number string `json:"number"`
	} `json:"caller"`
	Dialplan struct {
		Context string `json:"context"`
		Exten   string `json:"exten"`
		App     string `json:"app_name"`
		AppData string `json:"app_data"`
	} `json:"dialplan"`
	Created string            `json:"creationtime,omitempty"`
	Vars    map[string]string `json:"channelvars,omitempty"`
}

// stampText is a time as Asterisk writes it.
func stampText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000-0700")
}

// newARIChannel is the inverse of the decoder's reading; nil for no channel.
// variable is the one that holds call numbers.
func newARIChannel(c *bridge.Channel, variable string) *ariChannel {
	if c.ID == "" {
		return nil
	}
	out := &ariChannel{ID: c.ID, Name: c.Name, ProtocolID: c.ProtocolID, Created: stampText(c.Created)}
	out.State = map[bridge.ChannelState]string{
		bridge.StateDown: "Down", bridge.StateRing: "Ring", bridge.StateRinging: "Ringing", bridge.StateUp: "Up", bridge.StateOther: "Busy",
	}[c.State]
	out.Caller.Name, out.Caller.Number = c.CallerName, c.CallerNumber
	out.Dialplan.Context, out.Dialplan.Exten, out.Dialplan.App, out.Dialplan.AppData = c.Context, c.Exten, c.App, c.AppData
	if c.HasVars {
		out.Vars = map[string]string{
			"CHANNEL(linkedid)": c.Linkedid, "CALLERID(num-pres)": c.NumPres, "CALLERID(dnid)": c.DNID, "CALLERID(rdnis)": c.RDNIS,
		}
		if variable != "" {
			out.Vars[variable] = c.CallNumber
		}
	}
	return out
}

func newARIBridge(b *bridge.Bridge) *ariBridge {
	if b.ID == "" {
		return nil
	}
	return &ariBridge{ID: b.ID, Type: b.Type, Class: b.Class, Name: b.Name, Channels: b.Channels}
}

// ariTypes names the events; of those that the engine does not tell apart, one.
var ariTypes = map[bridge.EventKind]string{
	bridge.EventChannel: "ChannelStateChange", bridge.EventChannelDestroyed: "ChannelDestroyed", bridge.EventDial: "Dial",
	bridge.EventVariable: "ChannelVarset", bridge.EventHold: "ChannelHold", bridge.EventUnhold: "ChannelUnhold",
	bridge.EventBridgeEntered: "ChannelEnteredBridge", bridge.EventBridgeLeft: "ChannelLeftBridge",
	bridge.EventBridge: "BridgeCreated", bridge.EventBridgeDestroyed: "BridgeDestroyed",
	bridge.EventBlindTransfer: "BridgeBlindTransfer", bridge.EventAttendedTransfer: "BridgeAttendedTransfer",
}

// encodeEvent writes an event so that the decoder reads the same again; nil
// for kinds that ARI does not send.
func encodeEvent(ev *bridge.Event, variable string) ([]byte, error) {
	at := ev.Stamp
	if at.IsZero() {
		at = ev.Received
	}
	out := ariEvent{Type: ariTypes[ev.Kind], Timestamp: stampText(at)}
	channel, peer := newARIChannel(&ev.Channel, variable), newARIChannel(&ev.Peer, variable)
	switch ev.Kind {
	case bridge.EventDial:
		out.Caller, out.Peer, out.Dialstatus = channel, peer, &ev.DialStatus
	case bridge.EventAttendedTransfer:
		out.First, out.Second, out.FirstIn, out.Into, out.Result = channel, peer, newARIBridge(&ev.Bridge), string(ev.Bridge.ID), "Success"
	case bridge.EventBlindTransfer:
		out.Channel, out.Transferee, out.Bridge, out.Result = channel, peer, newARIBridge(&ev.Bridge), "Success"
	case bridge.EventVariable:
		out.Channel, out.Variable, out.Value = channel, ev.Variable, &ev.Value
	default:
		if out.Type == "" {
			return nil, nil
		}
		out.Channel, out.Bridge, out.Cause = channel, newARIBridge(&ev.Bridge), ev.Cause
	}
	return json.Marshal(out)
}
