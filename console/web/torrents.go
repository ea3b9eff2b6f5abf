package web

import (
	"net/http"
	"net/url"
	"unicode/utf8"

	"waggle/account"
	"waggle/console/client"
)

// pageSize is how many rows a list has.
const pageSize = 50

// maxQuery bounds what is searched for, in characters.
const maxQuery = 200

// profiles of locality, as the API takes them.
var profiles = []string{"strict", "balanced", "parity"}

// torrentsPage is what the list of torrents shows.
type torrentsPage struct {
	client.SwarmPage
	Query     client.SwarmQuery
	Filtered  bool
	Columns   []column
	States    []choice
	Profiles  []string // empty: locality is off
	MaxFiles  int
	MaxUpload int64 // bytes
	Paging    paging
}

// column is a column of the list.
type column struct {
	Label, URL string // without a URL, it cannot be sorted by
	Number     bool
	Sorted     string // of aria-sort; "": it is not
}

// choice is one of a select.
type choice struct {
	Value, Label string
	Selected     bool
}

// paging leads through the pages of a list.
type paging struct {
	Label       string // of the list
	First, Next string // URLs; "": this is it
}

func (s *Site) torrents(r *http.Request) (view, error) {
	values := r.URL.Query()
	q := client.SwarmQuery{
		Query: values.Get("query"), Sort: values.Get("sort"), Order: values.Get("order"), State: values.Get("state"),
		Cursor: values.Get("cursor"), Limit: pageSize,
	}
	if utf8.RuneCountInString(q.Query) > maxQuery {
		return view{}, &refusal{http.StatusUnprocessableEntity, "Search for something shorter: 200 characters at most."}
	}
	found, err := s.api.Swarms(r.Context(), q)
	if err != nil {
		return view{}, err
	}
	p := torrentsPage{
		SwarmPage: found, Query: q, Filtered: q.Query != "" || q.State != "" && q.State != "all",
		MaxFiles: maxFiles, MaxUpload: s.options.MaxUpload, Paging: pages(r.URL, "cursor", found.Next, "Pages of torrents"),
	}
	for _, c := range columns {
		p.Columns = append(p.Columns, c.of(&q))
	}
	for _, state := range []choice{{"all", "all", false}, {"active", "active", false}, {"inactive", "inactive", false}, {"unlisted", "not listed", false}} {
		state.Selected = q.State == state.Value
		p.States = append(p.States, state)
	}
	if account.From(r.Context()).Role >= account.Operator && !onlyBlocks(r) {
		if p.Profiles, err = s.profiles(r); err != nil {
			return view{}, err
		}
	}
	return view{"Torrents", &p}, nil
}

// profiles returns those that a torrent can be given; none while locality is off.
func (s *Site) profiles(r *http.Request) ([]string, error) {
	locality, err := s.api.Locality(r.Context())
	if err != nil || !locality.On {
		return nil, err
	}
	return profiles, nil
}

// sortable is a column as it is by itself.
type sortable struct {
	key, label string
	number     bool
	first      string // order of the first click
}

var columns = []sortable{
	{"name", "Name", false, "asc"},
	{"", "State", false, ""}, // the API does not sort by it
	{"peers", "Peers", true, "desc"},
	{"seeders", "Seeders", true, "desc"},
	{"leechers", "Leechers", true, "desc"},
	{"completed", "Completed", true, "desc"},
	{"size", "Size", true, "desc"},
	{"registered", "Registered", false, "desc"},
}

// of returns the column in a list that is as q says. Its URL turns the order around
// where the list is sorted by it.
func (c *sortable) of(q *client.SwarmQuery) column {
	out, order := column{Label: c.label, Number: c.number}, c.first
	if c.key == "" {
		return out
	}
	if q.Sort == c.key || q.Sort == "" && c.key == "name" {
		out.Sorted, order = "ascending", "desc"
		if q.Order == "desc" {
			out.Sorted, order = "descending", "asc"
		}
	}
	values := url.Values{"sort": {c.key}, "order": {order}}
	if q.Query != "" {
		values.Set("query", q.Query)
	}
	if q.State != "" {
		values.Set("state", q.State)
	}
	out.URL = "/torrents?" + values.Encode()
	return out
}

// pages leads from the page at u to its next and to the first, by a parameter that has
// the cursor.
func pages(u *url.URL, parameter, next, label string) paging {
	p := paging{Label: label}
	values := u.Query()
	if values.Get(parameter) != "" {
		values.Del(parameter)
		p.First = withQuery(u.Path, values)
	}
	if next != "" {
		values.Set(parameter, next)
		p.Next = withQuery(u.Path, values)
	}
	return p
}

func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
