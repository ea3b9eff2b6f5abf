package console

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/swarm"
)

// csvsAtOnce look at the peers of a torrent for as long as their clients take to read
// them.
const csvsAtOnce = 2

func (a *api) addHashes() {
	o := operation(http.MethodGet, "/hashes", "list-hashes", "All info hashes that have a swarm, listed or not, with counts, in one answer")
	o.Responses = map[string]*huma.Response{"200": {
		Description: "All of them, as a stream",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: huma.SchemaFromType(a.huma.OpenAPI().Components.Schemas, reflect.TypeFor[client.Tracked]()),
		}},
	}}
	huma.Register(a.huma, o, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: a.writeHashes}, nil
	})
}

// writeHashes writes some hashes at a time, so that any number takes no more memory.
func (a *api) writeHashes(ctx huma.Context) {
	ctx.SetHeader("Content-Type", "application/json")
	ctx.SetStatus(http.StatusOK)
	w := bufio.NewWriterSize(ctx.BodyWriter(), 32<<10) // keeps an error until it is flushed
	_, _ = w.WriteString(`{"hashes":[`)
	var line []byte
	comma := false
	whole, err := a.swarms.AllCounts(ctx.Context(), 0, 0xff, func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
		var err error
		for i := range hashes {
			line = appendHash(line[:0], &hashes[i], &counts[i], comma)
			_, err = w.Write(line)
			comma = true
		}
		return err == nil && ctx.Context().Err() == nil
	})
	if !whole || err != nil {
		return // whoever asked is gone, or sees by the missing end that it is not all
	}
	_, _ = w.WriteString("]}\n")
	_ = w.Flush()
}

// appendHash appends a [client.TrackedSwarm], after a comma if there is one before.
func appendHash(b []byte, h *bittorrent.InfoHash, c *bittorrent.ScrapeCounts, comma bool) []byte {
	if comma {
		b = append(b, ',')
	}
	b = append(b, `{"info_hash":"`...)
	b = append(b, h.String()...)
	b = append(b, `","seeders":`...)
	b = strconv.AppendUint(b, uint64(c.Complete), 10)
	b = append(b, `,"leechers":`...)
	b = strconv.AppendUint(b, uint64(c.Incomplete), 10)
	b = append(b, `,"downloaded":`...)
	b = strconv.AppendUint(b, uint64(c.Downloaded), 10)
	return append(b, '}')
}

// addFiles serves what is for other programs than those that speak the API.
func (a *api) addFiles(mux *http.ServeMux) {
	mux.Handle("GET /transfers/{hash}/peers.csv", inTime(http.HandlerFunc(a.peersCSV)))
	mux.Handle("GET /feed.atom", inTime(http.HandlerFunc(a.feed)))
}

// csvHeader names the columns. All numbers are bytes, and times are of RFC 3339.
var csvHeader = []string{
	"info_hash", "ip", "port", "kind", "client", "peer_id", "left", "uploaded", "downloaded", "first_seen", "last_seen", "reachable",
}

// peersCSV answers with all peers of a torrent (RFC 4180). In a file that is no whole
// one, because it took too long, the last line has no end.
func (a *api) peersCSV(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	h, err := bittorrent.ParseInfoHash(r.PathValue("hash"))
	if err != nil {
		writeProblem(w, http.StatusUnprocessableEntity, "this is no info hash: it has 40 hexadecimal digits")
		return
	}
	hashes, err := a.swarmsOf(r.Context(), h)
	if errors.Is(err, catalog.ErrUnknown) {
		writeProblem(w, http.StatusNotFound, err.Error())
		return
	}
	if err != nil {
		writeProblem(w, http.StatusServiceUnavailable, swarm.ErrBusy.Error())
		return
	}
	select {
	case a.csvs <- struct{}{}:
		defer func() { <-a.csvs }()
	case <-time.After(uploadWait):
		writeProblem(w, http.StatusServiceUnavailable, "others are fetching peers now: try again")
		return
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "peers-" + h.String() + ".csv"}))
	if a.writePeers(r.Context(), w, hashes) != nil {
		_, _ = io.WriteString(w, csvCut) // in vain only if whoever asked is gone
	}
}

// csvCut is the last line of a file that is not whole. A field begins in it and does not
// end, so that readers of CSV refuse it.
const csvCut = `"this is not all: it took too long, or the store does not answer`

// writePeers writes the peers of swarms. The error is that of w, of ctx, or the store's;
// then what was written ends with a line.
func (a *api) writePeers(ctx context.Context, w io.Writer, hashes []bittorrent.InfoHash) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write(csvHeader) // out keeps an error
	fields := make([]string, len(csvHeader))
	for _, h := range hashes {
		hash := h.String()
		err := a.walk(ctx, h, nil, func(peers []swarm.Peer) bool {
			for i := range peers {
				a.fillCSV(fields, hash, &peers[i])
				_ = out.Write(fields)
			}
			return out.Error() == nil
		})
		if err != nil {
			out.Flush()
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (a *api) fillCSV(fields []string, hash string, p *swarm.Peer) {
	out := a.peerOf(&foundPeer{Peer: *p})
	left := ""
	if out.Left != nil {
		left = strconv.FormatInt(*out.Left, 10)
	}
	fields = append(fields[:0], hash, p.Addr.Addr().String(), strconv.Itoa(int(p.Addr.Port())), out.Kind, out.Client, out.ID, left,
		strconv.FormatInt(out.Uploaded, 10), strconv.FormatInt(out.Downloaded, 10), csvTime(out.FirstSeen), csvTime(out.LastSeen), out.Reachable)
	for i := range fields {
		fields[i] = inert(fields[i])
	}
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// inert puts a ' before what a spreadsheet would take for a formula: a peer chooses
// its own id.
func inert(field string) string {
	if field != "" && strings.ContainsRune("=+-@\t\r", rune(field[0])) {
		return "'" + field
	}
	return field
}
