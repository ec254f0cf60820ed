package aritest

import (
	"bytes"
	"encoding/json"
	"slices"
)

// state is what the PBX has now, as far as the events said so.
type state struct {
	channels objects
	bridges  objects
	dead     []string // ids of channels destroyed lately: late events do not revive them
}

// objects are JSON objects by id, in the order of first sight.
type objects struct {
	ids  []string
	text map[string]json.RawMessage
}

func (o *objects) put(id string, text json.RawMessage) {
	if o.text == nil {
		o.text = make(map[string]json.RawMessage)
	}
	if _, known := o.text[id]; !known {
		o.ids = append(o.ids, id)
	}
	o.text[id] = text
}

func (o *objects) drop(id string) {
	delete(o.text, id)
	o.ids = slices.DeleteFunc(o.ids, func(have string) bool { return have == id })
}

// list gives the objects as a JSON array.
func (o *objects) list() []byte {
	out := []byte{'['}
	for i, id := range o.ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, o.text[id]...)
	}
	return append(out, ']')
}

const keepDead = 4096

// apply takes one event. What is not an event changes nothing.
func (s *state) apply(event []byte) {
	var members map[string]json.RawMessage
	if json.Unmarshal(event, &members) != nil {
		return
	}
	var kind string
	_ = json.Unmarshal(members["type"], &kind)
	transfer := kind == "BridgeBlindTransfer" || kind == "BridgeAttendedTransfer"
	for key, text := range members {
		var object struct {
			ID       string           `json:"id"`
			Channels *json.RawMessage `json:"channels"`
			Name     *string          `json:"name"`
			State    *string          `json:"state"`
		}
		if key == "device_state" || json.Unmarshal(text, &object) != nil || object.ID == "" {
			continue
		}
		switch {
		case object.Channels != nil && transfer: // as it was before the legs moved
		case object.Channels != nil:
			s.bridges.put(object.ID, bytes.Clone(text))
			if kind == "BridgeDestroyed" {
				s.bridges.drop(object.ID)
			}
		case object.Name != nil && object.State != nil && !slices.Contains(s.dead, object.ID):
			s.channels.put(object.ID, bytes.Clone(text))
			if kind == "ChannelDestroyed" {
				s.channels.drop(object.ID)
				s.dead = append(s.dead, object.ID)
				s.dead = s.dead[max(0, len(s.dead)-keepDead):]
			}
		}
	}
}
