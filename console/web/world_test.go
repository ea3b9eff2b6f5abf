package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/console/web"
)

// now is when all tests look at pages.
var now = time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)

// nasty is text as a stranger might choose it.
const nasty = `<script>alert("x")</script>"'><img src=x onerror=alert(1)>`

var (
	hash    = bittorrent.InfoHash{0xab, 1, 2, 3}
	strange = bittorrent.InfoHash{0xcd, 9} // a torrent that is not listed
)

// world is a site on an API that answers what a test says.
type world struct {
	site    *web.Site
	who     account.Identity
	answers sync.Map // by method and path: a value, or a client.Problem

	mu   sync.Mutex
	done []string // changes that were asked for: method, path, query, body
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, nil)
}

func newWorldWith(t testing.TB, a *account.Accounts) *world {
	t.Helper()
	w := &world{who: account.Identity{Name: account.NameLoopback, Role: account.Admin, Via: account.ViaLoopback}}
	w.fill()
	site, err := web.New(web.Options{API: w, Accounts: a, Version: "1.2.3", MaxUpload: 1 << 20, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w.site = site
	return w
}

// late is an answer that comes after a time, in a test that has a clock of its own.
type late struct {
	after  time.Duration
	answer any
}

func (w *world) answer(what string, v any) { w.answers.Store(what, v) }

func (w *world) refuse(what string, status int, detail string) {
	w.answer(what, client.Problem{Status: status, Title: http.StatusText(status), Detail: detail})
}

// ServeHTTP is the API.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	if r.Method != http.MethodGet {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.done = append(w.done, strings.TrimSpace(fmt.Sprintf("%s %s?%s %s", r.Method, path, r.URL.RawQuery, body)))
		w.mu.Unlock()
	}
	v, ok := w.answers.Load(r.Method + " " + path)
	if !ok {
		v = client.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "there is nothing at " + path}
	}
	if l, is := v.(late); is {
		time.Sleep(l.after)
		v = l.answer
	}
	if p, problem := v.(client.Problem); problem {
		rw.Header().Set("Content-Type", client.ProblemType)
		rw.WriteHeader(p.Status)
	}
	_ = json.NewEncoder(rw).Encode(v)
}

// changes returns what was asked to change.
func (w *world) changes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// fill has the API answer something for every page.
func (w *world) fill() {
	at := now.Add(-90 * time.Minute)
	torrent := client.Torrent{InfoHash: hash, Name: nasty, File: nasty + ".torrent", Size: 5 << 30, Version: "hybrid", Source: "upload", Active: true, Profile: "balanced"}
	transfer := client.Transfer{
		Torrent: torrent,
		Times:   client.Times{Registered: at, FirstStarted: at.Add(time.Minute), LastStarted: at.Add(time.Hour)},
		Live:    client.Live{Peers: 3, Seeders: 1, Leechers: 2, Downloaded: 1, Left: 3 << 30, Progress: 0.456},
	}
	peer := client.Peer{
		InfoHash: hash, Address: "10.1.2.1:6881", Kind: "leecher", Client: nasty, ID: nasty,
		Uploaded: 1 << 20, Downloaded: 3 << 20, Left: new(int64(7 << 20)), FirstSeen: at, LastSeen: now.Add(-5 * time.Second),
	}
	silent := client.Peer{InfoHash: hash, Address: "[2001:db8::1]:6881", Kind: "seeder"}
	peers := client.PeerPage{Peers: []client.Peer{peer, silent}, Next: "more"}
	w.answer("GET /overview", overview())
	w.answer("GET /timeline", timeline())
	w.answer("GET /version", client.Version{Name: "waggle", Version: "1.2.3"})
	w.answer("GET /swarms", client.SwarmPage{Total: 100_000, Next: "more", Swarms: []client.Swarm{
		{InfoHash: hash, Name: nasty, File: nasty, Size: 5 << 30, State: "active", Source: "upload", Profile: "strict", Registered: at, Peers: 12345, Seeders: 45, Leechers: 12300, Downloaded: 7},
		{InfoHash: bittorrent.InfoHash{0xbb}, Name: "other", File: "other.torrent", Size: 1, State: "inactive", Source: "directory", Registered: at},
		{InfoHash: strange, State: "unlisted", Peers: 1, Leechers: 1},
	}})
	w.answer("GET /transfers/"+hash.String(), transfer)
	w.answer("GET /transfers/"+hash.String()+"/peers", peers)
	w.answer("GET /transfers/"+strange.String()+"/peers", client.PeerPage{Peers: []client.Peer{silent}})
	w.answer("GET /transfers/"+hash.String()+"/places", client.PlacePage{Places: []client.Place{
		{InfoHash: hash, Path: nasty, Level: "rack", Height: 1, Leechers: 2, Seeders: 1, Importers: []string{"10.1.2.1:6881"}, Progress: new(0.5), Starving: true, Leases: 3, ImportedAtMost: 1 << 30},
		{InfoHash: hash, Path: "ams1/r2", Level: "rack", Height: 1, Leechers: 2, Waiting: true},
	}})
	w.answer("GET /transfers/"+strange.String()+"/places", client.PlacePage{})
	for _, address := range []string{"10.1.2.1:6881", "[2001:db8::1]:6881"} {
		w.answer("GET /transfers/"+hash.String()+"/peers/"+address+"/explanation", client.Explanation{
			InfoHash: hash, Address: address, Client: nasty, Location: nasty, Kind: "leecher", Reach: 1, Pace: "active", Health: "reachable", Depth: -1,
			Told: []client.Told{{Address: "10.1.2.1:6881", Location: "ams1/r2", Kind: "seeder", Why: "source"}}, Sentences: []string{nasty},
		})
	}
	w.answer("GET /locality", client.Locality{On: true, Profile: "strict"})
	w.answer("GET /peers", peers)
	w.answer("GET /history", client.PeriodPage{Periods: []client.Period{{Torrent: torrent, Times: client.Times{Registered: at, Deactivated: now}}}, Next: "more"})
	w.answer("GET /requests", client.RequestPage{Requests: []client.Request{{InfoHash: strange, First: at, Last: now, Count: 12345}}, Next: "more"})
	w.answer("GET /configuration", client.Configuration{File: nasty, Sections: map[string]string{"announce": "About announces."}, Settings: []client.Setting{
		{Key: "announce.interval", Section: "announce", Value: "30m", Default: "30m", Source: "default", Doc: "How often.\n\n  an example", Flag: "--announce-interval", Environment: "WAGGLE_ANNOUNCE_INTERVAL"},
		{Key: "store", Value: nasty, Default: "sqlite:", Source: nasty, Doc: nasty, Hidden: true},
	}})
	w.answer("GET /accounts", client.AccountPage{Accounts: []client.Account{{Name: nasty, Role: "viewer", Secret: "token", Created: at, Changed: at}, {Name: "..", Role: "admin", Secret: "password", Created: at, Changed: at, Expires: now.Add(48 * time.Hour)}}})
	key := client.Passkey{
		ID: "0123456789abcdef", Name: nasty, Note: nasty, State: "revoked", Key: "k", AnnounceURLs: []string{"udp://t.example:1/k/announce", nasty},
		Created: at, Expires: now.Add(time.Hour), Revoked: at, Uploaded: 1 << 40, Downloaded: 5, Torrents: 1234, Implausible: 3, Seen: at,
	}
	w.answer("GET /passkeys", client.PasskeyPage{Passkeys: []client.Passkey{key, {ID: "00000000000000ab", State: "active"}}, Total: 2, Next: "more"})
	w.answer("GET /passkeys/0123456789abcdef", key)
	w.answer("GET /passkeys/00000000000000ab", client.Passkey{ID: "00000000000000ab", State: "active"})
	w.answer("GET /links", linked())
	w.answer("GET /cluster", clustered())
	w.answer("GET /audit", client.AuditPage{Entries: []client.AuditEntry{{Number: 2, Time: at, Name: nasty, Via: "session", Address: "192.0.2.1", What: "upload-torrent", Target: nasty, Outcome: nasty}, {Number: 1, Time: at, What: "log-in", Outcome: "done"}}, Next: "more"})
}

// linked is a tracker with a hub and leaves, one in each state.
func linked() client.Links {
	at := now.Add(-90 * time.Minute)
	both := client.Rights{Receive: true, Send: true}
	return client.Links{
		Name: "ams", Listening: []string{"0.0.0.0:6971"}, Hub: "world", Own: 1234567, Relayed: 7654321, Torrents: 4321,
		Links: []client.Link{
			{Name: "world", Role: "hub", State: "active", Since: at, Address: "192.0.2.1:6971", Software: nasty, Peers: 7000000, ChangesIn: 1234.5, ChangesOut: 0.05, BytesIn: 5 << 20, BytesOut: 100, Lag: 0.0123, LastHeal: &client.Heal{At: at, Took: 0.4, Entries: 77}, Rights: both},
			{Name: "fra", Role: "leaf", State: "healing", Since: at, Address: "192.0.2.2:40000", Software: "waggle 1.2.3", Rights: client.Rights{Receive: true, Torrents: []string{hash.String()}, Share: "both", Peers: 1000, ChangesPerSecond: 1}, Waiting: 5, Capped: 9, LastHeal: &client.Heal{At: at, Entries: 3}},
			{Name: "lon", Role: "leaf", State: "split", Why: nasty, Since: at, Rights: both},
			{Name: "mad", Role: "leaf", State: "refused", Why: "its certificate has expired: look at its clock", Since: at, Rights: client.Rights{Send: true, Share: "receive"}},
			{Name: "osl", Role: "leaf", State: "connecting", Rights: client.Rights{Send: true, Receive: true, Share: "send"}},
		},
		Invited: []client.Invited{{Name: "rom", At: at, Rights: both}},
	}
}

// clustered is the master of a cluster, with a slave and a newcomer.
func clustered() client.Cluster {
	return client.Cluster{
		Role: client.ClusterMaster, ID: "6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000000", Address: "10.0.0.1:41702", Master: "10.0.0.1:41702",
		Group: "239.192.0.69:6968", PeersGroup: "239.192.0.69:6969", Serving: true, Peers: 1204, Rows: 1999, UnderWay: 3, Ahead: -90,
		Members: []client.ClusterMember{
			{IP: "2001:db8::1", Port: 40002, Role: client.ClusterNewcomer, Keepalive: 0.12, State: "joining"},
			{IP: "10.0.0.2", Port: 38119, ID: "6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000001", Role: client.ClusterSlave, Keepalive: 0.44, State: "copied to", Sequence: 12345, Lag: 0.0023},
		},
		Totals: client.ClusterTotals{
			Committed: 88213, Commit: 0.0004, Heard: 101, Again: 102, Resent: 103, Refused: 104, Full: 105, Forged: 106, Replayed: 107, Bad: 108, Strange: 109, Lost: 110, Failed: 111, Fault: nasty,
		},
	}
}

// full makes lists as long as a page shows them.
func (w *world) full() {
	swarms := client.SwarmPage{Total: 100_000, Next: strings.Repeat("x", 80)}
	peers := client.PeerPage{Next: strings.Repeat("x", 80)}
	places := client.PlacePage{Next: "x"}
	for i := range 50 {
		h := bittorrent.InfoHash{0xab, byte(i), 7}
		swarms.Swarms = append(swarms.Swarms, client.Swarm{
			InfoHash: h, Name: strings.Repeat("name ", 20), File: strings.Repeat("file ", 20) + ".torrent", Size: 1 << 40, State: "active",
			Registered: now.Add(-time.Hour), Peers: 1_000_000, Seeders: 500_000, Leechers: 500_000, Downloaded: 1 << 40, Profile: "balanced",
		})
		peers.Peers = append(peers.Peers, client.Peer{
			InfoHash: h, Address: fmt.Sprintf("[2001:db8:1234:5678:9abc:def0:1234:%x]:65535", i), Kind: "partial seed", Client: "qBittorrent 4.5.2",
			Uploaded: 1 << 40, Downloaded: 1 << 40, Left: new(int64(1 << 40)), FirstSeen: now.Add(-time.Hour), LastSeen: now,
		})
	}
	for i := range 300 {
		places.Places = append(places.Places, client.Place{
			InfoHash: hash, Path: fmt.Sprintf("amsterdam1/row%d/rack%d", i/20, i), Level: "rack", Height: 1, Leechers: 40, Seeders: 2,
			Importers: []string{"10.1.2.1:65535", "10.1.2.2:65535"}, Exporters: []string{"10.1.2.3:65535"}, Progress: new(0.5), Leases: 12, ImportedAtMost: 1 << 40,
		})
	}
	w.answer("GET /swarms", swarms)
	w.answer("GET /peers", peers)
	w.answer("GET /transfers/"+hash.String()+"/peers", peers)
	w.answer("GET /transfers/"+hash.String()+"/places", places)
}

func overview() client.Overview {
	return client.Overview{
		Version: "1.2.3", Started: now.Add(-50 * time.Hour), Uptime: 180_000, Over: 10,
		Store:    client.OverviewStore{Kind: "sqlite", Healthy: true},
		Listen:   []client.Listener{{Protocol: "udp", Address: "0.0.0.0:6969"}, {Protocol: "http", Address: "[::]:6969"}, {Protocol: "console", Address: "127.0.0.1:6970"}},
		Locality: client.OverviewLocality{On: true, Profile: "strict"},
		Torrents: client.OverviewTorrents{Mode: "open", Listed: 100_000, Active: 99_000},
		Limits:   []client.Limit{{Name: "peers", Key: "limits.peers", Used: 1_000_000, Max: 20_000_000}, {Name: "memory", Unit: "B", Used: 1 << 30}},
		Events: &client.OverviewEvents{Taken: 10_000, Disk: 1 << 20, Problem: nasty, Ends: []client.EventsEnd{
			{Name: "webhook", Target: nasty, Sent: 5000, Waiting: 5000, Oldest: 3600, Lost: 7, Problem: nasty, Since: now.Add(-time.Hour)},
			{Name: "nats", Target: "tls://nats.example:4222 waggle.events", Sent: 10_000, Last: now},
		}},
		Figures: []client.Figure{
			{Name: "announces", Unit: "1/s", Doc: nasty, Value: new(12345.678)},
			{Name: "peers", Value: new(1e6)},
			{Name: "seeders", Value: new(2e5)},
			{Name: "swarms", Value: new(1e5)},
			{Name: "memory", Unit: "B", Value: new(1.5e9)},
			{Name: "malformed", Unit: "1/s", Value: new(0.05)},
			{Name: "shed", Unit: "1/s"},
		},
	}
}

// timeline is as large as one can be.
func timeline() client.Timeline {
	t := client.Timeline{Span: client.Hour, Step: 10, From: now.Add(-time.Hour)}
	for _, name := range []string{
		"announces", "announces_udp", "announces_http", "refused", "passive", "limited", "shed", "located", "unlocated", "completed", "told", "scrapes",
		"store_failures", "malformed", "bad_connection_ids", "overflowed", "http_failures", "swarms", "peers", "seeders", "leechers", "active_transfers", "memory", "goroutines",
	} {
		s := client.Series{Name: name, Unit: "1/s", Doc: nasty}
		if name == "memory" {
			s.Unit = "B"
		}
		for i := range 360 {
			if i > 100 && i < 120 {
				s.Values = append(s.Values, nil) // waggle was down
				continue
			}
			s.Values = append(s.Values, new(12345.678*float64(1+i%17)))
		}
		t.Series = append(t.Series, s)
	}
	return t
}

// everyPage is a path of each page.
var everyPage = []string{
	"/", "/?span=day", "/torrents", "/torrents?query=x&sort=size&order=desc&state=active", "/transfers/" + hash.String(), "/transfers/" + strange.String(),
	"/transfers/" + hash.String() + "/delete", "/transfers/" + hash.String() + "/peers/10.1.2.1:6881", "/peers", "/history", "/passkeys", "/passkeys?query=x&state=active", "/passkeys/0123456789abcdef",
	"/passkeys/0123456789abcdef/revoke", "/passkeys/0123456789abcdef/restore", "/passkeys/0123456789abcdef/renew", "/passkeys/0123456789abcdef/reset", "/passkeys/0123456789abcdef/delete", "/links", "/links/drop?name=fra", "/links/leave", "/links/rights?name=fra", "/cluster", "/cluster/stepdown", "/cluster/leave",
	"/settings", "/settings/accounts", "/settings/accounts/edit?name=" + url.QueryEscape(nasty), "/settings/accounts/delete?name=" + url.QueryEscape(nasty), "/settings/audit", "/about", "/login",
}

// do sends a request in the name of who.
func (w *world) do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.site.ServeHTTP(recorder, r.WithContext(account.With(t.Context(), w.who)))
	return recorder.Result()
}

func (w *world) get(t *testing.T, path string) *http.Response {
	t.Helper()
	return w.do(t, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

// post sends a form.
func (w *world) post(t *testing.T, path string, form url.Values, cookies ...*http.Cookie) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return w.do(t, r)
}

// upload sends a form with files, by their names.
func (w *world) upload(t *testing.T, profile string, files ...string) *http.Response {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("csrf", "x")
	_ = form.WriteField("profile", profile)
	for _, name := range files {
		part, err := form.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte("the bytes of " + name))
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/torrents", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return w.do(t, r)
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// page is a document that a page is.
func page(t *testing.T, r *http.Response) *html.Node {
	t.Helper()
	if got := r.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("status %d, content type %s", r.StatusCode, got)
	}
	n, err := html.Parse(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// all returns the elements of a name, or all for "".
func all(n *html.Node, name string) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && (name == "" || d.Data == name) {
			found = append(found, d)
		}
	}
	return found
}

func attribute(n *html.Node, name string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// words returns the text below a node.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func session() account.Identity {
	return account.Identity{Name: "anna", Role: account.Admin, Via: account.ViaSession, CSRF: "the-csrf-of-anna"}
}
