package ari

import "ringlink/bridge"

// layout says where an event's facts stand; it is what the decoder needs to
// know of a type.
type layout uint8

const (
	layoutSkip     layout = iota
	layoutUnknown         // a type that no Asterisk we know of sends
	layoutReplaced        // another client took our application's name
	layoutChannel         // "channel", perhaps "bridge"
	layoutVariable        // "variable", "value", "channel"
	layoutDial            // "caller", "peer", "dialstatus"
	layoutBridge          // "bridge"
	layoutBlind           // "channel", "bridge", "transferee", "result"
	layoutAttended        // "transferer_…_leg", "destination_…", "result"
)

// classify tells what to do with an event type. The types are those of
// Asterisk 22's REST data models (subtypes of Event and Message), which
// include all of ari/v5's; the seven that ari/v5 does not know are at the end.
func classify(name []byte) (bridge.EventKind, layout) {
	switch string(name) {
	case "ChannelVarset":
		return bridge.EventVariable, layoutVariable
	case "ChannelCreated", "ChannelStateChange", "ChannelCallerId", "ChannelDialplan":
		return bridge.EventChannel, layoutChannel
	case "ChannelDestroyed":
		return bridge.EventChannelDestroyed, layoutChannel
	case "ChannelHold":
		return bridge.EventHold, layoutChannel
	case "ChannelUnhold":
		return bridge.EventUnhold, layoutChannel
	case "ChannelEnteredBridge":
		return bridge.EventBridgeEntered, layoutChannel
	case "ChannelLeftBridge":
		return bridge.EventBridgeLeft, layoutChannel
	case "Dial":
		return bridge.EventDial, layoutDial
	case "BridgeCreated", "BridgeMerged":
		return bridge.EventBridge, layoutBridge
	case "BridgeDestroyed":
		return bridge.EventBridgeDestroyed, layoutBridge
	case "BridgeBlindTransfer":
		return bridge.EventBlindTransfer, layoutBlind
	case "BridgeAttendedTransfer":
		return bridge.EventAttendedTransfer, layoutAttended
	case "ApplicationReplaced":
		return bridge.EventNone, layoutReplaced
	case "DeviceStateChanged", "ChannelConnectedLine", "ChannelHangupRequest", "ChannelDtmfReceived",
		"ApplicationMoveFailed", "BridgeVideoSourceChanged", "ChannelTalkingFinished", "ChannelTalkingStarted",
		"ChannelUserevent", "ContactInfo", "ContactStatusChange", "EndpointStateChange", "MissingParams",
		"Peer", "PeerStatusChange", "PlaybackContinuing", "PlaybackFinished", "PlaybackStarted",
		"RecordingFailed", "RecordingFinished", "RecordingStarted", "StasisEnd", "StasisStart", "TextMessageReceived",
		"ApplicationRegistered", "ApplicationUnregistered", "ChannelToneDetected", "ChannelTransfer",
		"RESTRequest", "RESTResponse", "StasisBroadcast":
		return bridge.EventNone, layoutSkip
	}
	return bridge.EventNone, layoutUnknown
}

// channelState translates Asterisk's names of channel states
// (ast_state2str).
func channelState(name []byte) bridge.ChannelState {
	switch string(name) {
	case "":
		return bridge.StateUnknown
	case "Down":
		return bridge.StateDown
	case "Ring":
		return bridge.StateRing
	case "Ringing":
		return bridge.StateRinging
	case "Up":
		return bridge.StateUp
	}
	return bridge.StateOther
}
