package ari

import (
	"strings"
	"time"

	"ringlink/bridge"
)

// message reads the fields of one event that was found to be wanted.
type message struct {
	cursor
	d      *Decoder
	ev     *bridge.Event
	where  layout
	failed bool // a transfer that did not happen
}

// read walks the top-level members. Each layout takes its own; what another
// layout would need is skipped.
func (m *message) read() {
	m.open('{')
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case "timestamp":
			m.stamp(&m.ev.Stamp)
			continue
		case "channel":
			if m.where != layoutDial && m.where != layoutBridge && m.where != layoutAttended {
				m.channel(&m.ev.Channel)
				continue
			}
		case "bridge":
			if m.where != layoutDial && m.where != layoutVariable && m.where != layoutAttended {
				m.bridge(&m.ev.Bridge)
				continue
			}
		case "cause":
			if m.ev.Kind == bridge.EventChannelDestroyed {
				m.ev.Cause, _ = m.integer()
				continue
			}
		default:
			if m.special() {
				continue
			}
		}
		m.skip()
	}
	if m.fault == nil {
		if m.space(); m.i != len(m.b) {
			m.fail(ErrSyntax)
		}
	}
}

// special takes the members that only one layout has.
func (m *message) special() bool {
	switch m.where {
	case layoutVariable:
		switch string(m.key) {
		case "variable":
			return m.string(&m.ev.Variable)
		case "value":
			return m.string(&m.ev.Value)
		}
	case layoutDial:
		switch string(m.key) {
		case "caller":
			return m.channel(&m.ev.Channel)
		case "peer":
			return m.channel(&m.ev.Peer)
		case "dialstatus":
			return m.string(&m.ev.DialStatus)
		}
	case layoutBlind:
		switch string(m.key) {
		case "transferee":
			return m.channel(&m.ev.Peer)
		case "result":
			return m.result()
		}
	case layoutAttended:
		return m.attended()
	}
	return false
}

// attended takes the members of a BridgeAttendedTransfer. Its destination is
// told by destination_type: an id ("bridge"), an object ("threeway"), or
// channels ("link"), where the first leg's bridge is the best we have.
func (m *message) attended() bool {
	switch string(m.key) {
	case "transferer_first_leg":
		return m.channel(&m.ev.Channel)
	case "transferer_second_leg":
		return m.channel(&m.ev.Peer)
	case "transferer_first_leg_bridge":
		return m.bridge(&m.d.legs[0])
	case "transferer_second_leg_bridge":
		return m.bridge(&m.d.legs[1])
	case "destination_threeway_bridge":
		return m.bridge(&m.d.legs[2])
	case "destination_bridge":
		return m.string(&m.d.dest)
	case "result":
		return m.result()
	}
	return false
}

// result takes the outcome of a transfer: "Success" or why there was none.
func (m *message) result() bool {
	if s, ok := m.text(); ok {
		text, _ := m.clean(s)
		m.failed = len(text) > 0 && string(text) != "Success"
	}
	return true
}

// finish copies the strings out, checks that what the event needs is there and
// returns the verdict.
func (m *message) finish() (Result, error) {
	if m.fault == nil && !m.d.settle(m.b) {
		m.fault = ErrSyntax
	}
	m.d.forget()
	if m.fault != nil {
		*m.ev = bridge.Event{}
		return ResultMalformed, m.fault
	}
	ev, missing := m.ev, false
	switch m.where {
	case layoutVariable:
		if ev.Channel.ID == "" { // of no channel: a global variable
			*ev = bridge.Event{}
			return ResultSkipped, nil
		}
		ev.Variable = strings.TrimPrefix(strings.TrimPrefix(ev.Variable, "_"), "_")
	case layoutDial:
		missing = ev.Peer.ID == ""
		ev.DialStatus = strings.ToUpper(ev.DialStatus)
	case layoutBridge:
		missing = ev.Bridge.ID == ""
	case layoutAttended:
		ev.Bridge = m.destination()
		missing = ev.Channel.ID == "" && ev.Peer.ID == ""
	default:
		missing = ev.Channel.ID == "" ||
			ev.Bridge.ID == "" && (ev.Kind == bridge.EventBridgeEntered || ev.Kind == bridge.EventBridgeLeft)
	}
	switch {
	case m.failed:
		*ev = bridge.Event{}
		return ResultSkipped, nil
	case missing:
		*ev = bridge.Event{}
		return ResultMalformed, ErrMissing
	}
	return ResultDecoded, nil
}

func (m *message) destination() bridge.Bridge {
	for _, b := range m.d.legs {
		if m.d.dest != "" && string(b.ID) == m.d.dest {
			return b
		}
	}
	switch {
	case m.d.dest != "":
		return bridge.Bridge{ID: bridge.BridgeID(m.d.dest)}
	case m.d.legs[2].ID != "":
		return m.d.legs[2]
	}
	return m.d.legs[0]
}

// string takes a string and keeps it for dst. It is always true: a fault shows
// in the cursor.
func (m *message) string(dst *string) bool {
	if s, ok := m.text(); ok {
		m.d.keep(dst, s)
	}
	return true
}

// stamp takes a timestamp; one that cannot be read is none.
func (m *message) stamp(dst *time.Time) {
	if m.peek() != '"' {
		m.skip()
		return
	}
	if s, ok := m.text(); ok && !s.dirty {
		*dst = parseStamp(m.b[s.start:s.end])
	}
}

// channel takes a Channel of the REST data models, or a null.
func (m *message) channel(ch *bridge.Channel) bool {
	if m.null() || !m.open('{') {
		return true
	}
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case "id":
			m.string((*string)(&ch.ID))
		case "name":
			m.string(&ch.Name)
		case "state":
			if s, ok := m.text(); ok {
				text, _ := m.clean(s)
				ch.State = channelState(text)
			}
		case "protocol_id":
			m.string(&ch.ProtocolID)
		case "caller":
			m.caller(ch)
		case "dialplan":
			m.dialplan(ch)
		case "creationtime":
			m.stamp(&ch.Created)
		case "channelvars":
			m.channelvars(ch)
		default:
			m.skip()
		}
	}
	return true
}

func (m *message) caller(ch *bridge.Channel) {
	if m.null() || !m.open('{') {
		return
	}
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case "name":
			m.string(&ch.CallerName)
		case "number":
			m.string(&ch.CallerNumber)
		default:
			m.skip()
		}
	}
}

func (m *message) dialplan(ch *bridge.Channel) {
	if m.null() || !m.open('{') {
		return
	}
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case "context":
			m.string(&ch.Context)
		case "exten":
			m.string(&ch.Exten)
		case "app_name":
			m.string(&ch.App)
		case "app_data":
			m.string(&ch.AppData)
		default:
			m.skip()
		}
	}
}

// channelvars takes the variables that the line "channelvars" of ari.conf puts
// on every channel, functions among them.
func (m *message) channelvars(ch *bridge.Channel) {
	if m.null() || !m.open('{') {
		return
	}
	best, call := len(m.d.vars), span{}
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case linkedidVariable:
			ch.HasVars = true
			m.string(&ch.Linkedid)
			continue
		case "CALLERID(num-pres)":
			m.string(&ch.NumPres)
			continue
		case "CALLERID(dnid)":
			m.string(&ch.DNID)
			continue
		case "CALLERID(rdnis)":
			m.string(&ch.RDNIS)
			continue
		}
		rank := m.d.rank(m.key)
		if rank < 0 {
			m.skip()
			continue
		}
		if s, ok := m.text(); ok && s.end > s.start && rank < best {
			best, call = rank, s
		}
	}
	m.d.keep(&ch.CallNumber, call)
}

// bridge takes a Bridge of the REST data models, or a null.
func (m *message) bridge(br *bridge.Bridge) bool {
	if m.null() || !m.open('{') {
		return true
	}
	for first := true; m.member(first); first = false {
		switch string(m.key) {
		case "id":
			m.string((*string)(&br.ID))
		case "bridge_type":
			m.string(&br.Type)
		case "bridge_class":
			m.string(&br.Class)
		case "name":
			m.string(&br.Name)
		case "channels":
			m.members(br)
		default:
			m.skip()
		}
	}
	return true
}

// members takes a bridge's list of channel ids.
func (m *message) members(br *bridge.Bridge) {
	if m.null() || !m.open('[') {
		return
	}
	start, n := m.i, 0
	for first := true; m.element(first); first = false {
		if _, ok := m.text(); ok {
			n++
		}
	}
	if m.fault != nil || n == 0 {
		return
	}
	br.Channels = make([]bridge.ChannelID, n)
	m.i = start
	for i := range br.Channels {
		m.element(i == 0)
		m.string((*string)(&br.Channels[i]))
	}
	m.element(false)
}
