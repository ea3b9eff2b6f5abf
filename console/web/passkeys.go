package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"waggle/account"
	"waggle/console/client"
)

// passkeysPage is what the list of passkeys shows.
type passkeysPage struct {
	client.PasskeyPage
	Why      string // there are none; "": there may be
	Query    string
	Filtered bool
	States   []choice
	Terms    []choice // how long one lasts, in days
	Paging   paging

	Asked   passkeyForm
	Problem string // why none was made or found
}

// passkeyForm is a passkey as somebody asked for it.
type passkeyForm struct{ Name, Note, Key, Count string }

func (s *Site) passkeys(r *http.Request) (view, error) {
	p, err := s.passkeysPage(r)
	return view{"Passkeys", p}, err
}

func (s *Site) passkeysPage(r *http.Request) (*passkeysPage, error) {
	values := r.URL.Query()
	q := client.PasskeyQuery{Query: values.Get("query"), State: values.Get("state"), Part: client.Part{Cursor: values.Get("cursor"), Limit: pageSize}}
	if utf8.RuneCountInString(q.Query) > maxQuery {
		return nil, &refusal{http.StatusUnprocessableEntity, "Search for something shorter: 200 characters at most."}
	}
	found, err := s.api.PasskeysPart(r.Context(), q)
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusNotFound {
		return &passkeysPage{Why: sentence(problem.Error())}, nil
	}
	if err != nil {
		return nil, err
	}
	return &passkeysPage{
		PasskeyPage: found, Query: q.Query, Filtered: q.Query != "" || q.State != "",
		States: choose(q.State, choice{Value: "", Label: "all"}, choice{Value: "active", Label: "active"}, choice{Value: "revoked", Label: "revoked"}, choice{Value: "expired", Label: "expired"}),
		Terms:  choose("", append([]choice{{Value: "", Label: "never"}}, terms...)...),
		Paging: pages(r.URL, "cursor", found.Next, "Pages of passkeys"), Asked: passkeyForm{Count: "1"},
	}, nil
}

// searchPasskeys leads to what is searched for. It is posted, as it may be a secret, which must
// stand in no URL.
func (s *Site) searchPasskeys(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	text := strings.TrimSpace(r.PostFormValue("query"))
	if likeSecret(text) {
		found, err := s.api.FindPasskey(r.Context(), text)
		if err == nil {
			http.Redirect(w, r, passkeyPath(found.ID), http.StatusSeeOther)
			return
		}
		s.refusePasskey(w, r, passkeyForm{Count: "1"}, err)
		return
	}
	values := url.Values{}
	for name, value := range map[string]string{"query": clip(text, maxQuery), "state": r.PostFormValue("state")} {
		if value != "" {
			values.Set(name, value)
		}
	}
	http.Redirect(w, r, withQuery("/passkeys", values), http.StatusSeeOther)
}

// likeSecret reports whether a text that is searched for may be a passkey, whole or in a URL.
func likeSecret(text string) bool {
	longest := 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		longest = max(longest, len(word))
	}
	return longest >= 32
}

// createPasskey makes one passkey, or some of a name.
func (s *Site) createPasskey(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	asked := passkeyForm{Name: strings.TrimSpace(r.PostFormValue("name")), Note: strings.TrimSpace(r.PostFormValue("note")), Key: strings.TrimSpace(r.PostFormValue("key")), Count: r.PostFormValue("count")}
	wanted, err := s.passkeysOf(&asked, r.PostFormValue("days"))
	var made []client.Passkey
	if err == nil {
		made, err = s.api.CreatePasskeys(r.Context(), wanted)
	}
	switch {
	case err != nil:
		s.refusePasskey(w, r, asked, err)
	case len(made) == 1:
		s.onward(w, r, passkeyPath(made[0].ID), done("The passkey of "+clip(made[0].Name, 80)+" is made"))
	default:
		s.onward(w, r, "/passkeys?"+url.Values{"query": {asked.Name}}.Encode(), done(plural(len(made), "passkey")+" of "+clip(asked.Name, 80)+" are made"))
	}
}

// passkeysOf returns what a form asks for. The error is a refusal.
func (s *Site) passkeysOf(f *passkeyForm, days string) ([]client.NewPasskey, error) {
	n, err := strconv.Atoi(f.Count)
	if err != nil || n < 1 || n > 100 {
		return nil, &refusal{http.StatusUnprocessableEntity, "Make 1 to 100 passkeys at a time."}
	}
	if n > 1 && f.Key != "" {
		return nil, &refusal{http.StatusUnprocessableEntity, "One that another tracker made is one: make 1."}
	}
	one := client.NewPasskey{Name: f.Name, Note: f.Note, Key: f.Key}
	if days != "" {
		if one.Expires, err = s.until(days); err != nil {
			return nil, err
		}
	}
	wanted := make([]client.NewPasskey, n)
	for i := range wanted {
		wanted[i] = one
	}
	return wanted, nil
}

// refusePasskey shows the list and the form again with what is wrong, but no secret.
func (s *Site) refusePasskey(w http.ResponseWriter, r *http.Request, asked passkeyForm, err error) {
	status, text := reason(err)
	if !formHelps(status) {
		s.fail(w, r, err)
		return
	}
	list := r.Clone(r.Context())
	list.URL = &url.URL{Path: "/passkeys"}
	p, err := s.passkeysPage(list)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	asked.Key = ""
	p.Problem, p.Asked = text, asked
	s.passkeysShown.write(w, r, status, s.passkeysShown.frame(list, view{"Passkeys", p}))
}

// passkeyPage is what the page of one passkey shows.
type passkeyPage struct {
	client.Passkey
	Terms []choice
}

func passkeyPath(id string) string { return "/passkeys/" + url.PathEscape(id) }

func (s *Site) passkey(r *http.Request) (view, error) {
	p, err := s.api.Passkey(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	return view{"Passkey of " + calledPasskey(&p), &passkeyPage{p, choose("", append([]choice{{Value: "", Label: "stays as it is"}, {Value: "never", Label: "never"}}, terms...)...)}}, nil
}

// calledPasskey is what pages call a passkey, which need not have a name.
func calledPasskey(p *client.Passkey) string {
	if strings.TrimSpace(p.Name) == "" {
		return p.ID
	}
	return clip(p.Name, 80)
}

func (s *Site) editPasskey(r *http.Request) (text, next string, err error) {
	id := r.PathValue("id")
	name, note := strings.TrimSpace(r.PostFormValue("name")), strings.TrimSpace(r.PostFormValue("note"))
	edit := client.PasskeyEdit{Name: &name, Note: &note, Expires: r.PostFormValue("days")}
	if edit.Expires != "" && edit.Expires != "never" {
		at, err := s.until(edit.Expires)
		if err != nil {
			return "", passkeyPath(id), err
		}
		edit.Expires = at.Format(time.RFC3339)
	}
	_, err = s.api.EditPasskey(r.Context(), id, edit)
	return "The passkey is changed", passkeyPath(id), err
}

// passkeyActions are what the page of a passkey does, with what is asked before.
var passkeyActions = map[client.PasskeyAction]struct{ title, text, verb, done string }{
	client.RevokePasskey: {
		"Revoke the passkey of ", "It is refused from the next announce on. Its peers get no others any more; they are told to others until they stop, or fall silent.",
		"Revoke it", "The passkey is revoked",
	},
	client.RestorePasskey: {"Restore the passkey of ", "It is good again from the next announce on.", "Restore it", "The passkey is good again"},
	client.RenewPasskey: {
		"Renew the passkey of ", "Another one takes its place, and the present one is not known any more: all torrents that have it need the new announce URL. What was counted stays.",
		"Renew it", "The passkey is another one",
	},
	client.ResetPasskey: {"Reset the counters of ", "What was counted until now is forgotten.", "Reset them", "The counters are reset"},
}

// passkeyActionPage asks before something is done to a passkey.
func (s *Site) passkeyActionPage(action client.PasskeyAction) func(*http.Request) (view, error) {
	words := passkeyActions[action]
	return func(r *http.Request) (view, error) {
		return s.passkeyEnding(r, func(p *client.Passkey) ending {
			return ending{words.title + calledPasskey(p) + "?", words.text, words.verb, passkeyPath(p.ID) + "/" + string(action), "Leave it as it is", passkeyPath(p.ID)}
		})
	}
}

func (s *Site) deletePasskeyPage(r *http.Request) (view, error) {
	return s.passkeyEnding(r, func(p *client.Passkey) ending {
		return ending{
			"Delete the passkey of " + calledPasskey(p) + "?", "It is not known any more, and what was counted for it is forgotten. To refuse it and keep that, revoke it.",
			"Delete it", passkeyPath(p.ID) + "/delete", "Keep it", passkeyPath(p.ID),
		}
	})
}

func (s *Site) passkeyEnding(r *http.Request, of func(*client.Passkey) ending) (view, error) {
	if role(r) < account.Operator {
		return view{}, &refusal{http.StatusForbidden, "Passkeys are changed by operators."}
	}
	p, err := s.api.Passkey(r.Context(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	e := of(&p)
	return view{e.Title, e}, nil
}

func (s *Site) actOnPasskey(action client.PasskeyAction) change {
	return func(r *http.Request) (text, next string, err error) {
		id := r.PathValue("id")
		_, err = s.api.ActOnPasskey(r.Context(), id, action)
		return passkeyActions[action].done, passkeyPath(id), err
	}
}

func (s *Site) deletePasskey(r *http.Request) (text, next string, err error) {
	return "The passkey is deleted", "/passkeys", s.api.DeletePasskey(r.Context(), r.PathValue("id"))
}
