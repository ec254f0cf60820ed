package sip

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// replaced returns a good INVITE with one line changed.
func replaced(old, new string) string { return strings.Replace(request("INVITE", "x"), old, new, 1) }

func TestSanitizeRefuses(t *testing.T) {
	many := func(n int, header string) string {
		return request("INVITE", "x", strings.Split(strings.Repeat(header+"\n", n)+header, "\n")...)
	}
	for _, tc := range []struct {
		name, msg string
		want      verdict
	}{
		{"good", request("INVITE", "x"), accepted},
		{"CRLF before the request line", "\r\n\r\n" + request("INVITE", "x"), accepted},
		{"keepalive", "\r\n\r\n", keepalive},
		{"NULs", "\x00\x00\x00\x00", keepalive},
		{"nothing", "", keepalive},
		{"oversize", request("INVITE", "x") + strings.Repeat("x", maxDatagram), oversize},
		{"too many headers", many(maxHeaders, "X-A: b"), manyHeaders},
		{"long line", request("INVITE", "x", "X-A: "+strings.Repeat("b", maxLine)), longLine},
		{"long folded line", request("INVITE", "x", "X-A: b"+strings.Repeat("\r\n "+strings.Repeat("b", 100), 45)), longLine},
		{"long request line", replaced("sip:+12", "sip:"+strings.Repeat("1", maxLine)), longLine},
		{"parameter bomb", replaced(";tag=a1", strings.Repeat(";a=b", 900)), manyParams},
		{"parameter bomb in the Request-URI", replaced("example.com SIP", "example.com"+strings.Repeat(";a=b", 900)+" SIP"), manyParams},
		{"URI header bomb", replaced("example.com SIP", "example.com?"+strings.Repeat("a=b&", 900)+" SIP"), manyParams},
		{"bare LF", request("INVITE", "x", "X-A: b\nP-Asserted-Identity: <sip:ceo@example.com>"), controlBytes},
		{"bare CR", request("INVITE", "x", "X-A: b\rP-Asserted-Identity: <sip:ceo@example.com>"), controlBytes},
		{"escaped control bytes", replaced("Ann Example", "A\\\x00B\\\x07C\\\x7fD\\\\"), accepted},
		{"control byte after an escaped backslash", replaced("Ann Example", "A\\\\\x00B"), controlBytes},
		{"escaped control byte outside quotes", request("INVITE", "x", "X-A: b\\\x00"), controlBytes},
		{"quote that ends with its line", request("INVITE", "x", "X-A: \"", "X-B: \\\x00"), controlBytes},
		{"escaped LF", replaced("Ann Example", "A\\\nB"), controlBytes},
		{"escaped CR", replaced("Ann Example", "A\\\rB"), controlBytes},
		{"no end of headers", strings.TrimSuffix(request("INVITE", "x"), "\r\n"), malformed},
		{"no colon", request("INVITE", "x", "X-A"), malformed},
		{"no name", request("INVITE", "x", ": b"), malformed},
		{"name with a blank", request("INVITE", "x", "X A: b"), malformed},
		{"first line folded", replaced("\r\nVia", "\r\n \r\nVia"), malformed},
		{"two spaces", replaced("INVITE sip", "INVITE  sip"), malformed},
		{"space in the URI", replaced("sip:+1", "sip: +1"), malformed},
		{"brackets around the URI", replaced("INVITE sip", "INVITE <sip"), malformed},
		{"space after the version", replaced("SIP/2.0\r\n", "SIP/2.0 \r\n"), malformed},
		{"HTTP", replaced("SIP/2.0\r\n", "HTTP/1.1\r\n"), malformed},
		{"version 7", replaced("SIP/2.0\r\n", "SIP/7.0\r\n"), badVersion},
		{"version in small letters", replaced("SIP/2.0\r\n", "sip/2.0\r\n"), malformed},
		{"response", "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n", response},
		{"no CSeq", replaced("CSeq: 1 INVITE\r\n", ""), malformed},
		{"CSeq without method", replaced("1 INVITE", "1"), malformed},
		{"CSeq of another method", replaced("1 INVITE", "1 OPTIONS"), mismatch},
		{"CSeq in small letters", replaced("1 INVITE", "1 invite"), mismatch},
		{"CSeq over 2^31-1", replaced("1 INVITE", "2147483648 INVITE"), malformed},
		{"CSeq negative", replaced("1 INVITE", "-1 INVITE"), malformed},
		{"Content-Length over the body", replaced("Content-Length: 0", "Content-Length: 1"), malformed},
		{"Content-Length negative", replaced("Content-Length: 0", "Content-Length: -1"), malformed},
		{"Max-Forwards no number", replaced("Forwards: 70", "Forwards: 7O"), malformed},
		{"quote left open", replaced(`"Ann Example"`, `"Ann Example`), malformed},
		{"bracket left open", replaced("pbx.example.com>", "pbx.example.com"), malformed},
		{"From list", replaced(";tag=a1", ";tag=a1, <sip:ceo@example.com>;tag=a2"), doubled},
		{"To list without brackets", replaced("<sip:+12025550142@ringlink.example.com>\r\nCall", "sip:a@example.com, sip:b@example.com\r\nCall"), doubled},
		{"comma in a quoted name", replaced(`"Ann Example"`, `"Example, Ann"`), accepted},
		{"comma in an unquoted name", replaced(`"Ann Example"`, `Example, Ann`), accepted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, got := sanitize(nil, []byte(tc.msg)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	for _, h := range []string{"From: <sip:b@example.com>;tag=b", "f: <sip:b@example.com>;tag=b", "FROM : <sip:b@example.com>;tag=b", "To: <sip:b@example.com>",
		"t:<sip:b@example.com>", "Call-ID: other", "I: other", "CSeq: 1 INVITE", "Content-Length: 0", "L: 0", "Max-Forwards: 1"} {
		if _, got := sanitize(nil, []byte(request("INVITE", "x", h))); got != doubled {
			t.Errorf("%s twice: %s", h, got)
		}
	}
}

// Each control byte, in each kind of place before the body, is refused; a tab
// stands for a blank.
func TestControlBytes(t *testing.T) {
	for c := range 0x80 {
		if c >= ' ' && c != 0x7f {
			continue
		}
		for _, place := range []string{"Ann%sExample", "Call-ID: x%sy", "X-A: b%sc", "X%sA: b", "INVITE sip:%s1@example.com"} {
			with, _, _ := strings.Cut(place, "%s")
			msg := request("INVITE", "x%sy", "X-A: b%sc", "X%sA: b")
			msg = strings.Replace(strings.Replace(msg, "Ann Example", "Ann%sExample", 1), "INVITE sip:+12025550142@ringlink.example.com", "INVITE sip:%s1@example.com", 1)
			if !strings.Contains(msg, place) {
				t.Fatalf("%q is not in the message", place)
			}
			msg = strings.Replace(msg, place, fmt.Sprintf(place, string(rune(c))), 1)
			msg = strings.ReplaceAll(msg, "X%sA", "X-B")
			msg = strings.ReplaceAll(msg, "%s", "")
			_, got := sanitize(nil, []byte(msg))
			switch blank := c == '\t' && (strings.HasPrefix(place, "Ann") || strings.HasPrefix(place, "Call-ID") || strings.HasPrefix(place, "X-A")); {
			case blank && got != accepted:
				t.Errorf("tab after %q: %s", with, got)
			case !blank && got == accepted:
				t.Errorf("byte %#x after %q passed", c, with)
			}
		}
	}
}

func TestSanitizeCanonical(t *testing.T) {
	in := "\r\nINVITE sip:a@example.com SIP/2.0\r\n" +
		"TO :\r\n sip:b@example.com ;   tag    = 1918181833n\r\n" +
		"f:\"J, \\\"R\\\" ; = x\"  <sip:c@example.com;a = b>\r\n  ;\r\n\ttag = 98asjd8\t \r\n" +
		"v: SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 ; branch = z9hG4bK1  ,\r\n SIP / 2.0 / TCP  host\r\n" +
		"cseq: 0009\r\n  INVITE\r\n" +
		"X-Note: folded\r\n P-Asserted-Identity: <sip:ceo@example.com>\r\n" +
		"Subject:\r\n" +
		"l : 4\r\n\r\nbodyINVITE sip:second"
	want := "INVITE sip:a@example.com SIP/2.0\r\n" +
		"TO: sip:b@example.com;tag=1918181833n\r\n" +
		"f: \"J, \\\"R\\\" ; = x\"  <sip:c@example.com;a = b>;tag=98asjd8\r\n" +
		"v: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1,SIP/2.0/TCP  host\r\n" +
		"cseq: 0009 INVITE\r\n" +
		"X-Note: folded P-Asserted-Identity: <sip:ceo@example.com>\r\n" +
		"Subject: \r\n" +
		"l: 4\r\n\r\nbody"
	got, v := sanitize(nil, []byte(in))
	if v != accepted || string(got) != want {
		t.Errorf("%s\n got %q\nwant %q", v, got, want)
	}
}

// FuzzSanitize: no panic; what passed passes again unchanged, has one line for
// each header and nothing that sipgo cannot take without a panic.
func FuzzSanitize(f *testing.F) {
	for _, file := range torture(f) {
		f.Add(file.data)
	}
	f.Add([]byte(request("INVITE", "x", "X-A: b\r\n c", "Privacy: id")))
	f.Add([]byte("SIP/2.0 200 OK\r\n\r\n"))
	parser := newParser()
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		once, v := sanitize(nil, in)
		if !bytes.Equal(in, before) {
			t.Fatal("the datagram was changed")
		}
		if v != accepted {
			if len(once) != 0 {
				t.Fatalf("%s with %d bytes", v, len(once))
			}
			return
		}
		twice, v := sanitize([]byte("prefix"), once)
		if v != accepted || string(twice) != "prefix"+string(once) {
			t.Fatalf("not idempotent: %s\n%q\n%q", v, once, twice)
		}
		head, _, _ := bytes.Cut(once, []byte("\r\n\r\n"))
		for i, c := range head {
			if (c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f {
				t.Fatalf("control byte %#x at %d", c, i)
			}
		}
		if bytes.Contains(head, []byte("\r\n ")) || bytes.Contains(head, []byte("\r\n\t")) {
			t.Fatalf("folded: %q", head)
		}
		handleAlone(parser, once)
	})
}
