package public

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/swarm"
)

// Swarms are the peers that the tracker knows; a store is such. All methods may be
// called concurrently.
type Swarms interface {
	// Scrape fills in counts, which is as long as hashes.
	Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error

	// Totals returns how many peers there are of all torrents.
	Totals(ctx context.Context) (swarm.Totals, error)
}

// Options are the settings of a [Handler]. Catalog and Swarms must be given.
type Options struct {
	Catalog Catalog
	Swarms  Swarms

	Log *slog.Logger     // nil: none
	Now func() time.Time // the clock; nil: time.Now
}

// How long something is shown to others than those that it was made for.
const (
	pageTime    = 10 * time.Second
	feedTime    = time.Minute
	torrentTime = time.Minute
)

// maxCursor bounds a place in the list, in bytes: it has an info hash and a
// [catalog.MaxKey] of a name, in base64.
const maxCursor = 1 << 10

// policy is what a page may load: its own style, and nothing else.
const policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers strangers. Use [New].
type Handler struct {
	o    Options
	mux  *http.ServeMux
	kept *keeper
}

// New returns a handler for all paths of a tracker but those of announces. It may be
// called concurrently.
func New(o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{o: o, mux: http.NewServeMux(), kept: newKeeper(o.Now)}
	h.mux.HandleFunc("GET /{$}", h.page)
	h.mux.HandleFunc("GET /style.css", h.style)
	h.mux.HandleFunc("GET /feed.atom", h.feed)
	h.mux.HandleFunc("GET /torrents/{file}", h.torrent)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	serve(w, r, &kept{body: style, media: "text/css; charset=utf-8", tag: styleTag})
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	if len(after) > maxCursor {
		http.Error(w, "this is no place in the list: begin at /", http.StatusBadRequest)
		return
	}
	if at, ok := h.base(w, r); ok {
		h.answer(w, r, "page "+at+" "+after, pageTime, func(ctx context.Context) (*kept, error) { return h.makePage(ctx, at, after) })
	}
}

// base returns what the visitor calls the tracker. If that cannot be written into links,
// it answers so.
func (h *Handler) base(w http.ResponseWriter, r *http.Request) (at string, ok bool) {
	at, err := base(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return at, err == nil
}

func (h *Handler) feed(w http.ResponseWriter, r *http.Request) {
	at, ok := h.base(w, r)
	if !ok {
		return
	}
	h.answer(w, r, "feed "+at, feedTime, func(ctx context.Context) (*kept, error) {
		entries, err := Latest(ctx, h.o.Catalog, FeedSize)
		if err != nil {
			return nil, err
		}
		body, err := feed(at, "/feed.atom", entries, torrentPath)
		if err != nil {
			return nil, err
		}
		return &kept{body: body, media: FeedType, tag: tagOf(body), modified: updated(entries)}, nil
	})
}

const extension = ".torrent"

func torrentPath(h bittorrent.InfoHash) string { return "/torrents/" + h.String() + extension }

// torrent answers with a .torrent. Whether there is one costs nothing to find out.
func (h *Handler) torrent(w http.ResponseWriter, r *http.Request) {
	digits, is := strings.CutSuffix(r.PathValue("file"), extension)
	hash, err := bittorrent.ParseInfoHash(digits)
	var t catalog.Transfer
	if err == nil {
		t, err = h.o.Catalog.Get(hash)
	}
	if !is || err != nil || !t.Active() {
		http.Error(w, "this tracker has no such torrent, or does not serve it now", http.StatusNotFound)
		return
	}
	h.answer(w, r, "torrent "+hash.String(), torrentTime, func(ctx context.Context) (*kept, error) {
		body, err := h.o.Catalog.Torrent(ctx, hash)
		if err != nil {
			return nil, err
		}
		return &kept{
			body: body, media: torrentType, tag: tagOf(body),
			disposition: mime.FormatMediaType("attachment", map[string]string{"filename": t.File}),
		}, nil
	})
}

// answer answers with what is kept under a key, or has it made.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, key string, lasts time.Duration, build func(context.Context) (*kept, error)) {
	k, err := h.kept.get(r.Context(), key, lasts, build)
	if err == nil {
		err = h.kept.send(k, func() {
			w.Header().Set("Cache-Control", "max-age=10")
			if k.disposition != "" {
				w.Header().Set("Content-Disposition", k.disposition)
			}
			serve(w, r, k)
		})
	}
	switch {
	case err == nil:
	case errors.Is(err, catalog.ErrCursor):
		http.Error(w, "this is no place in the list: begin at /", http.StatusBadRequest)
	case errors.Is(err, catalog.ErrUnknown), errors.Is(err, catalog.ErrGone), errors.Is(err, catalog.ErrElsewhere):
		http.Error(w, "the .torrent is not here", http.StatusNotFound)
	case errors.Is(err, errBusy), errors.Is(err, swarm.ErrBusy): // of a store on a network, which says so itself
		w.Header().Set("Retry-After", "60")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case r.Context().Err() != nil: // whoever asked is gone
	default:
		h.o.Log.Error("the public page could not answer", "path", r.URL.Path, "error", err)
		http.Error(w, "the tracker could not do this; its log tells more", http.StatusInternalServerError)
	}
}
