package web

import (
	"errors"
	"net/http"
	"strconv"

	"waggle/account"
)

// logInPage is what the log-in shows.
type logInPage struct {
	Next    string // where to go on
	Name    string // that was tried
	Problem string
}

func (s *Site) logInPage(r *http.Request) (view, error) {
	return view{"Log in", &logInPage{Next: account.LocalPath(r.URL.Query().Get("next"))}}, nil
}

func (s *Site) logIn(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	p := &logInPage{Next: account.LocalPath(r.PostFormValue("next")), Name: clip(r.PostFormValue("name"), 64)}
	if s.options.Accounts == nil || s.options.Accounts.Len() == 0 {
		p.Problem = "There are no accounts yet. On the machine that waggle runs on, the settings make the first one, or waggle token create does."
		s.showLogIn(w, r, http.StatusForbidden, p)
		return
	}
	_, err := s.options.Accounts.LogIn(w, r, r.PostFormValue("name"), r.PostFormValue("password"))
	if err == nil {
		http.Redirect(w, r, p.Next, http.StatusSeeOther)
		return
	}
	status := http.StatusUnauthorized
	p.Problem = sentence(err.Error())
	limited, ok := errors.AsType[*account.LimitedError](err)
	switch {
	case ok:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(limited.Seconds()))
	case errors.Is(err, account.ErrBusy):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "1")
	case !errors.Is(err, account.ErrWrong) && !errors.Is(err, account.ErrExpired):
		s.options.Log.Error("a log-in could not be checked", "error", err)
		s.fail(w, r, &refusal{http.StatusServiceUnavailable, "The accounts cannot be read now; the tracker's log tells more. Try again in some seconds."})
		return
	}
	s.showLogIn(w, r, status, p)
}

func (s *Site) showLogIn(w http.ResponseWriter, r *http.Request, status int, p *logInPage) {
	s.logInShown.write(w, r, status, s.logInShown.frame(r, view{"Log in", p}))
}

func (s *Site) logOut(w http.ResponseWriter, r *http.Request) {
	if s.options.Accounts != nil {
		s.options.Accounts.LogOut(w, r)
	}
	leaveMessages(w, r, []message{done("You are logged out")})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
