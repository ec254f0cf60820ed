package ari

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	cyari "github.com/CyCoreSystems/ari/v5"

	"ringlink/bridge"
)

// maxAnswer bounds the body of a REST answer: a thousand bytes a channel.
const maxAnswer = 64 << 20

// REST asks one PBX over ARI's REST interface. It only reads. Each request has
// Options.RequestTimeout.
//
// It is net/http with ari/v5's types, not ari/v5's own client: that one has
// neither context nor time-out (a hung PBX would keep the goroutine for ever)
// and drops protocol_id and channelvars such as CHANNEL(linkedid). Where this
// does not matter that client is used; see Variable.
type REST struct {
	base   string // "http://host:8088/ari"
	auth   string // the Authorization header
	opt    Options
	client *http.Client
}

// NewREST takes URL, User, Password, CallNumberVariables and RequestTimeout
// from the options. It opens nothing.
func NewREST(opt Options) (*REST, error) {
	opt.defaults()
	var faults []error
	u, err := url.Parse(opt.URL)
	switch {
	case err != nil:
		faults = append(faults, errors.New("the URL cannot be parsed"))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		faults = append(faults, errors.New("the URL needs the form http://host:port"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		faults = append(faults, errors.New("the URL may hold host, port and path only"))
	}
	if opt.User == "" || opt.Password == "" {
		faults = append(faults, errors.New("user or password is empty"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	base := strings.TrimRight(u.String(), "/")
	if !strings.HasSuffix(base, "/ari") {
		base += "/ari"
	}
	return &REST{
		base: base, opt: opt,
		auth: "Basic " + base64.StdEncoding.EncodeToString([]byte(opt.User+":"+opt.Password)),
		client: &http.Client{
			// No proxy from the environment, no keep-alive: a PBX is near, and
			// requests come years apart.
			Transport: &http.Transport{
				DialContext:           (&net.Dialer{Timeout: opt.RequestTimeout}).DialContext,
				TLSHandshakeTimeout:   opt.RequestTimeout,
				ResponseHeaderTimeout: opt.RequestTimeout,
				DisableKeepAlives:     true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close lets idle connections go.
func (r *REST) Close() { r.client.CloseIdleConnections() }

func (r *REST) url(path string) string { return r.base + path }

// get returns the body of a GET. Errors are a *StatusError or of net/http.
func (r *REST) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opt.RequestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(path), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	req.Header.Set("Authorization", r.auth)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for %s: %w", path, &StatusError{resp.StatusCode})
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("reading %s: too long: %w", path, ErrAnswer)
	}
	return body, nil
}

// Info is what GET /asterisk/info says.
type Info struct {
	Version  string    // "22.10.1"
	EntityID string    // the Asterisk's EID, a MAC address by default
	Started  time.Time // when Asterisk started; zero if it does not say so readably
}

// Info asks who is there. It is the cheapest request that needs the password.
func (r *REST) Info(ctx context.Context) (Info, error) {
	body, err := r.get(ctx, "/asterisk/info")
	if err != nil {
		return Info{}, err
	}
	// The status is ours: cyari.DateTime refuses a null and a "Z".
	var answer struct {
		cyari.AsteriskInfo
		StatusInfo struct {
			StartupTime string `json:"startup_time"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Info{}, fmt.Errorf("reading /asterisk/info: %w: %w", ErrAnswer, err)
	}
	return Info{
		Version:  answer.SystemInfo.Version,
		EntityID: answer.SystemInfo.EntityID,
		Started:  parseStamp([]byte(answer.StatusInfo.StartupTime)),
	}, nil
}

// Channels lists the channels that live now.
func (r *REST) Channels(ctx context.Context) ([]bridge.Channel, error) {
	body, err := r.get(ctx, "/channels")
	if err != nil {
		return nil, err
	}
	channels, err := NewDecoder(r.opt.CallNumberVariables).Channels(body)
	if err != nil {
		return nil, fmt.Errorf("reading /channels: %w: %w", ErrAnswer, err)
	}
	return channels, nil
}

// Bridges lists the bridges that live now.
func (r *REST) Bridges(ctx context.Context) ([]bridge.Bridge, error) {
	body, err := r.get(ctx, "/bridges")
	if err != nil {
		return nil, err
	}
	var list []cyari.BridgeData
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("reading /bridges: %w: %w", ErrAnswer, err)
	}
	bridges := make([]bridge.Bridge, len(list))
	for i, b := range list {
		bridges[i] = bridge.Bridge{ID: bridge.BridgeID(b.ID), Type: b.Type, Class: b.Class, Name: b.Name}
		for _, id := range b.ChannelIDs {
			bridges[i].Channels = append(bridges[i].Channels, bridge.ChannelID(id))
		}
	}
	return bridges, nil
}
