package sip

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	gosip "github.com/emiago/sipgo/sip"

	"ringlink/bridge"
)

// Lengths in runes past which a value is taken for none.
const (
	maxUser       = 64
	maxName       = 128
	maxCallNumber = 32
	maxCallID     = 512
)

// invitation turns an INVITE into what the domain wants to know. The source is
// on the allow list, so its P-Asserted-Identity is trusted (RFC 3325 section
// 5). Of a caller who is withheld neither number nor name is kept. callNumbers
// are the headers that may carry a call number, the best first.
func invitation(req *gosip.Request, source netip.AddrPort, callNumbers []string) bridge.Invite {
	inv := bridge.Invite{Source: source.String(), CallNumber: callNumber(req, callNumbers)}
	if h := req.CallID(); h != nil {
		inv.CallID = strings.Clone(h.Value())
	}
	if inv.Dialled = user(&req.Recipient); inv.Dialled == "" {
		if to := req.To(); to != nil {
			inv.Dialled = user(&to.Address)
		}
	}
	var from identity
	if h := req.From(); h != nil {
		from = identity{uri: h.Address, user: user(&h.Address), name: displayName(h.DisplayName)}
	}
	if private(req) || from.anonymous() {
		inv.Withheld = true
		return inv
	}
	caller := from
	if asserted, ok := assertedIdentity(req); ok {
		if caller = asserted; caller.anonymous() {
			inv.Withheld = true
			return inv
		}
		if caller.name == "" && caller.user == from.user {
			caller.name = from.name
		}
	}
	inv.Caller, inv.CallerName = caller.user, caller.name
	return inv
}

// identity is a name-addr (RFC 3261 section 20.10) with its user and name in
// plain text.
type identity struct {
	uri        gosip.Uri
	user, name string
}

// anonymous knows the forms of RFC 3323 section 4.1.1.3 and what PBXs make of
// them.
func (id identity) anonymous() bool {
	host := strings.ToLower(id.uri.Host)
	switch strings.ToLower(id.user) {
	case "anonymous", "restricted", "private", "withheld":
		return true
	}
	return host == "anonymous.invalid"
}

// number tells whether the user is a telephone number rather than a name.
func (id identity) number() bool {
	digits := strings.TrimPrefix(id.user, "+")
	return digits != "" && strings.Trim(digits, "0123456789*#") == ""
}

// private tells whether a Privacy header asks to hide the caller: "id" (RFC
// 3325 section 9.3), "user" or "header" (RFC 3323 section 4.2), "full" (its
// drafts).
func private(req *gosip.Request) bool {
	for _, h := range req.GetHeaders("privacy") {
		values := strings.FieldsFunc(h.Value(), func(r rune) bool { return r == ';' || r == ',' || r == ' ' || r == '\t' })
		for _, v := range values {
			switch strings.ToLower(v) {
			case "id", "user", "header", "full":
				return true
			}
		}
	}
	return false
}

// assertedIdentity takes the P-Asserted-Identity (RFC 3325 section 9.1: one or
// two values, of which one is a tel URI), a number before a name.
func assertedIdentity(req *gosip.Request) (best identity, ok bool) {
	for _, h := range req.GetHeaders("p-asserted-identity") {
		for _, value := range splitList(h.Value()) {
			var id identity
			name, err := gosip.ParseAddressValue(value, &id.uri, nil)
			if err != nil {
				continue
			}
			if id.user, id.name = user(&id.uri), displayName(name); id.user == "" {
				continue
			}
			if !ok || id.number() && !best.number() {
				if id.name == "" && ok {
					id.name = best.name
				}
				best, ok = id, true
			}
		}
	}
	return best, ok
}

// splitList cuts a header at the commas outside quotes and <>.
func splitList(value string) []string {
	var list []string
	var q quoting
	start := 0
	for i := range len(value) {
		if q.outside(value[i]) && value[i] == ',' {
			list, start = append(list, strings.TrimSpace(value[start:i])), i+1
		}
	}
	return append(list, strings.TrimSpace(value[start:]))
}

// user is the user part of a SIP URI or the number of a tel URI (RFC 3966),
// without parameters and visual separators, in plain text; empty where it has
// none or one that cannot be shown.
func user(uri *gosip.Uri) string {
	text := uri.User
	if uri.Scheme == "tel" {
		text = uri.Raw()
	}
	text, _, _ = strings.Cut(text, ";") // a telephone-subscriber's own parameters
	text, ok := unescape(text)
	if !ok {
		return ""
	}
	if uri.Scheme == "tel" || strings.HasPrefix(text, "+") {
		text = strings.NewReplacer("-", "", ".", "", "(", "", ")", "").Replace(text)
	}
	if text != printable(text) || utf8.RuneCountInString(text) > maxUser {
		return ""
	}
	return strings.Clone(text)
}

// unescape undoes %HH (RFC 3261 section 19.1.2). A percent sign that escapes
// nothing makes the text unusable.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", false
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), true
}

// displayName undoes quoted pairs (RFC 3261 section 25.1), takes out what
// cannot be shown and cuts what is too long.
func displayName(s string) string {
	if strings.IndexByte(s, '\\') >= 0 {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		s = b.String()
	}
	s = strings.Join(strings.Fields(printable(s)), " ")
	if r := []rune(s); len(r) > maxName {
		s = string(r[:maxName])
	}
	return strings.Clone(s)
}

// printable takes out control characters, the marks that turn the direction of
// text (Unicode's Cf, Bidi_Control among them), line separators and what is not
// UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
			return -1
		}
		return r
	}, s)
}

// callNumber takes the first of the named headers that stands once and holds
// 1 to 32 digits or letters. One that stands twice with different values says
// nothing.
func callNumber(req *gosip.Request, names []string) string {
	for _, name := range names {
		found := ""
		for i, h := range req.GetHeaders(name) {
			value := strings.TrimSpace(h.Value())
			if i > 0 && value != found {
				found = ""
				break
			}
			found = value
		}
		if found != "" && len(found) <= maxCallNumber && strings.IndexFunc(found, notAlphanumeric) < 0 {
			return strings.Clone(found)
		}
	}
	return ""
}

func notAlphanumeric(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// cause is the Q.850 cause in the Reason headers of a CANCEL (RFC 3326): 26,
// "answered elsewhere", also for SIP;cause=200 (3GPP TS 24.229's "Call
// completed elsewhere"); 0 where nothing is said.
func cause(req *gosip.Request) int {
	found := 0
	for _, h := range req.GetHeaders("reason") {
		for _, value := range splitList(h.Value()) {
			protocol, params, _ := strings.Cut(value, ";")
			for param := range strings.SplitSeq(params, ";") {
				name, number, _ := strings.Cut(param, "=")
				if !strings.EqualFold(strings.TrimSpace(name), "cause") {
					continue
				}
				n, err := strconv.Atoi(strings.TrimSpace(number))
				if err != nil {
					continue
				}
				switch protocol = strings.TrimSpace(protocol); {
				case strings.EqualFold(protocol, "SIP") && n == gosip.StatusOK:
					return causeAnsweredElsewhere
				case strings.EqualFold(protocol, "Q.850") && n > 0 && n < 128:
					found = n
				}
			}
		}
	}
	return found
}

// causeAnsweredElsewhere is Q.850's "non-selected user clearing", which
// Asterisk too sends for a call that another phone took.
const causeAnsweredElsewhere = 26
