package sip

import (
	"net/netip"
	"strings"
	"testing"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

// parsed passes a message through guard and parser.
func parsed(t *testing.T, msg string) *gosip.Request {
	t.Helper()
	data, v := sanitize(nil, []byte(msg))
	if v != accepted {
		t.Fatalf("%s: %q", v, msg)
	}
	m, err := newParser().ParseSIP(data)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*gosip.Request)
}

func TestInvitation(t *testing.T) {
	const (
		fromLine = `From: "Ann Example" <sip:+12025550123@pbx.example.com>;tag=a1`
		toLine   = "To: <sip:+12025550142@ringlink.example.com>"
		uriLine  = "INVITE sip:+12025550142@ringlink.example.com SIP/2.0"
	)
	known := bridge.Invite{CallID: "x", Caller: "+12025550123", CallerName: "Ann Example", Dialled: "+12025550142"}
	withheld := bridge.Invite{CallID: "x", Withheld: true, Dialled: "+12025550142"}
	with := func(change func(*bridge.Invite)) bridge.Invite { c := known; change(&c); return c }
	caller := func(number, name string) bridge.Invite {
		return with(func(i *bridge.Invite) { i.Caller, i.CallerName = number, name })
	}
	dialled := func(number string) bridge.Invite { return with(func(i *bridge.Invite) { i.Dialled = number }) }
	number := func(n string) bridge.Invite { return with(func(i *bridge.Invite) { i.CallNumber = n }) }
	for _, tc := range []struct {
		name     string
		old, new string // a change of the message; old empty adds headers
		want     bridge.Invite
	}{
		{"From", fromLine, fromLine, known},
		{"compact From", fromLine, "f" + strings.TrimPrefix(fromLine, "From"), known},
		{"From without brackets", fromLine, "From: sip:+12025550123@pbx.example.com;tag=a1", caller("+12025550123", "")},
		{"extension", fromLine, "From: Ann <sip:101@pbx.example.com>;tag=a1", caller("101", "Ann")},
		{"tel", fromLine, "From: <tel:+1-202-555-0123;phone-context=example.com>;tag=a1", caller("+12025550123", "")},
		{"separators", fromLine, "From: <sip:+1.202(555)0123@example.com;user=phone>;tag=a1", caller("+12025550123", "")},
		{"user parameters", fromLine, "From: <sip:+12025550123;npdi@example.com>;tag=a1", caller("+12025550123", "")},
		{"escaped plus", fromLine, "From: <sip:%2B12025550123@example.com>;tag=a1", caller("+12025550123", "")},
		{"password", fromLine, "From: <sip:101:secret@example.com>;tag=a1", caller("101", "")},
		{"no user", fromLine, "From: <sip:example.com>;tag=a1", caller("", "")},
		{"escaped NUL", fromLine, "From: <sip:+1202%00@example.com>;tag=a1", caller("", "")},
		{"escaped line end", fromLine, "From: <sip:1%0d%0a2@example.com>;tag=a1", caller("", "")},
		{"broken escape", fromLine, "From: <sip:1%2@example.com>;tag=a1", caller("", "")},
		{"not UTF-8", fromLine, "From: \"A\xffnn\" <sip:1\xff@example.com>;tag=a1", caller("", "Ann")},
		{"long user", fromLine, "From: <sip:" + strings.Repeat("1", maxUser+1) + "@example.com>;tag=a1", caller("", "")},
		{"long name", fromLine, `From: "` + strings.Repeat("ä", 500) + `" <sip:1@example.com>;tag=a1`, caller("1", strings.Repeat("ä", maxName))},
		{"quoted pairs", fromLine, `From: "A \"B\" \\ C" <sip:1@example.com>;tag=a1`, caller("1", `A "B" \ C`)},
		{"direction and C1 marks in the name", fromLine, "From: \"A\u202eB\u2028C\u0085\u200b\" <sip:1@example.com>;tag=a1", caller("1", "ABC")},
		{"PAI before From", "", "P-Asserted-Identity: \"Bea\" <sip:+12025550177@carrier.example.com>", caller("+12025550177", "Bea")},
		{"PAI without name, other number", "", "P-Asserted-Identity: <sip:+12025550177@carrier.example.com>", caller("+12025550177", "")},
		{"PAI without name, same number", "", "P-Asserted-Identity: <tel:+12025550123>", known},
		{"PAI: the number of two", "", "P-Asserted-Identity: \"Bea, B\" <sip:bea@example.com>, <tel:+1-202-555-0177>", caller("+12025550177", "Bea, B")},
		{"PAI in two headers", "", "P-Asserted-Identity: <sip:bea@example.com>\r\nP-Asserted-Identity: <tel:+12025550177>", caller("+12025550177", "")},
		{"PAI broken", "", "P-Asserted-Identity: <sip:", known},
		{"PAI without user", "", "P-Asserted-Identity: <sip:carrier.example.com>", known},
		{"PAI anonymous", "", "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>", withheld},
		{"From anonymous", fromLine, `From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=a1`, withheld},
		{"From Anonymous at home", fromLine, `From: <sip:Anonymous@pbx.example.com>;tag=a1`, withheld},
		{"Privacy: id", "", "Privacy: id", withheld},
		{"Privacy: id hides the PAI", "", "P-Asserted-Identity: <sip:+12025550177@example.com>\r\nPrivacy: user;ID ; critical", withheld},
		{"Privacy: none", "", "Privacy: none", known},
		{"Privacy: history", "", "Privacy: history", known},
		{"Request-URI", uriLine, "INVITE sip:%2B12025550199;cpc=x@h SIP/2.0", dialled("+12025550199")},
		{"tel Request-URI", uriLine, "INVITE tel:+12025550199;phone-context=+1 SIP/2.0", dialled("+12025550199")},
		{"Request-URI without user", uriLine, "INVITE sip:192.0.2.1:5060 SIP/2.0", known},
		{"neither", uriLine + "\r\n", "INVITE sip:192.0.2.1 SIP/2.0\r\nX-Gone: ", dialled("+12025550142")},
		{"call number", "", "X-Call-Number: 48213", number("48213")},
		{"call number in small letters", "", "x-call-number:INC0048213 ", number("INC0048213")},
		{"call number, second header", "", "X-Ticket: 7", number("7")},
		{"call number, the better header", "", "X-Ticket: 7\r\nX-Call-Number: 8", number("8")},
		{"call number, bad then good", "", "X-Call-Number: 4 8\r\nX-Ticket: 7", number("7")},
		{"call number twice alike", "", "X-Call-Number: 7\r\nX-Call-Number: 7", number("7")},
		{"call number twice", "", "X-Call-Number: 7\r\nX-Call-Number: 8", number("")},
		{"call number empty", "", "X-Call-Number:", number("")},
		{"call number with markup", "", "X-Call-Number: <b>1</b>", number("")},
		{"call number in other digits", "", "X-Call-Number: ４８", number("")},
		{"call number of 32", "", "X-Call-Number: " + strings.Repeat("1", 32), number(strings.Repeat("1", 32))},
		{"call number of 33", "", "X-Call-Number: " + strings.Repeat("1", 33), number("")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msg := request("INVITE", "x")
			if tc.old == "" {
				msg = request("INVITE", "x", strings.Split(tc.new, "\r\n")...)
			} else if msg = strings.Replace(msg, tc.old, tc.new, 1); tc.old != tc.new && !strings.Contains(msg, tc.new) {
				t.Fatalf("the message has no %q", tc.old)
			}
			tc.want.Source = "192.0.2.1:5060"
			got := invitation(parsed(t, msg), netip.MustParseAddrPort("192.0.2.1:5060"), []string{"X-Call-Number", "X-Ticket"})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCause(t *testing.T) {
	for reason, want := range map[string]int{
		"":                                        0,
		"Q.850;cause=26":                          26,
		"Q.850 ; cause=16 ;text=\"a, cause=9\"":   16,
		"SIP;cause=200;text=\"elsewhere\"":        26,
		"Q.850;cause=16, SIP;cause=200":           26,
		"SIP;cause=486":                           0,
		"SIP;cause=486\r\nReason: Q.850;cause=17": 17,
		"Q.850;cause=999":                         0,
		"Q.850;cause=x;;=;":                       0,
		"preemption;cause=1":                      0,
	} {
		msg := request("CANCEL", "x")
		if reason != "" {
			msg = request("CANCEL", "x", strings.Split("Reason: "+reason, "\r\n")...)
		}
		if got := cause(parsed(t, msg)); got != want {
			t.Errorf("%q: %d, want %d", reason, got, want)
		}
	}
}
