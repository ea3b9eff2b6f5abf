package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"waggle/account"
	"waggle/console/client"
)

// linkRightsPath has the name of the leaf as a parameter, as dropLinkPath has.
const linkRightsPath = "/links/rights"

// rightsPage is what the page of a leaf's rights shows.
type rightsPage struct {
	Name    string
	Action  string // URL of the form
	Problem string // why nothing was changed
	Asked   rightsForm
	Choices rightsChoices
}

// rightsForm is what a leaf may do, as a form has it.
type rightsForm struct{ Direction, Share, Torrents, Peers, Changes string }

// rightsChoices are those of the form.
type rightsChoices struct{ Directions, Shares []choice }

// Directions of a form.
const (
	bothWays    = ""
	receiveOnly = "receive"
	sendOnly    = "send"
)

func (f *rightsForm) choices() rightsChoices {
	return rightsChoices{
		Directions: choose(f.Direction,
			choice{Value: bothWays, Label: "receives and sends"}, choice{Value: receiveOnly, Label: "receives only: is told of peers"},
			choice{Value: sendOnly, Label: "sends only: tells of peers"}),
		Shares: choose(f.Share,
			choice{Value: "", Label: "off"}, choice{Value: client.ShareReceive, Label: "receives them"},
			choice{Value: client.ShareSend, Label: "sends them"}, choice{Value: client.ShareBoth, Label: "receives and sends them"}),
	}
}

// rightsFormOf returns the form that asks for rights.
func rightsFormOf(r *client.Rights) rightsForm {
	f := rightsForm{Torrents: strings.Join(r.Torrents, "\n"), Peers: boundText(r.Peers), Changes: boundText(r.ChangesPerSecond)}
	if r.Share != client.ShareOff {
		f.Share = r.Share
	}
	switch {
	case !r.Send:
		f.Direction = receiveOnly
	case !r.Receive:
		f.Direction = sendOnly
	}
	return f
}

// rightsFormIn returns the form that a request has.
func rightsFormIn(r *http.Request) rightsForm {
	return rightsForm{
		Direction: r.PostFormValue("direction"), Share: r.PostFormValue("share"),
		Torrents: r.PostFormValue("torrents"), Peers: r.PostFormValue("peers"), Changes: r.PostFormValue("changes"),
	}
}

// rights returns what the form asks for. The error is a [refusal].
func (f *rightsForm) rights() (r client.Rights, err error) {
	r = client.Rights{Receive: f.Direction != sendOnly, Send: f.Direction != receiveOnly, Share: f.Share, Torrents: items(f.Torrents)}
	if r.Peers, err = atMost(f.Peers); err != nil {
		return r, err
	}
	r.ChangesPerSecond, err = atMost(f.Changes)
	return r, err
}

// items returns what stands in a text, with spaces, line breaks or commas between.
func items(text string) []string { return strings.Fields(strings.ReplaceAll(text, ",", " ")) }

// atMost reads a bound; none is 0.
func atMost(text string) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return 0, &refusal{http.StatusUnprocessableEntity, "A bound is a number from 1 to 1,000,000,000, or is left empty for none."}
	}
	return n, nil
}

func boundText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (s *Site) linkRightsPage(r *http.Request) (view, error) {
	if role(r) < account.Admin {
		return view{}, &refusal{http.StatusForbidden, "Rights are changed by admins."}
	}
	name := r.URL.Query().Get("name")
	all, err := s.api.Links(r.Context())
	if err != nil {
		return view{}, err
	}
	rights, ok := all.RightsOf(name)
	if !ok {
		return view{}, &refusal{http.StatusNotFound, "There is no leaf " + clip(name, 80) + ", nor is one invited: see the links."}
	}
	return rightsView(name, rightsFormOf(&rights), ""), nil
}

func rightsView(name string, f rightsForm, problem string) view {
	return view{"Rights of " + clip(name, 80), &rightsPage{
		Name: name, Action: linkRightsPath + "?" + url.Values{"name": {name}}.Encode(), Problem: problem, Asked: f, Choices: f.choices(),
	}}
}

// setLinkRights gives a leaf the rights that its page asks for.
func (s *Site) setLinkRights(shown *page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.parseForm(w, r) {
			return
		}
		name, form := r.FormValue("name"), rightsFormIn(r)
		rights, err := form.rights()
		if err == nil {
			err = s.api.SetRights(r.Context(), name, rights)
		}
		if err == nil {
			s.onward(w, r, "/links", done("The leaf "+clip(name, 80)+" has other rights: "+strings.Join(rightsText(rights), ", ")))
			return
		}
		status, text := reason(err)
		if !formHelps(status) {
			s.fail(w, r, err)
			return
		}
		shown.write(w, r, status, shown.frame(r, rightsView(name, form, text)))
	}
}

// rightsText says what a leaf may do.
func rightsText(r client.Rights) []string {
	var all []string
	switch {
	case r.Receive && r.Send:
		all = append(all, "receives and sends")
	case r.Receive:
		all = append(all, "receives only")
	case r.Send:
		all = append(all, "sends only")
	}
	if len(r.Torrents) > 0 {
		all = append(all, plural(len(r.Torrents), "torrent")+" only")
	}
	switch r.Share {
	case client.ShareReceive:
		all = append(all, "receives .torrent files")
	case client.ShareSend:
		all = append(all, "sends .torrent files")
	case client.ShareBoth:
		all = append(all, "receives and sends .torrent files")
	}
	if r.Peers > 0 {
		all = append(all, "at most "+plural(r.Peers, "peer"))
	}
	if r.ChangesPerSecond > 0 {
		all = append(all, "at most "+plural(r.ChangesPerSecond, "change")+" a second")
	}
	return all
}
