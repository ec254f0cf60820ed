package lab

import (
	"bytes"
	"fmt"
	"testing"
	"text/template"
	"time"
)

// HeaderCall is a call from outside whose INVITE bears headers of the test's
// choice, made by sipp: no phone lets them be written.
type HeaderCall struct {
	*sippRun
	id string
}

// CallWithHeaders places a call whose INVITE has further header lines
// ("P-Asserted-Identity: <sip:+12025550105@example.com>", "Privacy: id"). DTMF of the
// options is not for it. It returns at once; the phone that rings tells that the call is there.
func CallWithHeaders(tb testing.TB, a *Asterisk, o CallOptions, headers ...string) *HeaderCall {
	tb.Helper()
	from := fmt.Sprintf(`"%s" <sip:%s@127.0.0.1>`, o.Name, o.From)
	if o.Anonymous {
		from = `"Anonymous" <sip:anonymous@anonymous.invalid>`
	}
	scenario := renderScenario(tb, "headers.xml", struct {
		To, From string
		Headers  []string
	}{o.To, from, headers})
	port := portBlock(tb)
	id := sippCallID(port)
	return &HeaderCall{startSIPp(tb, scenario, port, a.SIPAddr(), "-m", "1", "-cid_str", id), id}
}

func sippCallID(port int) string { return fmt.Sprintf("lab-%d-%d", port, time.Now().UnixNano()) }

func renderScenario(tb testing.TB, name string, data any) []byte {
	tb.Helper()
	tmpl, err := template.ParseFS(scenarios, "sipp/"+name)
	if err != nil {
		tb.Fatal(err)
	}
	var scenario bytes.Buffer
	if err := tmpl.ExecuteTemplate(&scenario, name, data); err != nil {
		tb.Fatal(err)
	}
	return scenario.Bytes()
}

// CallID is the Call-ID of its INVITE.
func (c *HeaderCall) CallID() string { return c.id }

// Done is closed when the call is over, whoever ended it.
func (c *HeaderCall) Done() <-chan struct{} { return c.done }

// Hangup ends the call, which must have been answered, and waits for the end.
func (c *HeaderCall) Hangup() {
	c.tb.Helper()
	c.press(c.id)
	c.finish()
}
