package bridge

import (
	"log/slog"
	"strings"
)

// The identifiers of the domain. They are types so that the compiler refuses
// a leg's id where a call's id is due.
type (
	// PBX is the configured name of a telephone system, [a-z0-9-]{1,32}.
	PBX string
	// ChannelID is Asterisk's Uniqueid of one leg, as "lab-1795351914.0".
	ChannelID string
	// BridgeID is Asterisk's id of a bridge.
	BridgeID string
	// CallID names one call, however many legs it has: the PBX and the id of
	// the channel that brought the call, as "pbx1/lab-1795351914.0".
	CallID string
	// AgentID names a person who answers calls.
	AgentID string
	// PopID names one pop; it follows from call, agent and turn, so that two
	// replicas that see the same events arrive at the same one.
	PopID string
)

// MakeCallID joins the PBX's name and the id of the outside channel.
func MakeCallID(pbx PBX, origin ChannelID) CallID {
	return CallID(string(pbx) + "/" + string(origin))
}

// PBX returns the PBX part of the CallID.
func (id CallID) PBX() PBX {
	pbx, _, _ := strings.Cut(string(id), "/")
	return PBX(pbx)
}

// UniqueID returns the part behind the PBX. What the service desk is given, and
// what stands in the CDR, is Facts.UniqueID: the two differ where a channel id
// came again after a restart of the PBX, which a CallID tells apart.
func (id CallID) UniqueID() string {
	_, unique, _ := strings.Cut(string(id), "/")
	return unique
}

// Device is an endpoint of one PBX, as pbx1 and "PJSIP/101".
type Device struct {
	PBX      PBX    `json:"pbx"`
	Endpoint string `json:"endpoint"`
}

// String gives "pbx1:PJSIP/101".
func (d Device) String() string { return string(d.PBX) + ":" + d.Endpoint }

// Number is a telephone number, E.164 with "+" where it can be had and
// otherwise as received. It is personal data: String, text, JSON and log forms
// are masked, and only Reveal gives it away.
type Number string

// Reveal returns the number itself.
func (n Number) Reveal() string { return string(n) }

// String masks all but the last two digits: "+1202555**01" is never printed,
// "…01" is.
func (n Number) String() string { return mask(string(n)) }

// LogValue implements slog.LogValuer with the masked form.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// GoString implements fmt.GoStringer with the masked form.
func (n Number) GoString() string { return n.String() }

// MarshalText implements encoding.TextMarshaler with the masked form, so that
// a number put into JSON by accident is masked too.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// PersonName is the name of a caller or a person: personal data, masked like
// Number everywhere but in Reveal.
type PersonName string

// Reveal returns the name itself.
func (n PersonName) Reveal() string { return string(n) }

// String tells only whether there is a name.
func (n PersonName) String() string {
	if n == "" {
		return ""
	}
	return "…"
}

// LogValue implements slog.LogValuer with the masked form.
func (n PersonName) LogValue() slog.Value { return slog.StringValue(n.String()) }

// GoString implements fmt.GoStringer with the masked form.
func (n PersonName) GoString() string { return n.String() }

// MarshalText implements encoding.TextMarshaler with the masked form.
func (n PersonName) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// TicketNumber is the number of a service-desk record, as an IVR collected it
// or as the directory has it. PRODUCT's users call it the call number.
type TicketNumber string

func mask(s string) string {
	const shown = 2
	runes := []rune(s)
	if len(runes) == 0 {
		return ""
	}
	if len(runes) <= 2*shown {
		return "…"
	}
	return "…" + string(runes[len(runes)-shown:])
}
