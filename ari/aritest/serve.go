package aritest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// socket is one open websocket.
type socket struct {
	apps []string
	conn *websocket.Conn
	gone chan struct{} // closed when its request is over
}

// ServeHTTP answers as Asterisk's HTTP server with ARI does.
func (a *Asterisk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	a.wg.Add(1)
	a.requests[r.URL.Path]++
	booting, noARI, hang, password := a.booting, a.noARI, a.hang, a.password
	a.mu.Unlock()
	defer a.wg.Done()
	user, pass, _ := r.BasicAuth()
	path, isARI := strings.CutPrefix(r.URL.Path, "/ari/")
	switch {
	case booting:
		answer(w, http.StatusServiceUnavailable, message("Asterisk not booted"))
	case noARI || !isARI:
		answer(w, http.StatusNotFound, message("The requested URL was not found on this server."))
	case user != a.opt.User || subtle.ConstantTimeCompare([]byte(pass), []byte(password)) != 1:
		w.Header().Set("WWW-Authenticate", `Basic realm="Asterisk REST Interface"`)
		answer(w, http.StatusUnauthorized, message("Authentication required"))
	case r.Method != http.MethodGet: // the user is read_only
		answer(w, http.StatusForbidden, message("Write access denied"))
	case path == "events":
		a.events(w, r)
	default:
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
				return
			}
		}
		a.rest(w, path, r.URL.Query().Get("variable"))
	}
}

func message(text string) []byte {
	b, _ := json.Marshal(map[string]string{"message": text})
	return b
}

func answer(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// rest answers the requests that list state.
func (a *Asterisk) rest(w http.ResponseWriter, path, variable string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch parts := strings.Split(path, "/"); {
	case path == "channels":
		answer(w, http.StatusOK, a.state.channels.list())
	case path == "bridges":
		answer(w, http.StatusOK, a.state.bridges.list())
	case path == "endpoints":
		answer(w, http.StatusOK, a.endpoints())
	case path == "asterisk/info":
		answer(w, http.StatusOK, a.info())
	case len(parts) >= 2 && parts[0] == "channels":
		text, ok := a.state.channels.text[parts[1]]
		switch {
		case !ok:
			answer(w, http.StatusNotFound, message("Channel not found"))
		case len(parts) == 2:
			answer(w, http.StatusOK, text)
		case len(parts) == 3 && parts[2] == "variable":
			answer(w, http.StatusOK, variableOf(text, variable))
		default:
			answer(w, http.StatusNotFound, message("Resource not found"))
		}
	default:
		answer(w, http.StatusNotFound, message("Resource not found"))
	}
}

func variableOf(channel []byte, name string) []byte {
	var ch struct {
		Vars map[string]string `json:"channelvars"`
	}
	_ = json.Unmarshal(channel, &ch)
	b, _ := json.Marshal(map[string]string{"value": ch.Vars[name]})
	return b
}

// info is the part of GET /asterisk/info that clients look at; the caller
// holds mu.
func (a *Asterisk) info() []byte {
	b, _ := json.Marshal(map[string]any{
		"build":  map[string]string{"os": "Linux", "machine": "x86_64"},
		"system": map[string]string{"version": a.opt.Version, "entity_id": entityID},
		"config": map[string]any{"name": "aritest", "default_language": "en", "setid": map[string]string{"user": "", "group": ""}},
		"status": map[string]string{"startup_time": stamp(a.started), "last_reload_time": stamp(a.started)},
	})
	return b
}

func (a *Asterisk) endpoints() []byte {
	list := []map[string]any{}
	for _, name := range a.opt.Endpoints {
		tech, resource, _ := strings.Cut(name, "/")
		list = append(list, map[string]any{"technology": tech, "resource": resource, "state": "online", "channel_ids": []string{}})
	}
	b, _ := json.Marshal(list)
	return b
}

const entityID = "02:fc:00:00:00:01"

// stamp writes a time as Asterisk does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// events is the websocket. It gives the application's name to the newcomer:
// the older socket is told so once and hears nothing more.
func (a *Asterisk) events(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("app") == "" {
		answer(w, http.StatusBadRequest, message("HTTP request is missing param: [app]"))
		return
	}
	s, err := a.join(w, r)
	if err != nil {
		return
	}
	defer close(s.gone)
	defer a.unregister(s)
	for {
		if _, _, err := s.conn.Read(context.Background()); err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}

// join opens the websocket and gives it its names before anything else is
// sent or cut: an Asterisk has registered the application when it answers.
func (a *Asterisk) join(w http.ResponseWriter, r *http.Request) (*socket, error) {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"ari"},
		OnPingReceived: func(context.Context, []byte) bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return !a.stalled
		},
	})
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	s := &socket{apps: strings.Split(query.Get("app"), ","), conn: conn, gone: make(chan struct{})}
	if !a.register(s, query.Get("subscribeAll") == "true") {
		_ = conn.CloseNow()
		return nil, net.ErrClosed
	}
	return s, nil
}

// register gives the socket its names; one that does not subscribe to all has
// nothing to hear from this fake, which knows no other subscription. The
// caller holds sendMu.
func (a *Asterisk) register(s *socket, all bool) bool {
	a.mu.Lock()
	replaced := make(map[string]*socket)
	if a.closed {
		a.mu.Unlock()
		return false
	}
	for _, app := range s.apps {
		if old := a.apps[app]; old != nil {
			replaced[app] = old
		}
		if all {
			a.apps[app] = s
		}
	}
	a.sockets[s] = true
	a.notify()
	a.mu.Unlock()
	for app, old := range replaced {
		a.write(old, []byte(`{"type":"ApplicationReplaced","timestamp":"`+stamp(a.opt.Clock())+
			`","asterisk_id":"`+entityID+`","application":"`+app+`"}`))
	}
	return true
}

func (a *Asterisk) unregister(s *socket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, app := range s.apps {
		if a.apps[app] == s {
			delete(a.apps, app)
		}
	}
	delete(a.sockets, s)
	a.notify()
}

func (a *Asterisk) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}
