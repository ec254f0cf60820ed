package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
)

// demoCaller sends the demo's INVITEs over UDP to Ringlink's SIP socket, as a
// PBX does that forks a branch to a shadow contact.
type demoCaller struct {
	ua     *sipgo.UserAgent
	client *sipgo.Client
	target gosip.Uri
}

func newDemoCaller(target string) (*demoCaller, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("demo-pbx"))
	if err != nil {
		return nil, fmt.Errorf("making the demo's caller: %w", err)
	}
	client, err := sipgo.NewClient(ua, sipgo.WithClientHostname(host))
	if err != nil {
		return nil, errors.Join(err, ua.Close())
	}
	c := &demoCaller{ua: ua, client: client}
	if err := gosip.ParseUri("sip:5000@"+net.JoinHostPort(host, port), &c.target); err != nil {
		return nil, errors.Join(err, ua.Close())
	}
	return c, nil
}

func (c *demoCaller) close() { _ = c.ua.Close() }

// demoInvite is one INVITE that waits for its end.
type demoInvite struct {
	c   *demoCaller
	req *gosip.Request
	tx  gosip.ClientTransaction
}

// invite sends the INVITE and returns when Ringlink rings (180).
func (c *demoCaller) invite(ctx context.Context, st story, callID string) (*demoInvite, error) {
	req := gosip.NewRequest(gosip.INVITE, c.target)
	from := gosip.FromHeader{DisplayName: st.display, Address: gosip.Uri{Scheme: "sip", User: st.number, Host: "caller.example.com"}}
	switch {
	case st.internal:
		from.Address.User = "101"
	case st.number == "":
		from.DisplayName, from.Address.User, from.Address.Host = "Anonymous", "anonymous", "anonymous.invalid"
	}
	from.Params.Add("tag", gosip.GenerateTagN(16))
	id := gosip.CallIDHeader(callID)
	req.AppendHeader(&from)
	req.AppendHeader(&id)
	req.SetDestination(fmt.Sprintf("%s:%d", c.target.Host, c.target.Port))
	tx, err := c.client.TransactionRequest(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("sending the INVITE: %w", err)
	}
	i := &demoInvite{c: c, req: req, tx: tx}
	return i, await(ctx, tx, gosip.StatusRinging)
}

// await waits for one answer to a request.
func await(ctx context.Context, tx gosip.ClientTransaction, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		select {
		case res := <-tx.Responses():
			if res.StatusCode == want {
				return nil
			}
			if res.StatusCode >= 200 {
				return fmt.Errorf("the request was answered %d %s", res.StatusCode, res.Reason)
			}
		case <-tx.Done():
			return fmt.Errorf("the transaction ended: %w", tx.Err())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d: %w", want, ctx.Err())
		}
	}
}

// completedElsewhere cancels the branch with the reason that a forking PBX
// gives (RFC 3326): somebody else has answered. Ringlink answers 487.
func (i *demoInvite) completedElsewhere(ctx context.Context) error {
	cancel := gosip.NewRequest(gosip.CANCEL, i.req.Recipient)
	gosip.CopyHeaders("Via", i.req, cancel)
	for _, name := range []string{"From", "To", "Call-ID", "Max-Forwards"} {
		gosip.CopyHeaders(name, i.req, cancel)
	}
	cancel.AppendHeader(&gosip.CSeqHeader{SeqNo: i.req.CSeq().SeqNo, MethodName: gosip.CANCEL})
	cancel.AppendHeader(gosip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`))
	cancel.SetBody(nil)
	cancel.SetDestination(i.req.Destination())
	tx, err := i.c.client.TransactionRequest(ctx, cancel, func(*sipgo.Client, *gosip.Request) error { return nil })
	if err != nil {
		return fmt.Errorf("sending the CANCEL: %w", err)
	}
	defer tx.Terminate()
	if err := await(ctx, tx, gosip.StatusOK); err != nil {
		return err
	}
	return await(ctx, i.tx, gosip.StatusRequestTerminated)
}

func (i *demoInvite) close() { i.tx.Terminate() }
