package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"waggle/account"
	"waggle/console/client"
)

// editAccountPath has the name as a parameter, as deleteAccountPath has.
const editAccountPath = "/settings/accounts/edit"

// accountPage is what the page of one account shows.
type accountPage struct {
	Tabs    []entry
	Account client.Account
	Own     bool   // it is that of whoever looks
	Action  string // URL of the form
	Roles   []choice
	Terms   []choice // how long it lasts
	Secrets []choice
	Token   string // made just now; "": none
	Problem string // why nothing was changed
}

// accountForm is what an account is to become.
type accountForm struct {
	role     string // was: it stays
	was      string // the role as the form had it, which another admin may have changed since
	expires  string // "": it stays; never, or in so many days
	secret   string // "": it stays; password or token
	password string
	again    string
}

func (s *Site) editAccountPage(r *http.Request) (view, error) {
	a, err := s.account(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		return view{}, err
	}
	return s.accountView(r, &a, &accountForm{role: a.Role}), nil
}

// account returns the account of a name.
func (s *Site) account(ctx context.Context, name string) (client.Account, error) {
	all, err := s.api.Accounts(ctx)
	if err != nil {
		return client.Account{}, err
	}
	i := slices.IndexFunc(all, func(a client.Account) bool { return a.Name == name })
	if i < 0 {
		return client.Account{}, &refusal{http.StatusNotFound, "There is no account " + clip(name, 80) + ": see the list of accounts."}
	}
	return all[i], nil
}

func (s *Site) accountView(r *http.Request, a *client.Account, f *accountForm) view {
	expires := "never"
	if !a.Expires.IsZero() {
		expires = momentAt(a.Expires, s.options.Now()).Ago
	}
	return view{"Account " + clip(a.Name, 80), &accountPage{
		Tabs: tabs("/settings/accounts"), Account: *a, Own: account.From(r.Context()).Name == a.Name,
		Action: editAccountPath + "?" + url.Values{"name": {a.Name}}.Encode(),
		Roles:  choose(f.role, roles...),
		Terms:  choose(f.expires, append([]choice{{Value: "", Label: "stays as it is: " + expires}, {Value: "never", Label: "never"}}, terms...)...),
		Secrets: choose(f.secret, choice{Value: "", Label: "stays as it is: a " + a.Secret},
			choice{Value: "password", Label: "becomes the password below"}, choice{Value: "token", Label: "becomes a token that waggle makes"}),
	}}
}

// editAccount changes an account, as its page asks. A new token is shown by the answer
// itself, once: nothing else may keep it.
func (s *Site) editAccount(shown *page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.parseForm(w, r) {
			return
		}
		name := r.FormValue("name")
		form := accountForm{
			role: r.PostFormValue("role"), was: r.PostFormValue("was"), expires: r.PostFormValue("expires"),
			secret: r.PostFormValue("secret"), password: r.PostFormValue("password"), again: r.PostFormValue("again"),
		}
		edit, err := s.editOf(&form)
		if err != nil {
			s.refuseEdit(w, r, shown, name, &form, err)
			return
		}
		changed, err := s.api.EditAccount(r.Context(), name, edit)
		if err != nil {
			s.refuseEdit(w, r, shown, name, &form, err)
			return
		}
		s.tellEdit(w, r, shown, &changed)
	}
}

// editOf returns the change that a form asks for. The error is a [refusal].
func (s *Site) editOf(f *accountForm) (client.AccountEdit, error) {
	e := client.AccountEdit{Expires: f.expires, NewToken: f.secret == "token"}
	if f.role != f.was {
		e.Role = f.role
	}
	switch {
	case f.password != f.again:
		return e, &refusal{http.StatusUnprocessableEntity, "The two passwords differ: type them again."}
	case f.secret == "password" && f.password == "":
		return e, &refusal{http.StatusUnprocessableEntity, "Give a password of 10 characters or more, or let the secret stay as it is."}
	case f.secret != "password" && f.password != "":
		return e, &refusal{http.StatusUnprocessableEntity, "Let the secret become the password below, or leave both fields of it empty."}
	}
	e.Password = f.password
	if f.expires != "" && f.expires != "never" {
		at, err := s.until(f.expires)
		if err != nil {
			return e, err
		}
		e.Expires = at.Format(time.RFC3339)
	}
	if e == (client.AccountEdit{}) {
		return e, &refusal{http.StatusUnprocessableEntity, "This would change nothing: choose another role, expiry or secret."}
	}
	return e, nil
}

// refuseEdit shows the form again with what is wrong. Of passwords it keeps nothing.
func (s *Site) refuseEdit(w http.ResponseWriter, r *http.Request, shown *page, name string, f *accountForm, err error) {
	status, text := reason(err)
	if !formHelps(status) {
		s.fail(w, r, err)
		return
	}
	a, err := s.account(r.Context(), name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := s.accountView(r, &a, f)
	v.data.(*accountPage).Problem = text
	shown.write(w, r, status, shown.frame(r, v))
}

// tellEdit answers the form of an account that was changed.
func (s *Site) tellEdit(w http.ResponseWriter, r *http.Request, shown *page, changed *client.AccountWithToken) {
	own := account.From(r.Context()).Name == changed.Name
	switch {
	case changed.Token != "":
		v := s.accountView(r, &changed.Account, &accountForm{})
		v.data.(*accountPage).Token = changed.Token
		if own { // the session has ended: this page is nobody's
			r = r.WithContext(account.With(r.Context(), account.Identity{}))
		}
		shown.write(w, r, http.StatusOK, shown.frame(r, v))
	case own:
		s.onward(w, r, "/login?next=/settings/accounts", done("Your account is changed, and your sessions have ended: log in again"))
	default:
		s.onward(w, r, "/settings/accounts", done("The account "+clip(changed.Name, 80)+" is changed, and its sessions have ended"))
	}
}
