package console_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// atom is what a client reads of a feed.
type atom struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"id"`
	Links   []link   `xml:"link"`
	Entries []struct {
		ID    string `xml:"id"`
		Title string `xml:"title"`
		Links []link `xml:"link"`
	} `xml:"entry"`
}

type link struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

func TestFeedLeadsToTheTorrentsThatAreActive(t *testing.T) {
	w := newWorld(t, nil)
	if got := w.do(t, get("/feed.atom")); got.status != http.StatusOK {
		t.Errorf("without torrents: %d %s", got.status, got.body)
	}
	for n := range 3 {
		if _, err := w.catalog.Add(t.Context(), "image.torrent", metainfo(fmt.Sprintf("<b>image & %d.iso", n))); err != nil {
			t.Fatal(err)
		}
	}
	ended := w.add(t, "old.iso")
	if _, err := w.catalog.Deactivate(t.Context(), ended.InfoHash); err != nil {
		t.Fatal(err)
	}
	got := w.do(t, get("/feed.atom"))
	var feed atom
	if err := xml.Unmarshal(got.body, &feed); err != nil || got.header.Get("Content-Type") != "application/atom+xml; charset=utf-8" {
		t.Fatalf("%s, %v", got.body, err)
	}
	if len(feed.Entries) != 3 || feed.Links[0] != (link{"self", "application/atom+xml", w.url + "/feed.atom"}) {
		t.Errorf("%+v", feed)
	}
	for _, e := range feed.Entries {
		if !strings.HasPrefix(e.Title, "<b>image & ") || len(e.Links) != 1 || e.Links[0].Rel != "enclosure" || e.Links[0].Type != "application/x-bittorrent" {
			t.Fatalf("%+v", e)
		}
		torrent := w.do(t, get(strings.TrimPrefix(e.Links[0].Href, w.url)))
		if !bytes.Contains(torrent.body, []byte(e.Title)) {
			t.Errorf("%s leads to %d %q", e.Links[0].Href, torrent.status, torrent.body)
		}
	}
}

func TestFeedThatAClientHasIsNotSentAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.add(t, "image.iso")
	first := w.do(t, get("/feed.atom"))
	for _, header := range []map[string]string{
		{"If-None-Match": first.header.Get("ETag")}, {"If-Modified-Since": first.header.Get("Last-Modified")},
	} {
		q := get("/feed.atom")
		q.header = header
		if got := w.do(t, q); got.status != http.StatusNotModified {
			t.Errorf("%v: %d", header, got.status)
		}
	}
	w.add(t, "other.iso")
	q := get("/feed.atom")
	q.header = map[string]string{"If-None-Match": first.header.Get("ETag")}
	if got := w.do(t, q); got.status != http.StatusOK || got.header.Get("ETag") == first.header.Get("ETag") {
		t.Errorf("another feed: %d", got.status)
	}
}
