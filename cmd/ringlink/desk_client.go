package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"ringlink/screenpop"
)

// deskClient does over HTTP what an agent's browser does: it signs in, holds
// the stream, reports pops as drawn, asks for links and redeems them. The demo
// proves the whole way with it, and so do the tests.
type deskClient struct {
	base   string
	client *http.Client

	mu      sync.Mutex // guards all below
	views   map[string]screenpop.CallView
	history []screenpop.CallView
	first   map[string]time.Time // when a pop's first message came
	changed chan struct{}        // closed and replaced at every message
}

func newDeskClient(base string) (*deskClient, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &deskClient{
		base:    strings.TrimRight(base, "/"),
		client:  &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		views:   map[string]screenpop.CallView{},
		first:   map[string]time.Time{},
		changed: make(chan struct{}),
	}, nil
}

// statusError is an answer other than the expected.
type statusError struct {
	what   string
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: HTTP %d", e.what, e.status) }

// do sends a request and returns the answer's body and location.
func (d *deskClient) do(ctx context.Context, method, path string, form url.Values, want int) (body, location string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", "", err
	}
	if resp.StatusCode != want {
		what, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/") // no token in an error
		return string(text), "", &statusError{method + " /" + what, resp.StatusCode}
	}
	return string(text), resp.Header.Get("Location"), nil
}

// signIn opens a session by password.
func (d *deskClient) signIn(ctx context.Context, login, password string) error {
	_, location, err := d.do(ctx, http.MethodPost, "/login", url.Values{"login": {login}, "password": {password}}, http.StatusSeeOther)
	if err == nil && location != "/" {
		err = fmt.Errorf("signing in led to %s", location)
	}
	return err
}

// signInOnce opens a session by a one-time token.
func (d *deskClient) signInOnce(ctx context.Context, token string) error {
	_, _, err := d.do(ctx, http.MethodPost, "/signin", url.Values{"token": {token}}, http.StatusSeeOther)
	return err
}

// stream holds the desk's stream until ctx ends or the server closes it. ready
// is closed when the first message is there.
func (d *deskClient) stream(ctx context.Context, ready chan<- struct{}) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/stream", nil)
	if err != nil {
		return err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &statusError{"GET /api/stream", resp.StatusCode}
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	event := ""
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "event":
			event = value
		case "data":
			if err := d.take(event, []byte(value)); err != nil {
				return err
			}
			if ready != nil {
				close(ready)
				ready = nil
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

func (d *deskClient) take(event string, data []byte) error {
	now := time.Now()
	var list []screenpop.CallView
	switch event {
	case "state":
		if err := json.Unmarshal(data, &list); err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
	case "call":
		list = make([]screenpop.CallView, 1)
		if err := json.Unmarshal(data, &list[0]); err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
	default:
		return fmt.Errorf("reading the stream: event %q is unknown", event)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if event == "state" {
		clear(d.views)
	}
	for _, v := range list {
		d.views[v.Call] = v
		if _, again := d.first[v.Pop]; !again {
			d.first[v.Pop] = now
		}
	}
	d.history = append(d.history, list...)
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

// wait returns the first view, among all that came, that match accepts.
func (d *deskClient) wait(ctx context.Context, match func(screenpop.CallView) bool) (screenpop.CallView, error) {
	for seen := 0; ; {
		d.mu.Lock()
		fresh, changed := d.history[seen:], d.changed
		seen += len(fresh)
		d.mu.Unlock()
		for _, v := range fresh {
			if match(v) {
				return v, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return screenpop.CallView{}, fmt.Errorf("waiting for the desk: %w", ctx.Err())
		}
	}
}

// pops counts the different pops that came.
func (d *deskClient) pops() (ids []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[string]bool{}
	for _, v := range d.history {
		if v.Pop != "" && !seen[v.Pop] {
			seen[v.Pop] = true
			ids = append(ids, v.Pop)
		}
	}
	return ids
}

// arrived is when the first message of a pop came.
func (d *deskClient) arrived(pop string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first[pop]
}

// shown reports the pop as drawn.
func (d *deskClient) shown(ctx context.Context, pop string) error {
	_, _, err := d.do(ctx, http.MethodPost, "/api/pops/"+pop+"/shown", nil, http.StatusNoContent)
	return err
}

// link asks for a fresh link of the pop and returns its path.
func (d *deskClient) link(ctx context.Context, pop string) (string, error) {
	body, _, err := d.do(ctx, http.MethodPost, "/api/pops/"+pop+"/link", nil, http.StatusOK)
	if err != nil {
		return "", err
	}
	var answer struct{ URL string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return "", fmt.Errorf("reading the link: %w", err)
	}
	if !strings.HasPrefix(answer.URL, "/o/") {
		return "", errors.New("the link is not one of ours")
	}
	return answer.URL, nil
}

// open follows a link as a browser does: the page first, which spends nothing,
// then the post, then the pop's page, whose HTML it returns.
func (d *deskClient) open(ctx context.Context, link string) (string, error) {
	if _, _, err := d.do(ctx, http.MethodGet, link, nil, http.StatusOK); err != nil {
		return "", err
	}
	_, location, err := d.do(ctx, http.MethodPost, link, url.Values{}, http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	page, _, err := d.do(ctx, http.MethodGet, location, nil, http.StatusOK)
	return page, err
}
