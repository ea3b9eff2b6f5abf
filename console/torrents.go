package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/torrent"
)

func (a *api) addTorrents() {
	huma.Register(a.huma, a.uploadOperation(), a.upload)
	huma.Register(a.huma, operation(http.MethodGet, "/torrents", "list-torrents", "List torrents, by name"), a.listTorrents)
	fetch := operation(http.MethodGet, "/torrents/{hash}", "get-torrent", "Fetch a .torrent", http.StatusNotFound, http.StatusConflict, http.StatusGone)
	fetch.Responses = map[string]*huma.Response{"200": {
		Description: "The .torrent",
		Content:     map[string]*huma.MediaType{client.MediaType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	huma.Register(a.huma, fetch, a.fetch)
	huma.Register(a.huma, operation(http.MethodDelete, "/torrents/{hash}", "delete-torrent",
		"Forget a torrent, and remove its file from the directory", http.StatusNotFound, http.StatusConflict), a.delete)
}

func (a *api) uploadOperation() huma.Operation {
	o := operation(http.MethodPost, "/torrents", "upload-torrent", "Upload a .torrent, which is active at once",
		http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusInsufficientStorage)
	o.DefaultStatus = http.StatusCreated
	o.BodyReadTimeout = uploadTime
	o.MaxBodyBytes = a.maxUpload + 1 // huma refuses what is as large as this
	o.Middlewares = huma.Middlewares{a.queueUpload}
	o.Responses = map[string]*huma.Response{"409": {
		Description: "The torrent is known already",
		Content: map[string]*huma.MediaType{client.ProblemType: {
			Schema: huma.SchemaFromType(a.huma.OpenAPI().Components.Schemas, duplicateType),
		}},
	}}
	return o
}

// queueUpload keeps a request waiting until there is a place for its body in memory.
func (a *api) queueUpload(ctx huma.Context, next func(huma.Context)) {
	// An error of WriteErr means that whoever asked is gone.
	if r, _ := humago.Unwrap(ctx); r.ContentLength > a.maxUpload {
		_ = huma.WriteErr(a.huma, ctx, http.StatusRequestEntityTooLarge, tooLarge(a.maxUpload))
		return
	}
	timeout := time.NewTimer(uploadWait)
	defer timeout.Stop()
	for _, places := range a.uploadPlaces(ctx) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-timeout.C:
			_ = huma.WriteErr(a.huma, ctx, http.StatusServiceUnavailable, "others are uploading now: try again")
			return
		case <-ctx.Context().Done():
			return
		}
	}
	next(ctx)
}

// uploadPlaces returns where an upload needs a place: what may be large takes many times as much
// memory while it is parsed, and is alone in that.
func (a *api) uploadPlaces(ctx huma.Context) []chan struct{} {
	if r, _ := humago.Unwrap(ctx); r.ContentLength >= 0 && r.ContentLength <= largeUpload {
		return []chan struct{}{a.uploads}
	}
	return []chan struct{}{a.largeUploads, a.uploads}
}

func tooLarge(limit int64) string {
	return fmt.Sprintf("a .torrent may have %d bytes (torrents.max_upload): make it with larger pieces", limit)
}

type uploadRequest struct {
	File        string `query:"file" required:"true" doc:"What to call the .torrent, such as image.iso.torrent."`
	Profile     string `query:"profile" maxLength:"64" doc:"Its profile of locality: strict, balanced or parity; left out for the tracker's."`
	ContentType string `header:"Content-Type" hidden:"true"`
	RawBody     []byte `contentType:"application/x-bittorrent"`
}

type uploadAnswer struct {
	Location string `header:"Location" doc:"Path of the transfer."`
	Body     client.Uploaded
}

func (a *api) upload(ctx context.Context, in *uploadRequest) (*uploadAnswer, error) {
	media, _, _ := mime.ParseMediaType(in.ContentType)
	if media != client.MediaType {
		return nil, huma.Error415UnsupportedMediaType("send the bytes of the .torrent as Content-Type: " + client.MediaType)
	}
	// huma uses the memory of the body again.
	t, err := a.catalog.AddWithProfile(ctx, in.File, bytes.Clone(in.RawBody), in.Profile)
	if errors.Is(err, catalog.ErrDuplicate) {
		return nil, a.duplicate(in.RawBody, err)
	}
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &uploadAnswer{
		Location: root + "/transfers/" + t.InfoHash.String(),
		Body:     client.Uploaded{Transfer: a.changed(ctx, &t), Warnings: a.warnings(in)},
	}, nil
}

// warnings says what keeps locality from protecting uplinks.
func (a *api) warnings(in *uploadRequest) (warnings []string) {
	if a.locality == nil {
		if in.Profile != "" {
			return []string{"locality is off at this tracker, so its profile has no effect: set locality.sources"}
		}
		return nil
	}
	m, err := torrent.Parse(in.RawBody)
	if err != nil {
		return nil // it was parsed before
	}
	if !m.Private {
		warnings = append(warnings, "it is not private (BEP 27): clients also find peers by DHT, PEX and LSD, around the tracker, "+
			"so that no uplink is protected; make it private, as waggle push --private does")
	}
	if len(m.WebSeeds) > 0 {
		warnings = append(warnings, "it has web seeds: every client fetches from them directly, across all uplinks; make it without")
	}
	return warnings
}

// duplicate returns the problem of a torrent that is known.
func (a *api) duplicate(metainfo []byte, err error) error {
	d := &Duplicate{ErrorModel: huma.ErrorModel{
		Status: http.StatusConflict, Title: http.StatusText(http.StatusConflict), Detail: err.Error(),
	}}
	m, err := torrent.Parse(metainfo)
	if err != nil {
		return d
	}
	for _, h := range m.InfoHashes() {
		if t, err := a.catalog.Get(h); err == nil {
			d.InfoHash = t.InfoHash
			break
		}
	}
	return d
}

func (a *api) listTorrents(_ context.Context, in *ByPage) (*answer[client.TorrentPage], error) {
	transfers, next, err := a.catalog.List(in.Cursor, in.Limit, nil)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	page := client.TorrentPage{Torrents: make([]client.Torrent, len(transfers)), Next: next}
	for i := range transfers {
		page.Torrents[i] = torrentOf(&transfers[i])
	}
	return &answer[client.TorrentPage]{page}, nil
}

type fetchAnswer struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (a *api) fetch(ctx context.Context, in *ByHash) (*fetchAnswer, error) {
	h := in.hash()
	t, err := a.catalog.Get(h)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	b, err := a.catalog.Torrent(ctx, h)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &fetchAnswer{
		ContentType: client.MediaType,
		Disposition: mime.FormatMediaType("attachment", map[string]string{"filename": t.File}),
		Body:        b,
	}, nil
}

func (a *api) delete(ctx context.Context, in *ByHash) (*struct{}, error) {
	if err := a.catalog.Delete(ctx, in.hash()); err != nil {
		return nil, a.failed(ctx, err)
	}
	return nil, nil
}

func (in *ByHash) hash() bittorrent.InfoHash {
	h, _ := bittorrent.ParseInfoHash(in.Hash) // huma has checked its pattern
	return h
}

func torrentOf(t *catalog.Transfer) client.Torrent {
	return client.Torrent{
		InfoHash: t.InfoHash, Name: t.Name, File: t.File, Size: t.Size, Version: t.Version.String(),
		Private: t.Private, Source: t.Source.String(), Active: t.Active(), Profile: t.Profile,
	}
}

func timesOf(t *catalog.Transfer) client.Times {
	return client.Times{
		Registered: t.Registered, FirstStarted: t.FirstStarted, LastStarted: t.LastStarted,
		FirstCompleted: t.FirstCompleted, LastCompleted: t.LastCompleted, Deactivated: t.Deactivated,
	}
}
