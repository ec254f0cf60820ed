package ari

import (
	"unicode/utf8"

	"ringlink/bridge"
)

// Result is what became of a message.
type Result uint8

// The results: a closed set, the label "result" of ringlink_ari_events_total.
const (
	ResultSkipped   Result = iota // a known type, or a variable, that the engine does not need
	ResultDecoded                 // the Event is filled
	ResultUnknown                 // a type that we have never heard of
	ResultMalformed               // not JSON, or a needed field missing or of the wrong type
	ResultReplaced                // ApplicationReplaced: another client took our name
	resultCount
)

// String names the result as the metrics do.
func (r Result) String() string {
	return [...]string{"skipped", "decoded", "unknown", "malformed", "replaced"}[r]
}

// Decoder turns ARI messages into bridge.Events. It looks at the type first
// and reads only the fields that an Event has. It keeps buffers between calls
// and is for one goroutine; what it returns shares no memory with its input.
type Decoder struct {
	vars  []string // the call-number variables, the best first
	refs  []ref
	arena []byte
	// Of an attended transfer: the first leg's bridge, the second leg's, the
	// three-way one, and the id in "destination_bridge".
	legs [3]bridge.Bridge
	dest string
}

// ref is a string found in the message that is still to be copied out.
type ref struct {
	span
	dst *string
}

// NewDecoder returns a decoder that lets through ChannelVarset events of these
// variables only and takes a channel's call number from the first of them that
// is not empty.
func NewDecoder(callNumberVariables []string) *Decoder {
	return &Decoder{vars: callNumberVariables}
}

// Decode reads one ARI message into ev, which holds an event only if the result
// is ResultDecoded; PBX and Received are left to the caller. The error is one
// of ErrSyntax, ErrDepth, ErrWrongType, ErrMissing, with ResultMalformed only.
// Messages that are skipped are not validated past what that takes. Nothing is
// allocated unless an event is decoded.
func (d *Decoder) Decode(data []byte, ev *bridge.Event) (Result, error) {
	c := cursor{b: data}
	name, variable, err := sniff(&c)
	if err != nil {
		return ResultMalformed, err
	}
	kind, where := classify(name)
	switch where {
	case layoutSkip:
		return ResultSkipped, nil
	case layoutUnknown:
		return ResultUnknown, nil
	case layoutReplaced:
		return ResultReplaced, nil
	case layoutVariable:
		wanted, err := d.wantedVariable(&c, variable)
		if err != nil {
			return ResultMalformed, err
		}
		if !wanted {
			return ResultSkipped, nil
		}
	}
	*ev = bridge.Event{Kind: kind}
	if where == layoutAttended {
		d.legs, d.dest = [3]bridge.Bridge{}, ""
	}
	m := message{cursor: cursor{b: data}, d: d, ev: ev, where: where}
	m.read()
	return m.finish()
}

// sniff finds the top-level "type". Asterisk writes it first in most events
// and after "variable" and "value" in ChannelVarset, whose variable it brings
// along.
func sniff(c *cursor) (name []byte, variable span, err error) {
	if c.peek() != '{' {
		return nil, span{}, ErrSyntax
	}
	c.i++
	for first := true; c.member(first); first = false {
		switch string(c.key) {
		case "type":
			s, ok := c.text()
			if !ok {
				return nil, span{}, c.fault
			}
			if name, ok = c.clean(s); !ok || len(name) == 0 {
				return nil, span{}, ErrMissing
			}
			return name, variable, nil
		case "variable":
			if c.peek() != '"' {
				c.skip() // of another type, where it may be anything
				continue
			}
			variable, _ = c.text()
		default:
			c.skip()
		}
	}
	if c.fault != nil {
		return nil, span{}, c.fault
	}
	return nil, span{}, ErrMissing
}

// clean returns the text of a span, in place where it can.
func (c *cursor) clean(s span) ([]byte, bool) {
	if !s.dirty {
		return c.b[s.start:s.end], true
	}
	text, ok := unescape(nil, c.b[s.start:s.end])
	return text, ok
}

// wantedVariable tells whether a ChannelVarset is about a call-number
// variable. c stands after the type.
func (d *Decoder) wantedVariable(c *cursor, variable span) (bool, error) {
	for variable == (span{}) && c.member(false) {
		if string(c.key) != "variable" {
			c.skip()
			continue
		}
		s, ok := c.text()
		if !ok {
			return false, c.fault
		}
		if s == (span{}) {
			return false, nil // null
		}
		variable = s
	}
	if c.fault != nil {
		return false, c.fault
	}
	if variable == (span{}) {
		return false, ErrMissing
	}
	name := c.b[variable.start:variable.end]
	if variable.dirty {
		name, _ = unescape(nil, name)
	}
	return d.rank(inherited(name)) >= 0, nil
}

// rank returns the place of a variable in the configured list, -1 if it is
// not there.
func (d *Decoder) rank(name []byte) int {
	for i, v := range d.vars {
		if v == string(name) {
			return i
		}
	}
	return -1
}

// inherited strips the one or two underscores by which a dialplan says that a
// variable passes to child channels: Set(__CALL_NUMBER=…) is announced with
// them, CALL_NUMBER is what it sets (pbx_builtin_setvar_helper).
func inherited(name []byte) []byte {
	for i := 0; i < 2 && len(name) > 0 && name[0] == '_'; i++ {
		name = name[1:]
	}
	return name
}

// keep notes that the string s belongs to dst.
func (d *Decoder) keep(dst *string, s span) {
	if s.end > s.start {
		d.refs = append(d.refs, ref{s, dst})
	}
}

// settle copies all the strings that were noted out of the message, in one
// allocation, and forgets them. False: one of them has an escape that JSON
// does not know.
func (d *Decoder) settle(b []byte) bool {
	defer d.forget()
	for i := range d.refs {
		r := &d.refs[i]
		from := len(d.arena)
		if !r.dirty {
			d.arena = append(d.arena, b[r.start:min(r.end, r.start+maxField)]...)
		} else {
			var ok bool
			if d.arena, ok = unescape(d.arena, b[r.start:r.end]); !ok {
				return false
			}
			d.arena = d.arena[:from+len(cut(d.arena[from:]))]
		}
		r.start, r.end = from, len(d.arena)
	}
	all := string(d.arena)
	for i := range d.refs {
		r := &d.refs[i]
		*r.dst = all[r.start:r.end]
	}
	return true
}

// cut shortens text to maxField bytes, at the start of a rune.
func cut(text []byte) []byte {
	if len(text) <= maxField {
		return text
	}
	end := maxField
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

func (d *Decoder) forget() {
	clear(d.refs)
	d.refs, d.arena = d.refs[:0], d.arena[:0]
	const keep = 64 << 10
	if cap(d.refs) > 1024 {
		d.refs = nil
	}
	if cap(d.arena) > keep {
		d.arena = nil
	}
}

// Channels reads the answer of GET /channels: an array of channels.
func (d *Decoder) Channels(data []byte) ([]bridge.Channel, error) {
	m := message{cursor: cursor{b: data}, d: d}
	if !m.open('[') {
		return nil, m.fault
	}
	channels := []bridge.Channel{}
	for first := true; m.element(first); first = false {
		var ch bridge.Channel
		m.channel(&ch)
		if m.fault == nil && !d.settle(data) {
			m.fail(ErrSyntax)
		}
		if m.fault == nil && ch.ID == "" {
			m.fail(ErrMissing)
		}
		channels = append(channels, ch)
	}
	d.forget()
	if m.fault != nil {
		return nil, m.fault
	}
	return channels, nil
}

// linkedidVariable is the channel variable whose presence tells that the
// administrator has our line in ari.conf: it is never empty.
const linkedidVariable = "CHANNEL(linkedid)"
