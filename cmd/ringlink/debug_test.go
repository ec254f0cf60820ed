package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A name that somebody else's DNS points at loopback does not open the door.
func TestDebugAnswersLoopbackNamesOnly(t *testing.T) {
	h := debugHandler(newRegistry(), func() []reason { return []reason{{Part: "store", Why: "not connected yet"}} })
	for host, want := range map[string]int{
		"127.0.0.1:9090": http.StatusOK, "localhost:9090": http.StatusOK, "[::1]:9090": http.StatusOK, "127.0.0.1": http.StatusOK,
		"evil.example.com:9090": http.StatusMisdirectedRequest, "192.0.2.1": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/healthz", "/metrics"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("GET %s of host %q: %d, want %d", path, host, w.Code, want)
			}
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	r.Host = "127.0.0.1"
	if h.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable {
		t.Errorf("/readyz with a reason: %d", w.Code)
	}
}
