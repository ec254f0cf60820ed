package main

import (
	"fmt"
	"regexp"
	"strings"

	"ringlink/bridge"
)

// maxScrubbed bounds how many different values of a kind are told apart.
const maxScrubbed = 5000

// scrubber replaces what is personal in events, the same by the same: numbers
// of more than six digits by fictional ones, callers' names, SIP Call-IDs,
// addresses. Extensions, endpoints, contexts and the ids of channels stay, for
// what happens to a call cannot be told without them. An Event has no other
// text of strangers: see bridge.Channel.
type scrubber struct {
	seen map[string]map[string]string // kind, value, what stands for it
}

func newScrubber() *scrubber { return &scrubber{seen: map[string]map[string]string{}} }

// stand returns what stands for a value of a kind, made by f of its count.
func (s *scrubber) stand(kind, value string, f func(n int) string) string {
	known := s.seen[kind]
	if known == nil {
		known = map[string]string{}
		s.seen[kind] = known
	}
	if to, ok := known[value]; ok {
		return to
	}
	to := f(min(len(known), maxScrubbed))
	if len(known) < maxScrubbed {
		known[value] = to
	}
	return to
}

var (
	shortNumber = regexp.MustCompile(`^[0-9*#]{0,6}$`)
	longNumber  = regexp.MustCompile(`\+?[0-9]{7,}`)
	address     = regexp.MustCompile(`[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]+`)
	plainID     = regexp.MustCompile(`^([A-Za-z0-9_]+-)?[0-9]{1,10}\.[0-9]{1,10}$`)
)

// number replaces a telephone number. How it was written (+, 00, neither)
// stays, so that what is wrong with that stays wrong.
func (s *scrubber) number(n string) string {
	switch strings.ToLower(strings.TrimSpace(n)) {
	case "anonymous", "restricted", "private", "withheld", "blocked", "unavailable", "unknown", "asterisk", "<unknown>", "s", "h", "i", "t", "a", "o", "e":
		return n
	}
	if shortNumber.MatchString(n) {
		return n
	}
	prefix, digits := "", n
	for _, p := range []string{"+", "00"} {
		if strings.HasPrefix(n, p) {
			prefix, digits = p, n[len(p):]
			break
		}
	}
	if strings.Trim(digits, "0123456789") != "" {
		return s.stand("user", n, func(i int) string { return fmt.Sprintf("user-%d", i+1) })
	}
	return prefix + s.stand("number", digits, func(i int) string { return fmt.Sprintf("1202555%04d", 1000+i) })
}

func (s *scrubber) name(n string) string {
	if n == "" {
		return ""
	}
	return s.stand("name", n, func(i int) string { return fmt.Sprintf("Caller %d", i+1) })
}

// callNumber replaces what was keyed by as many digits.
func (s *scrubber) callNumber(n string) string {
	if n == "" {
		return ""
	}
	return s.stand("call number", n, func(i int) string { return fmt.Sprintf("%0*d", min(len(n), 20), i+1) })
}

// inside replaces numbers and addresses within a name that has to stay.
func (s *scrubber) inside(text string) string {
	text = address.ReplaceAllStringFunc(text, func(a string) string {
		return s.stand("address", a, func(i int) string { return fmt.Sprintf("192.0.2.%d", i%254+1) })
	})
	var b strings.Builder
	for rest := text; ; {
		at := longNumber.FindStringIndex(rest)
		if at == nil {
			return b.String() + rest
		}
		b.WriteString(rest[:at[0]] + s.number(rest[at[0]:at[1]]))
		rest = rest[at[1]:]
	}
}

// channelName replaces within "PJSIP/NAME-0000001c", but for the serial
// number at its end.
func (s *scrubber) channelName(name string) string {
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		return s.inside(name[:i]) + name[i:]
	}
	return s.inside(name)
}

// id leaves Asterisk's own ids: they say when, and nothing of whom.
func (s *scrubber) id(id bridge.ChannelID) bridge.ChannelID {
	if id == "" || plainID.MatchString(string(id)) {
		return id
	}
	return bridge.ChannelID(s.stand("id", string(id), func(i int) string { return fmt.Sprintf("channel-%d", i+1) }))
}

func (s *scrubber) channel(c *bridge.Channel) {
	c.ID = s.id(c.ID)
	c.Linkedid = string(s.id(bridge.ChannelID(c.Linkedid)))
	c.Name = s.channelName(c.Name)
	if c.ProtocolID != "" {
		c.ProtocolID = s.stand("call id", c.ProtocolID, func(i int) string { return fmt.Sprintf("sip-call-%d", i+1) })
	}
	c.CallerNumber, c.CallerName = s.number(c.CallerNumber), s.name(c.CallerName)
	c.Exten, c.DNID, c.RDNIS = s.number(c.Exten), s.number(c.DNID), s.number(c.RDNIS)
	c.CallNumber = s.callNumber(c.CallNumber)
	if c.AppData != "(Outgoing Line)" { // what the engine looks at
		c.AppData = ""
	}
}

func (s *scrubber) bridge(b bridge.Bridge) bridge.Bridge {
	b.Name = ""
	ids := make([]bridge.ChannelID, len(b.Channels))
	for i, id := range b.Channels {
		ids[i] = s.id(id)
	}
	b.Channels = ids
	return b
}

// event replaces what is personal in an event, in place.
func (s *scrubber) event(ev *bridge.Event) {
	s.channel(&ev.Channel)
	s.channel(&ev.Peer)
	ev.Bridge = s.bridge(ev.Bridge)
	ev.Value = s.callNumber(ev.Value)
}
