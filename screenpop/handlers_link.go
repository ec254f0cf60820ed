package screenpop

import (
	"context"
	"net/http"
	"net/url"
)

// handleLinkPage shows a page that posts the link, by script or by a button.
// It spends nothing and looks nothing up: scanners, previews and prefetch come
// this way.
func (s *Server) handleLinkPage(w http.ResponseWriter, r *http.Request, _ visitor) error {
	return s.pages.render(w, r, http.StatusOK, "link", page{Token: r.PathValue("token")})
}

// handleRedeem spends the link and goes on to the pop's page.
func (s *Server) handleRedeem(w http.ResponseWriter, r *http.Request, v visitor) error {
	if !v.hasDesk() {
		s.audit(r.Context(), v.ID, "link_refused", "", "no_desk", v.from)
		return ErrLinkForeign
	}
	id, err := s.o.Links.Redeem(actorContext(r, v), v.Agent, r.PathValue("token"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/pops/"+url.PathEscape(string(id)), http.StatusSeeOther)
	return nil
}

// actorContext tells the audit trail who acts in this request.
func actorContext(r *http.Request, v visitor) context.Context {
	return WithActor(r.Context(), Actor{User: v.ID, Remote: v.from})
}
