package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// post has the writing ARI user do something.
func (a *Asterisk) post(path string, query url.Values) {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL()+path+"?"+query.Encode(), nil)
	if err != nil {
		a.tb.Fatal(err)
	}
	req.SetBasicAuth(ivrUser, ivrPassword)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("POST %s: %s: %s", path, res.Status, text)
	}
	if err != nil {
		a.tb.Fatal(err)
	}
}

// Originate calls an endpoint ("PJSIP/101") and, when that answers, leads it to an
// extension: click-to-call, or a queue's callback. callerID is what the endpoint is shown.
func (a *Asterisk) Originate(endpoint, dialContext, extension, callerID string) {
	a.tb.Helper()
	a.post("/ari/channels", url.Values{
		"endpoint": {endpoint}, "context": {dialContext}, "extension": {extension}, "priority": {"1"}, "callerId": {callerID},
	})
}

// SetVariable sets a variable of a channel ("PJSIP/anonymous-00000001"), as a service of the PBX's own may at any time.
func (a *Asterisk) SetVariable(channel, name, value string) {
	a.tb.Helper()
	a.CLI("dialplan set chanvar " + channel + " " + name + " " + value)
}
