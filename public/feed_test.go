package public_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"waggle/bittorrent"
	"waggle/public"
)

// awkward are names that torrents may have.
var awkward = []string{
	"image.iso", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a & b ]]> c", "bell \x07, nothing \x00, escape \x1b", "no UTF-8: \xff\xfe\xc3",
	"\ufffe\uffff", "surrogate \xed\xa0\x80", "\u202egnp.exe", "Größe 日本語 🐝", "   ", "\r\n\t", `"quoted" 'name'`, "&#0; &amp; %00",
	strings.Repeat("long ", 800),
}

func entriesOf(names []string) []public.Entry {
	var entries []public.Entry
	for i, name := range names {
		entries = append(entries, public.Entry{
			InfoHash: bittorrent.InfoHash{byte(i), 0xab}, Name: name, Size: int64(i) << 30, Registered: time.Unix(int64(1_700_000_000-i), 5).UTC(),
		})
	}
	return entries
}

func serveFeed(entries []public.Entry, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://tracker.example:6970/feed.atom", nil)
	if change != nil {
		change(r)
	}
	got := httptest.NewRecorder()
	public.ServeFeed(got, r, entries, func(h bittorrent.InfoHash) string { return "/t/" + h.String() })
	return got
}

// read is a feed as a client reads it.
type read struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"http://www.w3.org/2005/Atom id"`
	Title   string   `xml:"http://www.w3.org/2005/Atom title"`
	Updated string   `xml:"http://www.w3.org/2005/Atom updated"`
	Author  string   `xml:"http://www.w3.org/2005/Atom author>name"`
	Entries []struct {
		ID      string `xml:"http://www.w3.org/2005/Atom id"`
		Title   string `xml:"http://www.w3.org/2005/Atom title"`
		Updated string `xml:"http://www.w3.org/2005/Atom updated"`
		Content string `xml:"http://www.w3.org/2005/Atom content"`
		Link    struct {
			Rel  string `xml:"rel,attr"`
			Type string `xml:"type,attr"`
			Href string `xml:"href,attr"`
		} `xml:"http://www.w3.org/2005/Atom link"`
	} `xml:"http://www.w3.org/2005/Atom entry"`
}

func TestFeedIsXMLWhateverTorrentsAreCalled(t *testing.T) {
	got := serveFeed(entriesOf(awkward), nil)
	if !utf8.Valid(got.Body.Bytes()) || bytes.ContainsAny(got.Body.Bytes(), "\x00\x07\x1b") {
		t.Error("it is no text")
	}
	var feed read
	decoder := xml.NewDecoder(bytes.NewReader(got.Body.Bytes()))
	decoder.Strict = true
	if err := decoder.Decode(&feed); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	if len(feed.Entries) != len(awkward) || feed.ID != "http://tracker.example:6970/feed.atom" || feed.Title == "" || feed.Author == "" || feed.Updated != "2023-11-14T22:13:20Z" {
		t.Errorf("%+v", feed)
	}
	for i, e := range feed.Entries {
		h := bittorrent.InfoHash{byte(i), 0xab}.String()
		if e.ID != "urn:btih:"+h || e.Title == "" || e.Content == "" || e.Link.Rel != "enclosure" || e.Link.Type != "application/x-bittorrent" || e.Link.Href != "http://tracker.example:6970/t/"+h {
			t.Errorf("%+v", e)
		}
		if at, err := time.Parse(time.RFC3339, e.Updated); err != nil || at.Unix() != int64(1_700_000_000-i) {
			t.Errorf("%s, %v", e.Updated, err)
		}
	}
	if feed.Entries[1].Title != awkward[1] || feed.Entries[9].Title != awkward[9] || feed.Entries[10].Title != feed.Entries[10].ID[len("urn:btih:"):] {
		t.Errorf("%q, %q, %q", feed.Entries[1].Title, feed.Entries[9].Title, feed.Entries[10].Title)
	}
}

// reader prints what the feed reader of Debian's python3-feedparser makes of a feed.
const reader = `
import sys, json, feedparser
d = feedparser.parse(sys.stdin.buffer.read(), response_headers={"content-type": "application/atom+xml; charset=utf-8"})
print(json.dumps({"version": d.version, "bozo": bool(d.bozo), "why": str(d.get("bozo_exception", "")), "entries": [
	{"id": e.id, "title": e.title, "year": e.updated_parsed.tm_year, "enclosures": [[x.type, x.href] for x in e.enclosures]} for e in d.entries]}))
`

func TestFeedReaderReadsTheFeed(t *testing.T) {
	const python = "/usr/bin/python3" // not another one, which lacks Debian's modules
	if _, err := os.Stat("/usr/lib/python3/dist-packages/feedparser"); err != nil {
		t.Fatal("python3-feedparser is missing: install Debian's package of that name")
	}
	command := exec.CommandContext(t.Context(), python, "-c", reader)
	command.Stdin = serveFeed(entriesOf(awkward), nil).Body
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var feed struct {
		Version, Why string
		Bozo         bool
		Entries      []struct {
			ID, Title  string
			Year       int
			Enclosures [][2]string
		}
	}
	if err := json.Unmarshal(out, &feed); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if feed.Version != "atom10" || feed.Bozo || len(feed.Entries) != len(awkward) {
		t.Fatalf("%+v", feed)
	}
	for i, e := range feed.Entries {
		h := bittorrent.InfoHash{byte(i), 0xab}.String()
		if e.ID != "urn:btih:"+h || e.Year != 2023 || len(e.Enclosures) != 1 || e.Enclosures[0] != [2]string{"application/x-bittorrent", "http://tracker.example:6970/t/" + h} {
			t.Errorf("%+v", e)
		}
	}
}

func TestFeedThatIsKnownIsNotSentAgain(t *testing.T) {
	entries := entriesOf(awkward[:2])
	first := serveFeed(entries, nil)
	same := serveFeed(entries, func(r *http.Request) { r.Header.Set("If-None-Match", first.Header().Get("ETag")) })
	if same.Code != http.StatusNotModified || same.Body.Len() != 0 {
		t.Errorf("%d", same.Code)
	}
	since := serveFeed(entries, func(r *http.Request) { r.Header.Set("If-Modified-Since", first.Header().Get("Last-Modified")) })
	if since.Code != http.StatusNotModified {
		t.Errorf("%d since %s", since.Code, first.Header().Get("Last-Modified"))
	}
	other := serveFeed(entries[:1], func(r *http.Request) { r.Header.Set("If-None-Match", first.Header().Get("ETag")) })
	if other.Code != http.StatusOK {
		t.Errorf("another feed: %d", other.Code)
	}
	if empty := serveFeed(nil, nil); empty.Code != http.StatusOK || !strings.Contains(empty.Body.String(), "<updated>1970-01-01T00:00:00Z</updated>") {
		t.Errorf("%s", empty.Body)
	}
}

func TestFeedHasLinksOfTheHostThatWasAskedFor(t *testing.T) {
	for host, want := range map[string]string{
		"tracker.example": "http://tracker.example/t/", "127.0.0.1:6970": "http://127.0.0.1:6970/t/", "[2001:db8::1]:80": "http://[2001:db8::1]:80/t/",
		"": "", "a b": "", `x"><script>`: "", "evil.example/path": "", "user@host": "", "host:port": "", "[::1": "", "[fe80::1%eth0]:1": "", "a:1:2": "", "-x": "", "host:": "",
	} {
		got := serveFeed(entriesOf(awkward[:1]), func(r *http.Request) { r.Host = host })
		if want == "" {
			if got.Code != http.StatusBadRequest {
				t.Errorf("%q: %d %s", host, got.Code, got.Body)
			}
		} else if !strings.Contains(got.Body.String(), `href="`+want) {
			t.Errorf("%q: %s", host, got.Body)
		}
	}
	proxied := serveFeed(entriesOf(awkward[:1]), func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
	if !strings.Contains(proxied.Body.String(), `href="https://tracker.example:6970/t/`) {
		t.Errorf("behind TLS: %s", proxied.Body)
	}
}

func TestLatestAreThoseThatWereRegisteredLast(t *testing.T) {
	w := newWorld(t)
	var added []bittorrent.InfoHash
	for n := range 50 {
		added = append(added, w.add(t, fmt.Sprintf("torrent %d", n*37%50)).InfoHash)
	}
	if _, err := w.catalog.Deactivate(t.Context(), added[48]); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3, 10, 100} {
		got, err := public.Latest(t.Context(), w.catalog, n)
		if err != nil || len(got) != min(n, 49) || got[0].InfoHash != added[49] {
			t.Fatalf("%d: %+v, %v", n, got, err)
		}
		if n > 1 && got[1].InfoHash != added[47] {
			t.Errorf("the second is %+v", got[1])
		}
	}
}
