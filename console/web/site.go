package web

import (
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"waggle/account"
	"waggle/console/client"
	"waggle/torrent"
)

// Options are what pages are made from.
type Options struct {
	// API answers what pages ask, in the name of whoever account.From says.
	API http.Handler

	// Accounts logs people in and out. nil: there are none.
	Accounts *account.Accounts

	Version   string           // of waggle
	MaxUpload int64            // bytes of a .torrent; 0: [torrent.MaxFileSize]
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: none
}

// Site answers browsers. It may be used concurrently. Who a request is from, and that it
// is from no other site, was found before it gets here.
type Site struct {
	options Options
	api     *client.Client
	assets  *assets
	mux     *http.ServeMux
	uploads chan struct{} // places for them
	live    streams
	commits pace // of the cluster

	// Pages that are shown in answer to a form, too, and that of errors.
	failure, accountsShown, passkeysShown, linksShown, logInShown *page
}

// policy is what a page may use: files of this server, and nothing that is written into
// the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns the site. An error is a mistake in its templates or assets.
func New(o Options) (*Site, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxUpload <= 0 {
		o.MaxUpload = torrent.MaxFileSize
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	files, err := ownAssets()
	if err != nil {
		return nil, fmt.Errorf("assets of the console: %w", err)
	}
	s := &Site{options: o, api: client.Within(o.API), assets: files, mux: http.NewServeMux(), uploads: make(chan struct{}, uploadsAtOnce)}
	templates, err := s.templates()
	if err != nil {
		return nil, fmt.Errorf("templates of the console: %w", err)
	}
	s.route(templates)
	return s, nil
}

func (s *Site) route(templates map[string]*template.Template) {
	s.mux.Handle("GET /static/", s.assets)
	s.mux.HandleFunc("GET /favicon.ico", s.assets.icon)
	s.mux.HandleFunc("GET /live", s.stream)
	for _, p := range s.pages() {
		p.site, p.template = s, templates[p.name]
		s.mux.Handle("GET "+p.pattern, p)
		switch p.name {
		case "accounts":
			s.accountsShown = p
		case "account":
			s.mux.HandleFunc("POST "+p.pattern, s.editAccount(p))
		case "passkeys":
			s.passkeysShown = p
		case "links":
			s.linksShown = p
		case "rights":
			s.mux.HandleFunc("POST "+p.pattern, s.setLinkRights(p))
		case "login":
			s.logInShown = p
		}
	}
	s.mux.HandleFunc("POST /torrents", s.upload)
	s.mux.HandleFunc("POST /login", s.logIn)
	s.mux.HandleFunc("POST /logout", s.logOut)
	s.mux.HandleFunc("POST /settings/accounts", s.createAccount)
	s.mux.HandleFunc("POST /passkeys", s.createPasskey)
	s.mux.HandleFunc("POST /passkeys/search", s.searchPasskeys)
	s.mux.HandleFunc("POST /links", s.inviteLink)
	for pattern, change := range s.changes() {
		s.mux.HandleFunc("POST "+pattern, s.change(change))
	}
	s.mux.HandleFunc("/", s.nothing)
	s.failure = &page{site: s, template: templates["error"], name: "error"}
}

func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.secure(w)
	s.mux.ServeHTTP(w, r)
}

// secure sets the headers that all answers have.
func (*Site) secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // assets say otherwise
}

// nothing answers requests for pages that there are not.
func (s *Site) nothing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.fail(w, r, &refusal{http.StatusMethodNotAllowed, "This cannot be done here: use the form of the page."})
		return
	}
	s.fail(w, r, &refusal{http.StatusNotFound, "There is no page " + clip(r.URL.Path, 200) + "."})
}
