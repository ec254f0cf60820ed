package ari

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// The categories of a malformed event: a closed set, so that they may become
// a log attribute or a metric's label without carrying foreign text.
var (
	ErrSyntax    = errors.New("not a JSON object")
	ErrDepth     = errors.New("nested too deeply")
	ErrWrongType = errors.New("a field has the wrong type")
	ErrMissing   = errors.New("a required field is missing")
)

// maxDepth bounds the nesting that the scanner follows; Asterisk's deepest
// event has four levels.
const maxDepth = 64

// maxField bounds a string that is kept, in bytes: what Asterisk sends in the
// fields that we keep is far shorter, and the engine holds them for as long as
// the call lasts.
const maxField = 4096

// span is the inside of a JSON string in the message, quotes excluded. dirty
// tells that it holds escapes or non-ASCII bytes and cannot be taken as it is.
type span struct {
	start, end int
	dirty      bool
}

// cursor walks one message. It validates what it is asked to read and only
// finds the end of what is skipped. The first fault sticks.
type cursor struct {
	b     []byte
	i     int
	fault error
	key   []byte // the last key, unescaped; valid until the next call
}

func (c *cursor) fail(err error) bool {
	if c.fault == nil {
		c.fault = err
	}
	return false
}

func (c *cursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// peek returns the byte at the cursor after white space, 0 at the end.
func (c *cursor) peek() byte {
	if c.i < len(c.b) && c.b[c.i] > ' ' {
		return c.b[c.i]
	}
	c.space()
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

// open steps into an object or array, open being '{' or '['.
func (c *cursor) open(open byte) bool {
	got := c.peek()
	if got == open {
		c.i++
		return true
	}
	switch got {
	case '"', '{', '[', 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return c.fail(ErrWrongType)
	}
	return c.fail(ErrSyntax)
}

// member steps to the next member of an object and leaves the cursor at its
// value, with c.key set; false at the end of the object and on a fault.
func (c *cursor) member(first bool) bool {
	if c.fault != nil {
		return false
	}
	switch b := c.peek(); {
	case b == '}':
		c.i++
		return false
	case first:
	case b == ',':
		c.i++
	default:
		return c.fail(ErrSyntax)
	}
	if c.peek() != '"' {
		return c.fail(ErrSyntax)
	}
	c.i++
	start := c.i
	for c.i < len(c.b) && c.b[c.i] != '"' && c.b[c.i] != '\\' {
		c.i++
	}
	c.key = c.b[start:min(c.i, len(c.b))]
	if c.i < len(c.b) && c.b[c.i] == '\\' {
		c.i = start - 1
		s, ok := c.text()
		if !ok {
			return false
		}
		key, ok := unescape(nil, c.b[s.start:s.end])
		if !ok {
			return c.fail(ErrSyntax)
		}
		c.key = key
	} else {
		c.i++
	}
	if c.peek() != ':' {
		return c.fail(ErrSyntax)
	}
	c.i++
	c.peek()
	return true
}

// element steps to the next element of an array; false at its end.
func (c *cursor) element(first bool) bool {
	if c.fault != nil {
		return false
	}
	switch b := c.peek(); {
	case b == ']':
		c.i++
		return false
	case first:
	case b == ',':
		c.i++
	default:
		return c.fail(ErrSyntax)
	}
	if c.peek() == 0 {
		return c.fail(ErrSyntax)
	}
	return true
}

// null takes a null at the cursor, if there is one.
func (c *cursor) null() bool {
	if c.peek() != 'n' {
		return false
	}
	if len(c.b)-c.i < 4 || string(c.b[c.i:c.i+4]) != "null" {
		return c.fail(ErrSyntax)
	}
	c.i += 4
	return true
}

// text takes a string; a null gives an empty span.
func (c *cursor) text() (span, bool) {
	switch c.peek() {
	case '"':
	case 'n':
		return span{}, c.null()
	case 0:
		return span{}, c.fail(ErrSyntax)
	default:
		return span{}, c.fail(ErrWrongType)
	}
	s := span{start: c.i + 1}
	b := c.b
	for i := c.i + 1; i < len(b); i++ {
		switch ch := b[i]; {
		case ch == '"':
			s.end = i
			c.i = i + 1
			return s, true
		case ch == '\\':
			s.dirty = true
			i++
		case ch < ' ':
			return span{}, c.fail(ErrSyntax)
		case ch >= utf8.RuneSelf:
			s.dirty = true
		}
	}
	return span{}, c.fail(ErrSyntax)
}

// integer takes a whole number; a null gives 0.
func (c *cursor) integer() (int, bool) {
	if c.peek() == 'n' {
		return 0, c.null()
	}
	start, n := c.i, 0
	if c.peek() == '-' {
		c.i++
	}
	digits := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' && c.i-digits < 10 {
		n = n*10 + int(c.b[c.i]-'0')
		c.i++
	}
	if c.i == digits {
		return 0, c.fail(ErrWrongType)
	}
	switch c.peek() {
	case ',', '}', ']':
	default:
		return 0, c.fail(ErrWrongType)
	}
	if c.b[start] == '-' {
		n = -n
	}
	return n, true
}

// skip steps over one value of any kind without looking into it more than it
// takes to find its end.
func (c *cursor) skip() bool {
	if c.fault != nil {
		return false
	}
	switch c.peek() {
	case '"':
		if c.i = endOfString(c.b, c.i+1); c.i < 0 {
			c.i = len(c.b)
			return c.fail(ErrSyntax)
		}
		return true
	case '{', '[':
		return c.skipNested()
	case 0, ',', ':', '}', ']':
		return c.fail(ErrSyntax)
	}
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return true
		}
		c.i++
	}
	return true
}

func (c *cursor) skipNested() bool {
	b, depth := c.b, 0
	for i := c.i; i < len(b); i++ {
		switch b[i] {
		case '"':
			if i = endOfString(b, i+1); i < 0 {
				return c.fail(ErrSyntax)
			}
			i--
		case '{', '[':
			if depth++; depth > maxDepth {
				return c.fail(ErrDepth)
			}
		case '}', ']':
			if depth--; depth == 0 {
				c.i = i + 1
				return true
			}
		}
	}
	return c.fail(ErrSyntax)
}

// endOfString returns the index after the closing quote of the string whose
// inside starts at i, -1 if there is none.
func endOfString(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// unescape appends the text of a JSON string's inside to dst: escapes are
// resolved, lone surrogates and invalid UTF-8 become U+FFFD as in
// encoding/json. It is false for an escape that JSON does not know.
func unescape(dst, s []byte) ([]byte, bool) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\':
			if i+1 >= len(s) {
				return dst, false
			}
			if s[i+1] != 'u' {
				plain := unescaped(s[i+1])
				if plain == 0 {
					return dst, false
				}
				dst = append(dst, plain)
				i += 2
				continue
			}
			r, ok := hex4(s, i+2)
			if !ok {
				return dst, false
			}
			i += 6
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), i+1 < len(s) && s[i] == '\\' && s[i+1] == 'u'
				if ok {
					if low, ok = hex4(s, i+2); !ok {
						return dst, false
					}
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst, true
}

func unescaped(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return 0
}

func hex4(s []byte, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range s[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
