package public

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"waggle/bittorrent"
)

// FeedType is the media type of a feed.
const FeedType = "application/atom+xml; charset=utf-8"

// torrentType is the media type of a .torrent.
const torrentType = "application/x-bittorrent"

// FeedSize is how many torrents a feed has at most.
const FeedSize = 100

// Entry is a torrent of a feed.
type Entry struct {
	InfoHash   bittorrent.InfoHash
	Name       string // as it stands in the torrent: perhaps not UTF-8
	Size       int64  // bytes of all files
	Registered time.Time
}

// ServeFeed answers a request for a feed of torrents, the latest first, with links of
// the host that it was asked for under. torrent returns the path at which a .torrent
// is to be had. A client that has the feed already is told so (ETag, Last-Modified).
// A request whose header Host is none is answered 400.
func ServeFeed(w http.ResponseWriter, r *http.Request, entries []Entry, torrent func(bittorrent.InfoHash) string) {
	at, err := base(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := feed(at, r.URL.Path, entries, torrent)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serve(w, r, &kept{body: body, media: FeedType, tag: tagOf(body), modified: updated(entries)})
}

// serve answers with what was made, or says that the client has it.
func serve(w http.ResponseWriter, r *http.Request, k *kept) {
	w.Header().Set("Content-Type", k.media)
	w.Header().Set("ETag", k.tag)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", k.modified, bytes.NewReader(k.body))
}

// tagOf returns an ETag of a body.
func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// updated returns when the latest torrent was registered. Without any it is 1970: a
// feed must have a date, which may not change with every answer.
func updated(latestFirst []Entry) time.Time {
	if len(latestFirst) == 0 {
		return time.Unix(0, 0).UTC()
	}
	return latestFirst[0].Registered
}

// The elements of a feed (RFC 4287, 4.1 and 4.2), in the order in which they are
// written.
type (
	atomFeed struct {
		XMLName   xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID        string      `xml:"id"`
		Title     string      `xml:"title"`
		Updated   string      `xml:"updated"`
		Author    string      `xml:"author>name"`
		Generator string      `xml:"generator"`
		Links     []atomLink  `xml:"link"`
		Entries   []atomEntry `xml:"entry"`
	}
	atomLink struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}
	atomEntry struct {
		ID        string   `xml:"id"`
		Title     string   `xml:"title"`
		Updated   string   `xml:"updated"`
		Published string   `xml:"published"`
		Content   string   `xml:"content"` // without one an entry must have an alternate link
		Link      atomLink `xml:"link"`
	}
)

// feed writes a feed that is at a path below the tracker's address. encoding/xml
// replaces what XML cannot hold, whatever the name of a torrent has in it.
func feed(at, path string, entries []Entry, torrent func(bittorrent.InfoHash) string) ([]byte, error) {
	self := at + path
	f := atomFeed{
		ID: self, Title: "Torrents of " + at[strings.Index(at, "//")+2:], Updated: atomTime(updated(entries)),
		Author: "waggle", Generator: "waggle",
		Links:   []atomLink{{Rel: "self", Type: "application/atom+xml", Href: self}},
		Entries: make([]atomEntry, len(entries)),
	}
	for i := range entries {
		e := &entries[i]
		f.Entries[i] = atomEntry{
			ID: "urn:btih:" + e.InfoHash.String(), Title: title(e), Updated: atomTime(e.Registered), Published: atomTime(e.Registered),
			Content: fmt.Sprintf("%s (%s bytes), info hash %v", humanize.IBytes(uint64(max(e.Size, 0))), humanize.Comma(e.Size), e.InfoHash),
			Link:    atomLink{Rel: "enclosure", Type: torrentType, Href: at + torrent(e.InfoHash)},
		}
	}
	b, err := xml.MarshalIndent(&f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the feed: %w", err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func atomTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// title returns the name of a torrent, or its info hash where the name has nothing
// that can be seen.
func title(e *Entry) string {
	if name := strings.TrimSpace(strings.ToValidUTF8(e.Name, "\uFFFD")); name != "" {
		return name
	}
	return e.InfoHash.String()
}
