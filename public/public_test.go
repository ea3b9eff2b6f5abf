package public_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/public"
	"waggle/swarm"
)

func TestPageShowsActiveTorrentsWithTheirCounts(t *testing.T) {
	w := newWorld(t)
	h := w.add(t, "image.iso").InfoHash
	ended := w.add(t, "old.iso").InfoHash
	if _, err := w.catalog.Deactivate(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	for peer := range 1200 {
		w.announce(t, h, peer, int64(peer%3))
	}
	w.announce(t, bittorrent.InfoHash{1}, 1, 0) // not in the catalogue
	got := w.get("/")
	page := html.UnescapeString(got.Body.String())
	for _, want := range []string{
		"image.iso", ">400<", ">800<", "1.5 KiB", "Swarms: 2. Peers: 1,201, of them seeders: 401.",
		`href="/torrents/` + h.String() + `.torrent"`, `href="/feed.atom"`,
		"magnet:?xt=urn:btih:" + h.String() + "&dn=image.iso&xl=1500&tr=http%3A%2F%2Ftracker.example%3A6969%2Fannounce",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in %s", want, page)
		}
	}
	if strings.Contains(page, "old.iso") || strings.Contains(page, "10.77.") || got.Code != http.StatusOK {
		t.Errorf("status %d, %s", got.Code, page)
	}
}

func TestPageShowsNamesAsTextAndHasNoScript(t *testing.T) {
	w := newWorld(t)
	for _, name := range awkward {
		if !strings.ContainsAny(name, "/\x00") { // which no torrent is called
			w.add(t, name)
		}
	}
	got := w.get("/")
	page := got.Body.String()
	if strings.Contains(page, "<script") || strings.Contains(page, " style=") || strings.Contains(page, "<style") || !strings.Contains(page, "&lt;img src=x") || strings.Contains(page, "ZgotmplZ") {
		t.Error(page)
	}
	csp := got.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") || got.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", got.Header())
	}
}

var nextLink = regexp.MustCompile(`href="(/\?after=[^"]+)" rel="next"`)

func TestPagesShowEachTorrentOnce(t *testing.T) {
	w := newWorld(t)
	for n := range 250 {
		w.add(t, fmt.Sprintf("torrent-%03d", n))
	}
	seen := map[string]int{}
	pages := 0
	for path := "/"; path != ""; pages++ {
		page := w.get(path).Body.String()
		for _, name := range regexp.MustCompile(`<bdi>(torrent-\d+)</bdi>`).FindAllStringSubmatch(page, -1) {
			seen[name[1]]++
		}
		path = ""
		if next := nextLink.FindStringSubmatch(page); next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	if len(seen) != 250 || pages != 3 {
		t.Errorf("%d torrents on %d pages", len(seen), pages)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
}

func TestOnlyTorrentsThatAreServedCanBeFetched(t *testing.T) {
	w := newWorld(t)
	h, ended := w.add(t, "image.iso").InfoHash, w.add(t, "old.iso").InfoHash
	if _, err := w.catalog.Deactivate(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	got := w.get("/torrents/" + h.String() + ".torrent")
	if got.Code != http.StatusOK || !bytes.Contains(got.Body.Bytes(), []byte("image.iso")) || got.Header().Get("Content-Type") != "application/x-bittorrent" || !strings.Contains(got.Header().Get("Content-Disposition"), ".torrent") {
		t.Errorf("%d, %v", got.Code, got.Header())
	}
	for _, path := range []string{ended.String() + ".torrent", h.String(), strings.Repeat("0", 40) + ".torrent", "x.torrent", ".torrent"} {
		if got := w.get("/torrents/" + path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

func TestNothingElseOfTheConsoleIsPublic(t *testing.T) {
	w := newWorld(t)
	h := w.add(t, "image.iso").InfoHash.String()
	for _, path := range []string{"/api/v1/version", "/api/v1/peers", "/figures", "/metrics", "/debug/pprof/", "/transfers/" + h, "/transfers/" + h + "/peers.csv", "/login", "/static/x", "/page.html"} {
		if got := w.get(path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if got := w.ask(method, "/", nil); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, got.Code)
		}
	}
}

func TestPageOfNoPlaceInTheListSaysWhereToBegin(t *testing.T) {
	w := newWorld(t)
	for _, after := range []string{"x", "%00", strings.Repeat("A", 7000)} {
		if got := w.get("/?after=" + after); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "begin at /") {
			t.Errorf("%.20s: %d %s", after, got.Code, got.Body)
		}
	}
}

func TestFeedOfThePublicPageLeadsToItsTorrents(t *testing.T) {
	w := newWorld(t)
	h := w.add(t, "image.iso").InfoHash
	got := w.get("/feed.atom")
	var feed read
	if err := xml.Unmarshal(got.Body.Bytes(), &feed); err != nil || len(feed.Entries) != 1 || feed.Entries[0].Link.Href != "http://tracker.example:6969/torrents/"+h.String()+".torrent" {
		t.Errorf("%s, %v", got.Body, err)
	}
	if again := w.ask(http.MethodGet, "/feed.atom", map[string]string{"If-None-Match": got.Header().Get("ETag")}); again.Code != http.StatusNotModified {
		t.Errorf("again: %d", again.Code)
	}
}

func TestStyleAndPageFitTogether(t *testing.T) {
	w := newWorld(t)
	got := w.get("/style.css")
	if got.Code != http.StatusOK || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/css") {
		t.Errorf("%d, %v", got.Code, got.Header())
	}
	if page := w.get("/").Body.String(); !strings.Contains(page, `href="/style.css"`) || !strings.Contains(page, "No torrent is listed") {
		t.Error(page)
	}
}

// away is a store on a network that does not answer.
type away struct{ public.Swarms }

func (away) Totals(context.Context) (swarm.Totals, error) { return swarm.Totals{}, swarm.ErrBusy }

func TestVisitorsComeAgainWhileTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	var logged strings.Builder
	w.handler = public.New(public.Options{Catalog: w.catalog, Swarms: away{w.store}, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	if got := w.get("/"); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || logged.Len() > 0 {
		t.Errorf("%d, %v, %s", got.Code, got.Header(), &logged)
	}
}
