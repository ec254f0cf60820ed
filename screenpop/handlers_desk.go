package screenpop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"ringlink/bridge"
)

func (s *Server) handleDesk(w http.ResponseWriter, r *http.Request, v visitor) error {
	return s.pages.render(w, r, http.StatusOK, "desk", page{User: v.User, DeskID: v.deskID()})
}

// handleStandby is what the second tab shows until a call opens in it.
func (s *Server) handleStandby(w http.ResponseWriter, r *http.Request, v visitor) error {
	return s.pages.render(w, r, http.StatusOK, "standby", page{User: v.User, DeskID: v.deskID()})
}

func (s *Server) handleMe(w http.ResponseWriter, _ *http.Request, v visitor) error {
	return writeJSON(w, struct {
		Agent bridge.AgentID `json:"agent"` // empty: no desk
		Name  string         `json:"name"`
		Role  Role           `json:"role"`
	}{v.Agent, v.Name, v.Role})
}

func (s *Server) handleShown(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := s.o.Pops.Shown(r.Context(), v.Agent, bridge.PopID(r.PathValue("id"))); err != nil {
		return fmt.Errorf("noting a pop as shown: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) handleAcknowledge(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := s.o.Pops.Acknowledge(r.Context(), v.Agent, bridge.PopID(r.PathValue("id"))); err != nil {
		return fmt.Errorf("acknowledging a pop: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handleMintLink makes a fresh link for the moment that the agent opens it.
func (s *Server) handleMintLink(w http.ResponseWriter, r *http.Request, v visitor) error {
	token, expires, err := s.o.Links.Mint(actorContext(r, v), v.Agent, bridge.PopID(r.PathValue("id")))
	if err != nil {
		return fmt.Errorf("minting a link: %w", err)
	}
	return writeJSON(w, struct {
		URL     string    `json:"url"` // path at this server
		Expires time.Time `json:"expires"`
	}{"/o/" + token, expires.UTC()})
}

func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // the visitor may have gone
	return nil
}
