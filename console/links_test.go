package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/account"
	"waggle/console"
	"waggle/console/client"
)

// links is a tracker with a hub and a leaf, which remembers what it was asked to do.
type links struct {
	mu    sync.Mutex
	asked []string
	fail  error
}

const (
	invitationLine = "waggle-link-1.dGhpcyBpcyBhIHNlY3JldA"
	someHash       = "0123456789abcdef0123456789abcdef01234567"
)

func (l *links) do(format string, a ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf(format, a...))
	return l.fail
}

func (l *links) Show() client.Links {
	return client.Links{
		Name: "ams", Listening: []string{"0.0.0.0:6971"}, Hub: "world", Own: 3, Relayed: 4, Torrents: 2,
		Links: []client.Link{
			{Name: "world", Role: client.RoleHub, State: client.LinkSplit, Why: "nobody answers there", Since: time.Unix(1_700_000_000, 0), Rights: client.Rights{Receive: true}},
			{
				Name: "fra", Role: client.RoleLeaf, State: client.LinkActive, Address: "192.0.2.1:40000", Peers: 4, ChangesIn: 1.5, Lag: 0.01,
				LastHeal: &client.Heal{At: time.Unix(1_700_000_000, 0).UTC(), Took: 0.2, Entries: 5}, AnnounceURLs: []string{"udp://fra.example:6969/announce"},
				Rights: client.Rights{Receive: true, Send: true, Share: client.ShareBoth, Torrents: []string{someHash}, Peers: 10, ChangesPerSecond: 100},
				Totals: client.LinkTotals{ChangesIn: 12, Heals: 1},
			},
		},
	}
}

func (l *links) Invite(_ context.Context, n client.NewInvitation) (client.Invitation, error) {
	return client.Invitation{Name: n.Name, Line: invitationLine}, l.do("invite %+v", n)
}

func (l *links) Join(_ context.Context, line string) (client.Link, error) {
	return client.Link{Name: "world", Role: client.RoleHub, State: client.LinkConnecting, Rights: client.Rights{Receive: true}}, l.do("join %s", line)
}

func (l *links) Leave(context.Context) error { return l.do("leave") }

func (l *links) Drop(_ context.Context, name string) error { return l.do("drop %s", name) }

func (l *links) Reset(_ context.Context, name string) error { return l.do("reset %s", name) }

func (l *links) SetRights(_ context.Context, name string, r client.Rights) error {
	return l.do("rights %s %+v", name, r)
}

func (l *links) AnnounceLists(context.Context) ([][]string, error) {
	return [][]string{{"udp://ams.example:6969/announce", "udp://fra.example:6969/announce"}}, l.do("lists")
}

// changed is a change of links, and what it needs and does.
type changed struct {
	method, path, body string
	role               account.Role
	status             int
	asks               string // of the links
	what, target       string // in the audit log
}

var changes = []changed{
	{
		http.MethodPost, "/links/invitations", `{"name":"rom","rights":{"receive":true,"send":true,"share":"both","peers":7},"addresses":["a.example:1"]}`, account.Admin, 201,
		"invite {Name:rom Rights:{Receive:true Send:true Torrents:[] Share:both Peers:7 ChangesPerSecond:0} Addresses:[a.example:1]}", "invite-link", "rom: receive and send, share both, peers: 7",
	},
	{http.MethodPost, "/links/join", `{"line":" ` + invitationLine + ` "}`, account.Admin, 201, "join " + invitationLine, "join-link", "world"},
	{
		http.MethodPut, "/links/fra/rights", `{"receive":true,"send":false,"torrents":["` + someHash + `"]}`, account.Admin, 204,
		"rights fra {Receive:true Send:false Torrents:[" + someHash + "] Share: Peers:0 ChangesPerSecond:0}", "set-link-rights", "fra: receive only, torrents: 1",
	},
	{http.MethodPost, "/links/fra/reset", "", account.Operator, 204, "reset fra", "reset-link", "fra"},
	{http.MethodDelete, "/links/fra", "", account.Operator, 204, "drop fra", "drop-link", "fra"},
	{http.MethodDelete, "/links/hub", "", account.Operator, 204, "leave", "leave-link", "world"},
}

func (c *changed) request(token string) request {
	q := request{method: c.method, path: "/api/v1" + c.path, body: []byte(c.body), header: map[string]string{}}
	if token != "" {
		q.header["Authorization"] = "Bearer " + token
	}
	if c.body != "" {
		q.header["Content-Type"] = "application/json"
	}
	return q
}

// linked is a world with links, and a token of each role.
func linked(t *testing.T, l console.Links) (w *world, accounts *account.Accounts, tokens map[account.Role]string) {
	t.Helper()
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	tokens = map[account.Role]string{}
	for _, role := range []account.Role{account.Admin, account.Operator, account.Viewer} {
		if _, tokens[role], err = accounts.Create(t.Context(), account.New{Name: role.String(), Role: role}); err != nil {
			t.Fatal(err)
		}
	}
	return newWorld(t, func(o *console.Options) { o.Links, o.Accounts = l, accounts }), accounts, tokens
}

func TestLinksAreShownAsTheyAre(t *testing.T) {
	w, _, _ := linked(t, new(links))
	got := decode[client.Links](t, w.do(t, get("/api/v1/links")))
	want := new(links).Show()
	if got.Name != "ams" || got.Hub != "world" || len(got.Links) != 2 || got.Links[0].Why != want.Links[0].Why || got.Links[0].AnnounceURLs == nil || got.Invited == nil {
		t.Errorf("got %+v", got)
	}
	gotText, _ := json.Marshal(got.Links[1])
	wantText, _ := json.Marshal(want.Links[1])
	if string(gotText) != string(wantText) {
		t.Errorf("got %s, want %s", gotText, wantText)
	}
	list := decode[client.AnnounceList](t, w.do(t, get("/api/v1/links/announce-list")))
	if len(list.Tiers) != 1 || len(list.Tiers[0]) != 2 {
		t.Errorf("lists %q", list)
	}
}

func TestLinksAreChangedByThoseWhoMay(t *testing.T) {
	for _, c := range changes {
		l := new(links)
		w, _, tokens := linked(t, l)
		for role, token := range tokens {
			if role >= c.role {
				continue
			}
			if got := w.do(t, c.request(token)); got.status != http.StatusForbidden {
				t.Errorf("%s %s by a %v: status %d", c.method, c.path, role, got.status)
			}
		}
		if got := w.do(t, c.request("")); got.status != http.StatusUnauthorized {
			t.Errorf("%s %s by nobody: status %d", c.method, c.path, got.status)
		}
		if len(l.asked) != 0 {
			t.Errorf("what is refused was done: %q", l.asked)
		}
		got := w.do(t, c.request(tokens[c.role]))
		if got.status != c.status || !slices.Equal(l.asked, []string{c.asks}) {
			t.Errorf("%s %s by a %v: status %d, %s, asked %q", c.method, c.path, c.role, got.status, got.body, l.asked)
		}
	}
}

func TestChangesOfLinksAreInTheAuditLogAndLinesAreNot(t *testing.T) {
	l := new(links)
	var log logged
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *console.Options) { o.Links, o.Accounts, o.Token, o.Log = l, accounts, token, log.logger() })
	for _, failing := range []error{nil, fmt.Errorf("so it is (%w)", console.ErrLinkConflict), errors.New("the disk is full")} {
		l.fail = failing
		for i := range changes {
			c := &changes[i]
			got := w.do(t, c.request(token))
			entries, _, err := accounts.Audit(t.Context(), 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			e := entries[0]
			if e.What != c.what || failing == nil && (e.Target != c.target || e.Outcome != account.Done) || failing != nil && e.Outcome == account.Done {
				t.Errorf("%s %s answers %d and is written down as %+v", c.method, c.path, got.status, e)
			}
			if strings.Contains(fmt.Sprintf("%+v", e), "waggle-link") {
				t.Errorf("the audit log has %+v", e)
			}
		}
	}
	w.do(t, request{method: http.MethodPost, path: "/api/v1/links/join", body: []byte(`{"line":"` + invitationLine + `","more":1}`), header: map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + token}})
	entries, _, err := accounts.Audit(t.Context(), 0, 100)
	if err != nil || strings.Contains(fmt.Sprintf("%+v", entries), "waggle-link") || strings.Contains(log.String(), "waggle-link") {
		t.Errorf("%+v, %v; the log: %s", entries, err, log.String())
	}
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log lacks what went wrong: %s", log.String())
	}
}

func TestErrorsOfLinksSayWhatToDo(t *testing.T) {
	l := new(links)
	w := newWorld(t, func(o *console.Options) { o.Links = l })
	for err, want := range map[error]int{
		console.ErrLinkUnknown: 404, console.ErrLinkInvalid: 422, console.ErrLinkConflict: 409, errors.New("secret words"): 500,
	} {
		l.fail = fmt.Errorf("tim: %w", err)
		for i := range changes {
			got := w.do(t, changes[i].request(""))
			p := got.problem(t)
			if got.status != want || (want == 500) == strings.Contains(p.Detail, "tim: ") {
				t.Errorf("%v: status %d, %q", err, got.status, p.Detail)
			}
		}
	}
}

func TestRightsAndNamesThatMeanNothingAreRefusedBeforeTheyAreTried(t *testing.T) {
	l := new(links)
	w := newWorld(t, func(o *console.Options) { o.Links = l })
	for body, want := range map[string]string{
		`{"name":"hub","rights":{"receive":true,"send":true}}`:                                                   "hub",
		`{"name":"","rights":{"receive":true,"send":true}}`:                                                      "name",
		`{"name":"rom","rights":{"receive":false,"send":false}}`:                                                 "neither",
		`{"name":"rom","rights":{"receive":true,"send":true,"torrents":["xyz"]}}`:                                "body.rights.torrents[0]",
		`{"name":"rom","rights":{"receive":true,"send":true,"share":"everything"}}`:                              "share",
		`{"name":"rom","rights":{"receive":true,"send":true,"peers":-1}}`:                                        "peers",
		`{"name":"rom","rights":{"send":true}}`:                                                                  "receive",
		`{"name":"rom","rights":{"receive":true,"send":true},"addresses":[` + list(17, `"a:1"`) + `]}`:           "addresses",
		`{"name":"rom","rights":{"receive":true,"send":true,"torrents":[` + list(2049, `"`+someHash+`"`) + `]}}`: "torrents",
	} {
		c := changed{method: http.MethodPost, path: "/links/invitations", body: body}
		if got := w.do(t, c.request("")); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.problem(t).Error(), want) {
			t.Errorf("%.100s: status %d, %.300s", body, got.status, got.body)
		}
	}
	c := changed{method: http.MethodPut, path: "/links/fra/rights", body: `{"receive":true,"send":true,"torrents":["` + strings.ToUpper(someHash) + `","AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"]}`}
	if got := w.do(t, c.request("")); got.status != http.StatusNoContent || len(l.asked) != 1 || strings.Count(l.asked[0], someHash) != 2 {
		t.Errorf("hashes in other ways of writing: status %d, asked %q", got.status, l.asked)
	}
	l.asked = nil
	for path, body := range map[string]string{"/links/join": `{"line":""}`, "/links/fra/rights": `{"receive":false,"send":false}`} {
		c := changed{method: http.MethodPost, path: path, body: body}
		if strings.HasSuffix(path, "rights") {
			c.method = http.MethodPut
		}
		if got := w.do(t, c.request("")); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s %s: status %d", path, body, got.status)
		}
	}
	if len(l.asked) != 0 {
		t.Errorf("tried: %q", l.asked)
	}
	c = changed{method: http.MethodPost, path: "/links/invitations", body: `{"name":"` + strings.Repeat("x", 200_000) + `"}`}
	if got := w.do(t, c.request("")); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: status %d", got.status)
	}
}

func list(n int, item string) string { return strings.Repeat(item+",", n-1) + item }

func TestStoreThatHasNoLinksSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	ask := []request{get("/api/v1/links"), get("/api/v1/links/announce-list")}
	for i := range changes {
		ask = append(ask, changes[i].request(""))
	}
	for _, q := range ask {
		if got := w.do(t, q); got.status != http.StatusNotFound || !strings.HasPrefix(got.problem(t).Detail, "links need the memory or SQLite store") {
			t.Errorf("%s %s: status %d, %s", q.method, q.path, got.status, got.body)
		}
	}
}

func TestClientOfTheAPIReachesLinks(t *testing.T) {
	l := new(links)
	c := newWorld(t, func(o *console.Options) { o.Links = l }).client(t, "")
	both := client.Rights{Receive: true, Send: true}
	shown, err := c.Links(t.Context())
	invited, err2 := c.Invite(t.Context(), client.NewInvitation{Name: "rom", Rights: both})
	joined, err3 := c.Join(t.Context(), invitationLine)
	tiers, err4 := c.AnnounceLists(t.Context())
	err = errors.Join(err, err2, err3, err4, c.SetRights(t.Context(), "fra", both), c.Reset(t.Context(), "fra"), c.Drop(t.Context(), "fra"), c.Leave(t.Context()))
	if err != nil || shown.Name != "ams" || invited.Line != invitationLine || joined.Name != "world" || len(tiers) != 1 || len(l.asked) != 7 {
		t.Errorf("%+v, %+v, %+v, %q, asked %q: %v", shown, invited, joined, tiers, l.asked, err)
	}
	if err := c.Drop(t.Context(), "a/b"); err != nil || l.asked[7] != "drop a/b" {
		t.Errorf("asked %q, %v", l.asked, err)
	}
}

// logged is a log as text.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
