package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waggle/account"
	"waggle/console/client"
)

//go:embed templates
var sources embed.FS

// page is one page of the site.
type page struct {
	pattern string // of its path
	name    string // of its template's file, without .html
	section string // the path in the navigation under which it is
	load    func(r *http.Request) (view, error)
	blocks  []string // templates that change while they are looked at; each is in an element of that id
	scripts []string // besides those that all pages have
	styles  []string
	alone   bool // without navigation

	site     *Site
	template *template.Template
}

// view is what a page shows.
type view struct {
	title string
	data  any
}

// frame is what all templates get.
type frame struct {
	Title    string
	Nav      []entry // empty: this page has none
	Who      account.Identity
	CSRF     string
	Messages []message
	Live     string // URL of its changes; "": it has none
	Here     string // its own path and query
	Styles   []string
	Scripts  []string
	Version  string
	Page     any // the page's own
}

// entry is one of the navigation.
type entry struct {
	Path, Name string
	Current    string // of aria-current; "": it is another
}

// May reports whether the visitor has a role, or one above it.
func (f *frame) May(role string) (bool, error) {
	wanted, err := account.ParseRole(role)
	return err == nil && f.Who.Role >= wanted, err
}

// sections are the navigation.
var sections = []struct {
	path, name string
	role       account.Role // from which on it is shown
}{
	{"/", "Overview", account.Viewer},
	{"/torrents", "Torrents", account.Viewer},
	{"/peers", "Peers", account.Viewer},
	{"/history", "History", account.Viewer},
	{"/passkeys", "Passkeys", account.Viewer},
	{"/links", "Links", account.Viewer},
	{"/cluster", "Cluster", account.Viewer},
	{"/settings", "Settings", account.Admin},
	{"/about", "About", account.Viewer},
}

// blocksKey is that of a context in which only the blocks of a page are wanted.
type blocksKey struct{}

// blocks are rendered parts of a page, by id, or why there are none.
type blocks struct {
	html map[string][]byte
	took time.Duration // to render them
	err  error
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if into, ok := r.Context().Value(blocksKey{}).(*blocks); ok {
		into.html, into.err = p.renderBlocks(r)
		return
	}
	v, err := p.load(r)
	if err != nil {
		p.site.fail(w, r, err)
		return
	}
	f := p.frame(r, v)
	f.Messages = takeMessages(w, r)
	p.write(w, r, http.StatusOK, f)
}

func (p *page) frame(r *http.Request, v view) *frame {
	who := account.From(r.Context())
	f := &frame{
		Title: v.title, Page: v.data, Who: who, CSRF: who.CSRF,
		Here: r.URL.RequestURI(), Styles: p.styles, Scripts: append([]string{"live.js", "forms.js"}, p.scripts...), Version: p.site.options.Version,
	}
	if len(p.blocks) > 0 {
		f.Live = "/live?" + url.Values{"page": {f.Here}}.Encode()
	}
	if p.alone || who.Role < account.Viewer {
		return f
	}
	for _, s := range sections {
		if who.Role < s.role {
			continue
		}
		e := entry{Path: s.path, Name: s.name}
		switch {
		case s.path != p.section:
		case r.URL.Path == s.path:
			e.Current = "page"
		default:
			e.Current = "true"
		}
		f.Nav = append(f.Nav, e)
	}
	return f
}

// write renders a whole page. It is rendered before any of it is sent, so that a mistake
// shows as an error.
func (p *page) write(w http.ResponseWriter, r *http.Request, status int, f *frame) {
	var b bytes.Buffer
	if err := p.template.ExecuteTemplate(&b, "base", f); err != nil {
		p.site.options.Log.Error("a page of the console could not be rendered", "page", p.name, "error", err)
		http.Error(w, "This page could not be rendered; the tracker's log tells more.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // whoever asked is gone
	}
}

// renderBlocks renders what changes of a page.
func (p *page) renderBlocks(r *http.Request) (map[string][]byte, error) {
	if len(p.blocks) == 0 {
		return nil, &refusal{http.StatusNotFound, "This page does not change."}
	}
	v, err := p.load(r)
	if err != nil {
		return nil, err
	}
	f, all := p.frame(r, v), map[string][]byte{}
	for _, name := range p.blocks {
		var b bytes.Buffer
		if err := p.template.ExecuteTemplate(&b, name, f); err != nil {
			return nil, err
		}
		all[name] = b.Bytes()
	}
	return all, nil
}

// refusal is an error that tells a visitor what to do.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// failure is what the page of an error shows.
type failure struct {
	Status int
	Text   string
	LogIn  string // where to log in; "": that does not help
}

// reason returns the status and words of an error.
func reason(err error) (status int, text string) {
	if e, ok := errors.AsType[*refusal](err); ok {
		return e.status, e.text
	}
	if e, ok := errors.AsType[*client.Problem](err); ok {
		return e.Status, sentence(e.Error())
	}
	return http.StatusInternalServerError, "The tracker could not do this; its log tells more."
}

// sentence gives words of the API a capital letter and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// fail answers with the page of an error. Whoever must log in first is sent there.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if into, ok := r.Context().Value(blocksKey{}).(*blocks); ok {
		into.err = err
		return
	}
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // nobody waits any more
	}
	status, text := reason(err)
	if status == http.StatusInternalServerError {
		s.options.Log.Error("the console could not show a page", "path", r.URL.Path, "error", err)
	}
	logIn := "/login?" + url.Values{"next": {account.LocalPath(r.URL.RequestURI())}}.Encode()
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if status == http.StatusUnauthorized && reads {
		http.Redirect(w, r, logIn, http.StatusSeeOther)
		return
	}
	f := failure{Status: status, Text: text}
	if status == http.StatusUnauthorized {
		f.Text = "Without a log-in, this machine may only read."
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		f.LogIn = logIn
		if !reads {
			f.LogIn = "/login"
		}
	}
	s.failure.write(w, r, status, s.failure.frame(r, view{title: http.StatusText(status), data: f}))
}

// Refuse answers a request that does not get as far as a page, with a page.
func (s *Site) Refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	s.secure(w)
	s.fail(w, r, &refusal{status, sentence(why)})
}

// templates parses all templates: each file but those of parts is a page.
func (s *Site) templates() (map[string]*template.Template, error) {
	base, err := template.New("base").Option("missingkey=error").Funcs(s.functions()).
		ParseFS(sources, "templates/base.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, p := range append(s.pages(), &page{name: "error"}) {
		if all[p.name] != nil {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			_, err = t.ParseFS(sources, "templates/"+p.name+".html")
		}
		if err != nil {
			return nil, err
		}
		all[p.name] = t
	}
	return all, nil
}

func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":   s.assets.url,
		"bytes":   bytesText,
		"number":  number,
		"rate":    rateText,
		"percent": percentText,
		"short":   shortText,
		"traffic": func(perSecond float64) string { return bytesText(int64(perSecond)) },
		"rights":  rightsText,
		"ratio":   ratioText,
		"plural":  plural,
		"clip":    func(n int, text string) string { return clip(text, n) },
		"moment":  func(t time.Time) moment { return momentAt(t, s.options.Now()) },
		"seconds": func(n float64) string { return spanText(seconds(n)) },
		"shows":   func(text string) bool { return strings.TrimSpace(text) != "" },
		"segment": url.PathEscape,
		"list":    func(items ...any) []any { return items },
		"whole":   func(share float64) bool { return share >= 1 },
		"milli":   func(share float64) string { return fmt.Sprintf("%.3f", share) },
	}
}
