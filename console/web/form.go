package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"waggle/account"
)

const (
	// maxForm bounds a form without files, in bytes: the largest names all torrents that a
	// link is limited to.
	maxForm = 128 << 10

	messageCookie  = "waggle_message"
	maxMessages    = 10   // in a cookie
	maxMessageText = 240  // characters of one
	messageBytes   = 2800 // of JSON of all but the last: browsers keep cookies of 4,096 bytes
	messageSeconds = 60   // that a message waits for the page that shows it
)

// message is what came of a change, shown by the next page.
type message struct {
	Kind string `json:"k"` // done, warning or failed
	Text string `json:"t"`
}

func done(text string) message    { return message{"done", text} }
func warning(text string) message { return message{"warning", text} }
func failed(text string) message  { return message{"failed", text} }

// leaveMessages keeps messages for the next page. What is too much for a cookie is cut.
func leaveMessages(w http.ResponseWriter, r *http.Request, all []message) {
	b, err := json.Marshal(fitting(all))
	if err != nil || len(all) == 0 {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: messageCookie, Value: base64.RawURLEncoding.EncodeToString(b), Path: "/", MaxAge: messageSeconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: account.Secure(r),
	})
}

// fitting returns as many messages as a cookie has room for, and how many it has not.
func fitting(all []message) (kept []message) {
	room := messageBytes
	for i, m := range all {
		m.Text = clip(m.Text, maxMessageText)
		b, err := json.Marshal(m)
		if err != nil || len(b) > room || i == maxMessages {
			return append(kept, warning("and "+plural(len(all)-i, "more message")+"; see the list"))
		}
		room -= len(b) + 1
		kept = append(kept, m)
	}
	return kept
}

// takeMessages returns the messages that were left for a page, once.
func takeMessages(w http.ResponseWriter, r *http.Request) []message {
	cookie, err := r.Cookie(messageCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: messageCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: account.Secure(r)})
	return parseMessages(cookie.Value)
}

// parseMessages reads a cookie, which anybody may have written.
func parseMessages(value string) []message {
	b, err := base64.RawURLEncoding.DecodeString(value)
	var all []message
	if err != nil || json.Unmarshal(b, &all) != nil {
		return nil
	}
	all = all[:min(len(all), maxMessages+1)]
	for i := range all {
		if all[i].Kind != "done" && all[i].Kind != "failed" {
			all[i].Kind = "warning"
		}
		all[i].Text = clip(all[i].Text, maxMessageText)
	}
	return all
}

// change is a form without files: it returns what it did, and where to go on if the form
// does not say that (back).
type change func(r *http.Request) (text, next string, err error)

// parseForm reads a form without files. If it cannot, it answers so.
func (s *Site) parseForm(w http.ResponseWriter, r *http.Request) (ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, &refusal{http.StatusBadRequest, "This form could not be read: go back, reload the page and try again."})
		return false
	}
	return true
}

// change handles the form of a change.
func (s *Site) change(do change) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.parseForm(w, r) {
			return
		}
		text, next, err := do(r)
		if err == nil {
			s.onward(w, r, next, done(text))
			return
		}
		status, words := reason(err)
		if status == http.StatusUnauthorized || status == http.StatusForbidden || status >= http.StatusInternalServerError || next == "" {
			s.fail(w, r, err)
			return
		}
		s.onward(w, r, next, failed(words))
	}
}

// onward sends a browser to the page that a form came from, or else to next, which shows
// messages.
func (s *Site) onward(w http.ResponseWriter, r *http.Request, next string, all ...message) {
	if back := r.PostFormValue("back"); back != "" {
		next = back
	}
	leaveMessages(w, r, all)
	http.Redirect(w, r, account.LocalPath(next), http.StatusSeeOther)
}
