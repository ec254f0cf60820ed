package screenpop

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"ringlink/bridge"
)

// popPage is what the page behind a link shows. Its texts are personal data;
// html/template makes them inert.
type popPage struct {
	ID         string
	State      string // "talking", "ended", "superseded"
	Mode       string // key of the mode's text
	Headline   string // who calls: the best that is known
	Sub        string // the number under a name
	Number     string
	Withheld   bool
	Candidates int
	Org        string
	Dialled    string
	DialledOrg string
	CallNumber string
	Answered   time.Time
	Device     string
	Opens      bridge.Opens
	Looking    bool // the directory has not answered yet
	Known      bool // the caller is in the directory
	Ticket     *ticketView
	Foreign    bool
}

type ticketView struct {
	Number string
	Title  string
	Open   bool
	Opened time.Time
	URL    string // http or https, or empty
}

// handlePop shows the agent's own pop, once one of its links was redeemed.
func (s *Server) handlePop(w http.ResponseWriter, r *http.Request, v visitor) error {
	id := bridge.PopID(r.PathValue("id"))
	pop, err := s.o.Pops.Pop(r.Context(), v.Agent, id)
	if err != nil {
		return fmt.Errorf("reading a pop: %w", err)
	}
	if pop.Agent != v.Agent {
		return ErrNotFound
	}
	opened, err := s.o.Opened.PopRedeemed(r.Context(), id, v.Agent)
	if err != nil {
		return fmt.Errorf("reading a pop's links: %w", err)
	}
	if !opened {
		return errNotOpened
	}
	return s.pages.render(w, r, http.StatusOK, "pop", page{User: v.User, DeskID: v.deskID(), Pop: newPopPage(pop)})
}

func newPopPage(p Pop) *popPage {
	v := &popPage{
		ID:         string(p.ID),
		State:      popPageState(p.State),
		Mode:       "pop_mode_" + string(p.Decision.Mode),
		Withheld:   p.Facts.Caller.Withheld,
		Candidates: p.Found.Candidates,
		Dialled:    clean(p.Facts.Dialled.Reveal()),
		CallNumber: clean(string(p.Facts.CallNumber)),
		Answered:   p.Answered.UTC(),
		Device:     p.Device.Endpoint,
		Opens:      p.Decision.Opens,
		Looking:    !p.Found.Done,
		Foreign:    p.Found.Foreign,
	}
	if _, ok := texts[v.Mode]; !ok {
		v.Mode = "pop_mode_ivr"
	}
	if !v.Withheld {
		v.Number = clean(p.Facts.Caller.Number.Reveal())
	}
	if o := p.Found.Organization; o != nil {
		v.Org = clean(o.Name)
	}
	if o := p.Found.Dialled; o != nil {
		v.DialledOrg = clean(o.Name)
	}
	if t := p.Found.Ticket; t != nil {
		v.Ticket = &ticketView{Number: clean(string(t.Number)), Title: clean(t.Title), Open: t.Open(), Opened: t.Opened.UTC(), URL: webAddress(t.URL)}
	}
	v.Known = p.Found.Person != nil || p.Found.Organization != nil
	v.Headline, v.Sub = headline(p, v)
	return v
}

// headline picks what stands largest: a person that the directory is sure of,
// else the number, and never a guess among several people.
func headline(p Pop, v *popPage) (head, sub string) {
	name := ""
	switch {
	case p.Found.Person != nil:
		name = clean(p.Found.Person.Name.Reveal())
	case v.Candidates <= 1 && !v.Withheld && v.Org == "":
		name = clean(p.Facts.Caller.Name.Reveal())
	}
	switch {
	case name != "":
		return name, v.Number
	case v.Number != "":
		return v.Number, ""
	case v.Withheld:
		return texts["pop_withheld"], ""
	}
	return texts["pop_no_number"], ""
}

func popPageState(s bridge.PopState) string {
	switch s {
	case bridge.PopSuperseded:
		return "superseded"
	case bridge.PopEnded, bridge.PopRetracted, bridge.PopExpired:
		return "ended"
	}
	return "talking"
}

// webAddress lets through only what a link to a web page can be: a ticket's
// URL comes from another system's data.
func webAddress(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.String()
}
