package sip

import (
	"bytes"
	"math"
)

// The bounds of a datagram. sipgo's parameter list is quadratic (16 kB of
// parameters cost 28 ms on the only reader), so parameters are counted too.
const (
	maxDatagram   = 16 << 10
	maxHeaders    = 128
	maxLine       = 4 << 10
	maxSeparators = 128 // of ; , & in one header
)

// verdict is what became of a datagram: a closed set, the label "result" of
// ringlink_sip_datagrams_total.
type verdict uint8

const (
	accepted     verdict = iota
	keepalive            // CRLFs or NULs only (RFC 5626 section 3.5.1)
	unlisted             // the source is not on the allow list
	oversize             // over maxDatagram
	manyHeaders          // over maxHeaders
	longLine             // over maxLine
	manyParams           // over maxSeparators
	controlBytes         // bare CR or LF, NUL and other control bytes before the body
	malformed            // not the grammar of a SIP message
	badVersion           // not SIP/2.0
	doubled              // a header that may stand once stands twice
	mismatch             // the CSeq names another method than the request line
	response             // we never ask, so nobody answers
	unparsable           // passed the guard, refused by sipgo
	verdicts
)

// String names the verdict as the metric does.
func (v verdict) String() string {
	return [verdicts]string{"accepted", "keepalive", "unlisted", "oversize", "many_headers", "long_line", "many_params",
		"control_bytes", "malformed", "bad_version", "doubled", "mismatch", "response", "unparsable"}[v]
}

// field is a header that the guard knows by name.
type field uint8

const (
	fieldOther field = iota
	fieldFrom
	fieldTo
	fieldCallID
	fieldCSeq
	fieldLength
	fieldMaxForwards
	fieldVia // the only one that may stand more than once
)

// fieldOf knows full names and compact forms (RFC 3261 section 7.3.3).
func fieldOf(name []byte) field {
	if len(name) == 1 {
		switch name[0] | 0x20 {
		case 'f':
			return fieldFrom
		case 't':
			return fieldTo
		case 'i':
			return fieldCallID
		case 'l':
			return fieldLength
		case 'v':
			return fieldVia
		}
		return fieldOther
	}
	for f, full := range [...]string{fieldFrom: "from", fieldTo: "to", fieldCallID: "call-id", fieldCSeq: "cseq",
		fieldLength: "content-length", fieldMaxForwards: "max-forwards", fieldVia: "via"} {
		if len(name) == len(full) && bytes.EqualFold(name, []byte(full)) {
			return field(f)
		}
	}
	return fieldOther
}

// scan is one pass over a datagram.
type scan struct {
	out     []byte // the canonical message
	line    []byte // scratch: one unfolded header
	method  []byte
	seen    [fieldVia + 1]bool
	headers int
	length  int // Content-Length, -1 if there is none
}

// sanitize appends the canonical form of the SIP request in the datagram to
// dst, or says why there is none: one line for each header, folds undone,
// "Name: value" without blanks at the ends, no blanks around the separators of
// Via, From and To, the body cut to its Content-Length. It is idempotent.
func sanitize(dst, datagram []byte) ([]byte, verdict) {
	if len(datagram) > maxDatagram {
		return dst, oversize
	}
	msg := bytes.TrimLeft(datagram, "\r\n")
	if len(bytes.Trim(msg, "\x00\r\n")) == 0 {
		return dst, keepalive
	}
	end := bytes.Index(msg, []byte("\r\n\r\n"))
	if end < 0 {
		return dst, malformed
	}
	head, body := msg[:end+2], msg[end+4:]
	head, ok := clean(head)
	if !ok {
		return dst, controlBytes
	}
	s := scan{out: dst, length: -1}
	line, rest := cutLine(head)
	if v := s.requestLine(line); v != accepted {
		return dst, v
	}
	if v := s.headerLines(rest); v != accepted {
		return dst, v
	}
	if s.length > len(body) || !s.seen[fieldCSeq] {
		return dst, malformed // RFC 3261 section 18.3: over UDP a body cut short is an error
	}
	if s.length >= 0 {
		body = body[:s.length]
	}
	s.out = append(append(s.out, '\r', '\n'), body...)
	if len(s.out)-len(dst) > maxDatagram {
		return dst, oversize
	}
	return s.out, accepted
}

// clean refuses a CR without its LF, an LF without its CR and every other
// control byte but the tab. A control byte that stands as a quoted pair in a
// quoted string is lawful (RFC 3261 section 25.1), so it is taken out, not
// refused; head itself stays as it is.
func clean(head []byte) (cleaned []byte, ok bool) {
	quoted, kept, out := false, 0, head[:0:0]
	for i := 0; i < len(head); i++ {
		switch c := head[i]; {
		case c == '\r':
			if i++; i == len(head) || head[i] != '\n' {
				return nil, false
			}
			quoted = quoted && i+1 < len(head) && blank(head[i+1]) // goes on in a fold only
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\' && i+1 < len(head) && head[i+1] != '\r':
			if i++; head[i] == '\n' {
				return nil, false
			}
			if control(head[i]) {
				out, kept = append(out, head[kept:i-1]...), i+1
			}
		case control(c):
			return nil, false
		}
	}
	if kept == 0 {
		return head, true
	}
	return append(out, head[kept:]...), true
}

func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// cutLine takes the first line off a block whose lines all end in CRLF.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\r')
	return b[:i], b[i+2:]
}

// requestLine takes "METHOD URI SIP/2.0" with single spaces (RFC 3261 section
// 7.1).
func (s *scan) requestLine(line []byte) verdict {
	if len(line) > maxLine {
		return longLine
	}
	if len(line) >= 4 && bytes.EqualFold(line[:4], []byte("SIP/")) {
		return response
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	uri, version, ok := bytes.Cut(rest, []byte(" "))
	switch {
	case !ok || !token(method) || len(uri) == 0 || uri[0] == '<' || bytes.ContainsAny(line, "\t"):
		return malformed
	case separators(uri) > maxSeparators:
		return manyParams
	case string(version) == "SIP/2.0":
	case bytes.HasPrefix(version, []byte("SIP/")) && bytes.IndexByte(version, ' ') < 0:
		return badVersion
	default:
		return malformed
	}
	s.method = method
	s.out = append(append(s.out, line...), '\r', '\n')
	return accepted
}

func (s *scan) headerLines(block []byte) verdict {
	for len(block) > 0 {
		var line []byte
		line, block = cutLine(block)
		if line = trim(line); len(block) > 0 && blank(block[0]) {
			s.line = append(s.line[:0], line...)
			for len(block) > 0 && blank(block[0]) {
				line, block = cutLine(block)
				s.line = append(append(s.line, ' '), trim(line)...)
			}
			line = trim(s.line)
		}
		if s.headers++; s.headers > maxHeaders {
			return manyHeaders
		}
		if v := s.header(line); v != accepted {
			return v
		}
	}
	return accepted
}

// header takes one unfolded header and writes its canonical form.
func (s *scan) header(line []byte) verdict {
	name, value, ok := bytes.Cut(line, []byte(":"))
	name, value = trim(name), trim(value)
	if !ok || !token(name) {
		return malformed
	}
	if separators(value) > maxSeparators {
		return manyParams
	}
	f, start := fieldOf(name), len(s.out)
	if f != fieldOther && f != fieldVia && s.seen[f] {
		return doubled
	}
	s.seen[f] = true
	s.out = append(append(s.out, name...), ':', ' ')
	switch f {
	case fieldCSeq:
		number, method := cutBlank(value)
		if n, ok := decimal(number); !ok || n > math.MaxInt32 || !token(method) {
			return malformed
		}
		if !bytes.Equal(method, s.method) {
			return mismatch
		}
		s.out = append(append(append(s.out, number...), ' '), method...)
	case fieldLength, fieldMaxForwards:
		n, ok := decimal(value)
		if !ok || n > math.MaxInt32 {
			return malformed
		}
		if f == fieldLength {
			s.length = n
		}
		s.out = append(s.out, value...)
	case fieldFrom, fieldTo, fieldVia:
		if f != fieldVia && isList(value) {
			return doubled
		}
		if s.out, ok = squeeze(s.out, value, f == fieldVia); !ok {
			return malformed
		}
	default:
		s.out = append(s.out, value...)
	}
	if len(s.out)-start > maxLine {
		return longLine
	}
	s.out = append(s.out, '\r', '\n')
	return accepted
}

// quoting follows quoted strings and <> through a header's value (RFC 3261
// section 25.1).
type quoting struct{ quoted, escaped, angle bool }

// outside takes the next byte and tells whether it stands outside both.
func (q *quoting) outside(c byte) bool {
	switch {
	case q.escaped:
		q.escaped = false
	case q.quoted && c == '\\':
		q.escaped = true
	case c == '"' && !q.angle:
		q.quoted = !q.quoted
	case q.quoted:
	case c == '<':
		q.angle = true
	case c == '>':
		q.angle = false
		return true
	default:
		return !q.angle
	}
	return false
}

// isList tells whether a From or To holds more than one address. A comma
// before the "<" is somebody's unquoted name, which many phones send.
func isList(value []byte) bool {
	var q quoting
	closed := bytes.IndexByte(value, '<') < 0
	for _, c := range value {
		if !q.outside(c) {
			continue
		}
		if c == '>' {
			closed = true
		}
		if c == ',' && closed {
			return true
		}
	}
	return false
}

// squeeze appends value without the blanks around its separators, which the
// grammar allows and which cost sipgo the tag and the branch. ok is false where
// a quote or a "<" is left open.
func squeeze(dst, value []byte, via bool) ([]byte, bool) {
	separator := func(c byte) bool { return c == ';' || c == '=' || c == ',' || via && c == '/' }
	var q quoting
	last := byte(0) // the last byte written, 0 inside quotes and <>
	for i := 0; i < len(value); i++ {
		c := value[i]
		if !q.outside(c) {
			dst, last = append(dst, c), 0
			continue
		}
		if blank(c) {
			j := i
			for j < len(value) && blank(value[j]) {
				j++
			}
			if j < len(value) && !separator(value[j]) && !separator(last) {
				dst = append(dst, value[i:j]...)
			}
			i = j - 1
			continue
		}
		dst, last = append(dst, c), c
	}
	return dst, !q.quoted && !q.angle
}

// separators counts what may part parameters, in quotes or not.
func separators(value []byte) int {
	n := 0
	for _, c := range value {
		if c == ';' || c == ',' || c == '&' {
			n++
		}
	}
	return n
}

// token tells whether b is an RFC 3261 section 25.1 token.
func token(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', bytes.IndexByte([]byte("-.!%*_+`'~"), c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}

// decimal reads digits; ten of them are more than any header needs.
func decimal(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

func trim(b []byte) []byte { return bytes.Trim(b, " \t") }

func cutBlank(b []byte) (first, rest []byte) {
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], trim(b[i:])
	}
	return b, nil
}
