package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"ringlink/ari"
	"ringlink/bridge"
)

// record is a recorded stream, read.
type record struct {
	pbx     bridge.PBX
	outside map[[2]string]bool // endpoint and context: whether it is a trunk's
	devices bool               // the record tells who uses which device
	events  []bridge.Event
}

// The lines of a record that are not ARI's.
const (
	recordHead     = "RinglinkRecord"
	recordEndpoint = "RinglinkEndpoint"
	recordDevices  = "RinglinkDevices"
	recordSnapshot = "RinglinkSnapshot"
)

// recordLine is such a line.
type recordLine struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp,omitzero"`
	PBX       string          `json:"pbx,omitempty"`       // of the head
	Variables []string        `json:"variables,omitempty"` // of the head: those that hold call numbers
	Endpoint  string          `json:"endpoint,omitempty"`
	Context   string          `json:"context,omitempty"`
	Outside   bool            `json:"outside,omitempty"`
	Devices   []recordDevice  `json:"devices,omitempty"`
	Channels  json.RawMessage `json:"channels,omitempty"` // as GET /ari/channels
	Bridges   []recordBridge  `json:"bridges,omitempty"`  // as GET /ari/bridges
	GapMS     int64           `json:"gap_ms,omitempty"`
}

type recordDevice struct {
	Endpoint string `json:"endpoint"`
	Agent    string `json:"agent"`
}

// recordBridge is a bridge.Bridge as ARI writes it.
type recordBridge struct {
	ID       bridge.BridgeID    `json:"id"`
	Type     string             `json:"bridge_type,omitempty"`
	Class    string             `json:"bridge_class,omitempty"`
	Name     string             `json:"name,omitempty"`
	Channels []bridge.ChannelID `json:"channels"`
}

// maxRecordLine bounds a line, in bytes.
const maxRecordLine = 4 << 20

// readRecord decodes a stream as the source does. variables are those that
// hold call numbers; without any the record's own stand.
func readRecord(file string, variables []string) (*record, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening a stream: %w", err)
	}
	defer f.Close()
	r := &record{outside: map[[2]string]bool{}}
	own := len(variables) == 0
	if own {
		variables = []string{"CALL_NUMBER"}
	}
	d := ari.NewDecoder(variables)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRecordLine)
	for n := 1; lines.Scan(); n++ {
		var ev bridge.Event
		result, err := d.Decode(lines.Bytes(), &ev)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		case result == ari.ResultDecoded:
			r.events = append(r.events, ev)
		case result == ari.ResultUnknown:
			var l recordLine
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				continue // of a newer Asterisk
			}
			if l.Type == recordHead && own && len(l.Variables) > 0 {
				d = ari.NewDecoder(l.Variables)
			}
			if err := r.take(d, l); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return r, nil
}

// take reads one of the record's own lines.
func (r *record) take(d *ari.Decoder, l recordLine) (err error) {
	switch l.Type {
	case recordHead:
		r.pbx = bridge.PBX(l.PBX)
	case recordEndpoint:
		r.outside[[2]string{l.Endpoint, l.Context}] = l.Outside
	case recordDevices:
		r.devices = true
		ev := bridge.Event{Kind: bridge.EventDevices, Stamp: l.Timestamp}
		for _, a := range l.Devices {
			ev.Devices = append(ev.Devices, bridge.Assignment{Device: bridge.Device{Endpoint: a.Endpoint}, Agent: bridge.AgentID(a.Agent)})
		}
		r.events = append(r.events, ev)
	case recordSnapshot:
		snap := &bridge.Snapshot{Gap: time.Duration(l.GapMS) * time.Millisecond}
		if snap.Channels, err = d.Channels(l.Channels); err != nil {
			return err
		}
		for _, b := range l.Bridges {
			snap.Bridges = append(snap.Bridges, bridge.Bridge(b))
		}
		r.events = append(r.events, bridge.Event{Kind: bridge.EventSourceUp, Stamp: l.Timestamp, Snapshot: snap})
	}
	return nil
}

// began is the time of the first event that has one.
func (r *record) began() time.Time {
	for i := range r.events {
		if !r.events[i].Stamp.IsZero() {
			return r.events[i].Stamp
		}
	}
	return time.Unix(0, 0).UTC()
}

// count is how many events of the PBX there are.
func (r *record) count() (n int) {
	for i := range r.events {
		if r.events[i].Kind != bridge.EventDevices {
			n++
		}
	}
	return n
}

// channels lists every channel that an event names, in order.
func (r *record) channels() (list []bridge.Channel) {
	for i := range r.events {
		ev := &r.events[i]
		for _, c := range []*bridge.Channel{&ev.Channel, &ev.Peer} {
			if c.Name != "" {
				list = append(list, *c)
			}
		}
		if ev.Snapshot != nil {
			list = append(list, ev.Snapshot.Channels...)
		}
	}
	return list
}
