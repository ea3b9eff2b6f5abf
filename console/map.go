package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/console/web"
	"waggle/roster"
	"waggle/swarm"
)

func (a *api) addMap() {
	o := operation(http.MethodGet, "/transfers/{hash}/map", "get-map",
		"Where the peers of a transfer, or of a torrent that is not listed, are, and who downloads from whom across uplinks", http.StatusNotFound)
	o.Responses = map[string]*huma.Response{
		"200": {Description: "The map, gzipped where the client accepts it", Content: map[string]*huma.MediaType{
			"application/json": {Schema: huma.SchemaFromType(a.huma.OpenAPI().Components.Schemas, reflect.TypeFor[client.Map]())},
		}},
		"304": {Description: "It is as it was"},
	}
	huma.Register(a.huma, o, a.getMap)
}

type mapRequest struct {
	ByHash
	Encodings string `header:"Accept-Encoding" hidden:"true"`
	Known     string `header:"If-None-Match" hidden:"true"`
}

func (a *api) getMap(ctx context.Context, in *mapRequest) (*huma.StreamResponse, error) {
	m, err := a.mapOf(ctx, in.hash())
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) { writeTagged(ctx, in, body) }}, nil
}

// writeTagged answers with JSON that the client may have already.
func writeTagged(ctx huma.Context, in *mapRequest, body []byte) {
	sum := sha256.Sum256(body)
	tag := `W/"` + hex.EncodeToString(sum[:12]) + `"` // weak: of the gzipped form too
	ctx.SetHeader("ETag", tag)
	ctx.SetHeader("Vary", "Accept-Encoding")
	ctx.SetHeader("Cache-Control", "private, no-cache")
	if strings.Contains(in.Known, tag) {
		ctx.SetStatus(http.StatusNotModified)
		return
	}
	ctx.SetHeader("Content-Type", "application/json")
	if web.AcceptsGzip(in.Encodings) {
		ctx.SetHeader("Content-Encoding", "gzip")
		body = gzipped(body)
	}
	ctx.SetStatus(http.StatusOK)
	_, _ = ctx.BodyWriter().Write(body) // whoever asked is gone
}

func gzipped(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a level that exists
	_, _ = w.Write(body)                            // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// What a map has at most; others are left out of it.
const (
	maxMapHosts     = 20_000
	maxMapUnlocated = 4_000
)

// mapOf makes the map of a torrent. The error is [catalog.ErrUnknown], or that of ctx.
func (a *api) mapOf(ctx context.Context, h bittorrent.InfoHash) (*client.Map, error) {
	t, hashes, err := a.torrentOf(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := a.takeWalk(ctx); err != nil {
		return nil, err
	}
	defer a.freeWalk()
	b := newMapBuilder(t.Size)
	counts := make([]bittorrent.ScrapeCounts, len(hashes))
	if err := a.swarms.Scrape(ctx, hashes, counts); err != nil {
		return nil, err
	}
	for i, h := range hashes {
		b.begin(i, &counts[i])
		if err := a.mapSwarm(ctx, h, b); err != nil {
			return nil, err
		}
	}
	m := b.finish()
	if m.InfoHash = h; t.File != "" { // it is listed
		m.InfoHash = t.InfoHash
	}
	if a.locality != nil {
		m.Levels = a.locality.Tree().Levels()
	}
	return m, nil
}

// mapSwarm shows a swarm to b: members first, since of others it only knows that they
// are not located.
func (a *api) mapSwarm(ctx context.Context, h bittorrent.InfoHash, b *mapBuilder) error {
	if a.roster != nil {
		err := a.roster.Members(ctx, h, func(members []roster.Member) bool {
			for i := range members {
				b.addMember(&members[i])
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	if !b.missesSome() {
		return ctx.Err()
	}
	return a.walk(ctx, h, nil, func(peers []swarm.Peer) bool {
		for i := range peers {
			b.addPeer(&peers[i])
		}
		return b.roomForUnlocated()
	})
}
