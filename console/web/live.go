package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"waggle/account"
)

const (
	maxStreams = 64              // open at once; more are refused
	liveEvery  = 2 * time.Second // between two looks at a page, at least

	// liveShare is how much longer than rendering all streams wait between two looks:
	// together they take 2 % of a core at most.
	liveShare = 50

	lookTime = 10 * time.Second // that rendering may take

	// liveBeat is how long a stream is silent at most: proxies cut one that is so for a
	// minute, and the browser that comes again costs a look.
	liveBeat = 20 * time.Second

	// liveWrite is how long a browser may take to accept what changed.
	liveWrite = 10 * time.Second
)

const eventStream = "text/event-stream; charset=utf-8"

// streams counts the streams that are open, and lets one of them render at a time.
type streams struct {
	sync.Mutex
	open      int
	rendering sync.Mutex
}

// enter takes a place, if there is one.
func (s *streams) enter() bool {
	s.Lock()
	defer s.Unlock()
	if s.open >= maxStreams {
		return false
	}
	s.open++
	return true
}

func (s *streams) leave() {
	s.Lock()
	defer s.Unlock()
	s.open--
}

// pause is how long to wait after a look that took so long.
func (s *streams) pause(took time.Duration) time.Duration {
	s.Lock()
	defer s.Unlock()
	return max(liveEvery, took*time.Duration(liveShare*s.open))
}

// stream sends what changes of the page ?page= while somebody looks at it, as
// server-sent events: block, an element's id and HTML, and end, with the reason.
func (s *Site) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", eventStream)
		return
	}
	path := account.LocalPath(r.URL.Query().Get("page"))
	if !s.live.enter() {
		w.Header().Set("Retry-After", "60")
		http.Error(w, fmt.Sprintf("%d pages are live already: this one is not.", maxStreams), http.StatusServiceUnavailable)
		return
	}
	defer s.live.leave()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // nothing more is read: the deadline of requests would end the stream
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("X-Accel-Buffering", "no")
	out := &stream{site: s, context: r.Context(), path: path, who: account.From(r.Context()), sent: map[string][]byte{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for left := time.Duration(0); ; { // until the next look
		select {
		case <-r.Context().Done():
			return
		case <-timer.C:
		}
		var more bool
		if left > 0 {
			more = out.beat()
		} else {
			var took time.Duration
			took, more = out.look()
			left = s.live.pause(took)
		}
		_ = control.SetWriteDeadline(time.Now().Add(liveWrite)) // in vain only if the connection is gone
		if _, err := w.Write(out.pending.Bytes()); err != nil || control.Flush() != nil || !more {
			return
		}
		out.pending.Reset()
		wait := min(left, liveBeat)
		left -= wait
		timer.Reset(wait)
	}
}

// stream is one page that somebody looks at.
type stream struct {
	site    *Site
	context context.Context // of the request, and so of whoever looks
	path    string
	who     account.Identity
	sent    map[string][]byte // blocks as the browser has them
	pending bytes.Buffer      // events
}

// look writes events of what has changed, and says how long rendering that took, and
// whether there is more to come.
func (t *stream) look() (took time.Duration, more bool) {
	if t.who.Ended() {
		return 0, t.end(loggedOut)
	}
	found := t.site.blocks(t.context, t.path)
	if found.err != nil {
		if status, _ := reason(found.err); status == http.StatusNotFound || status == http.StatusUnauthorized || status == http.StatusForbidden {
			return 0, t.end("Not live: reload the page")
		}
	}
	changed := false
	for id, html := range found.html {
		if bytes.Equal(t.sent[id], html) {
			continue
		}
		t.sent[id] = html
		changed = true
		if err := writeEvent(&t.pending, "block", map[string]string{"id": id, "html": string(html)}); err != nil {
			return 0, t.end(err.Error())
		}
	}
	if !changed {
		return found.took, t.beat()
	}
	return found.took, true
}

// loggedOut is why a stream ends with its session.
const loggedOut = "You are not logged in any more: reload the page"

// beat writes that the connection is alive, and says whether there is more to come.
func (t *stream) beat() (more bool) {
	if t.who.Ended() {
		return t.end(loggedOut)
	}
	t.pending.WriteString(":\n\n")
	return true
}

func (t *stream) end(why string) (more bool) {
	fmt.Fprintf(&t.pending, "event: end\ndata: %s\n\n", why)
	return false
}

// writeEvent writes an event whose data are JSON, which has no line breaks.
func writeEvent(w io.Writer, name string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, b)
	return err
}

// blocks renders what changes of a page.
func (s *Site) blocks(ctx context.Context, path string) *blocks {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found := &blocks{}
	u, err := url.Parse(path)
	if err != nil {
		found.err = &refusal{http.StatusNotFound, "This is no page."}
		return found
	}
	r, err := http.NewRequestWithContext(context.WithValue(ctx, blocksKey{}, found), http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		found.err = err
		return found
	}
	if handler, _ := s.mux.Handler(r); !isPage(handler) {
		found.err = &refusal{http.StatusNotFound, "This is no page."}
		return found
	}
	s.live.rendering.Lock()
	defer s.live.rendering.Unlock()
	began := time.Now()
	s.mux.ServeHTTP(discard{}, r)
	found.took = time.Since(began)
	return found
}

func isPage(h http.Handler) bool {
	_, is := h.(*page)
	return is
}

// discard takes an answer that nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
