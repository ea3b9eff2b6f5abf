package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"waggle/account"
	"waggle/console/client"
)

// linksPage is what the links show.
type linksPage struct {
	client.Links
	Why    string // there can be none; "": there can
	Active int    // of the links
	LeafOf string // "": of none

	Drawings []drawing

	Made    *client.Invitation // just now
	Problem string             // why none was made
	Asked   inviteForm
	Choices rightsChoices
}

// inviteForm is an invitation as somebody asked for it.
type inviteForm struct {
	Name, Addresses string
	rightsForm
}

func (s *Site) links(r *http.Request) (view, error) {
	p, err := s.linksPage(r)
	return view{"Links", p}, err
}

func (s *Site) linksPage(r *http.Request) (*linksPage, error) {
	l, err := s.api.Links(r.Context())
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusNotFound {
		return &linksPage{Why: sentence(problem.Error())}, nil
	}
	if err != nil {
		return nil, err
	}
	p := &linksPage{Links: l, LeafOf: l.HubText(), Drawings: draw(&l)}
	p.offer(inviteForm{})
	for i := range l.Links {
		if l.Links[i].State == client.LinkActive || l.Links[i].State == client.LinkHealing {
			p.Active++
		}
	}
	return p, nil
}

// offer fills in the form of an invitation.
func (p *linksPage) offer(asked inviteForm) {
	p.Asked, p.Choices = asked, asked.choices()
}

// inviteLink makes an invitation. Its line is shown by the answer itself, once: nothing
// else may keep it.
func (s *Site) inviteLink(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	asked := inviteForm{Name: strings.TrimSpace(r.PostFormValue("name")), Addresses: r.PostFormValue("addresses"), rightsForm: rightsFormIn(r)}
	wanted, err := asked.invitation()
	var made client.Invitation
	if err == nil {
		made, err = s.api.Invite(r.Context(), wanted)
	}
	if err == nil {
		s.showLinks(w, r, http.StatusCreated, func(p *linksPage) { p.Made = &made })
		return
	}
	status, text := reason(err)
	if !formHelps(status) {
		s.fail(w, r, err)
		return
	}
	s.showLinks(w, r, status, func(p *linksPage) {
		p.Problem = text
		p.offer(asked)
	})
}

// showLinks shows the page with what came of a form.
func (s *Site) showLinks(w http.ResponseWriter, r *http.Request, status int, change func(*linksPage)) {
	p, err := s.linksPage(r)
	if err != nil {
		p = new(linksPage) // what came of the form matters more
		p.offer(inviteForm{})
	}
	change(p)
	s.linksShown.write(w, r, status, s.linksShown.frame(r, view{"Links", p}))
}

// invitation returns what the form asks for. The error is a refusal.
func (f *inviteForm) invitation() (n client.NewInvitation, err error) {
	n = client.NewInvitation{Name: f.Name, Addresses: items(f.Addresses)}
	n.Rights, err = f.rights()
	return n, err
}

func (s *Site) joinLink(r *http.Request) (text, next string, err error) {
	_, err = s.api.Join(r.Context(), r.PostFormValue("line"))
	return "The hub is joined: the link is being made", "/links", err
}

func (s *Site) resetLink(r *http.Request) (text, next string, err error) {
	name := r.PostFormValue("name")
	return "The link with " + clip(name, 80) + " begins anew", "/links", s.api.Reset(r.Context(), name)
}

// Paths at which links are ended. A name is a parameter, as those of accounts are.
const (
	dropLinkPath  = "/links/drop"
	leaveLinkPath = "/links/leave"
)

// ending is what is asked before something is ended, such as a link.
type ending struct {
	Title, Text, Verb, Action string
	Keep, Back                string // what else one may do, and where that leads
}

func (s *Site) dropLinkPage(r *http.Request) (view, error) {
	name := clip(r.URL.Query().Get("name"), 80)
	return endingOf(r, ending{
		"Drop " + name + "?", "The link ends at once, the peers that are known through it are forgotten, and its invitation is good no more.", "Drop it",
		dropLinkPath + "?" + url.Values{"name": {r.URL.Query().Get("name")}}.Encode(), "Keep it", "/links",
	})
}

func (s *Site) leaveLinkPage(r *http.Request) (view, error) {
	return endingOf(r, ending{"Leave the hub?", "The link ends at once, and the peers that are known through it are forgotten. To join again takes a new invitation.", "Leave it", leaveLinkPath, "Keep it", "/links"})
}

func endingOf(r *http.Request, e ending) (view, error) {
	if role(r) < account.Operator {
		return view{}, &refusal{http.StatusForbidden, "Links are ended by operators."}
	}
	return view{e.Title, e}, nil
}

func (s *Site) dropLink(r *http.Request) (text, next string, err error) {
	name := r.FormValue("name") // of the form, or of its path where a script filled that in
	return "The link with " + clip(name, 80) + " is dropped", "/links", s.api.Drop(r.Context(), name)
}

func (s *Site) leaveLink(r *http.Request) (text, next string, err error) {
	return "This tracker has left its hub", "/links", s.api.Leave(r.Context())
}

// shortText writes a number of seconds that may be a small part of one.
func shortText(s float64) string {
	switch {
	case s <= 0:
		return "–"
	case s < 0.001:
		return "< 1 ms"
	case s < 1:
		return strconv.Itoa(int(s*1000+.5)) + " ms"
	case s < 60:
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	}
	return spanText(seconds(s))
}
