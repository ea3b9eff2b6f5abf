package http

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"waggle/swarm"
)

// handler is what net/http serves. It answers announces and scrapes too, for
// those who ask for them in a way that is not looked at in place.
func (s *Server) handler() http.Handler {
	paths := s.paths()
	if !s.options.Passkeys {
		return s.upgrading(paths)
	}
	return s.upgrading(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if passkey, what, ok := passkeyPath(r.URL.Path); ok {
			s.bencoded(what, passkey)(w, r)
			return
		}
		paths.ServeHTTP(w, r)
	}))
}

// paths answers at the paths that there are for everybody.
func (s *Server) paths() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/announce", s.bencoded(announce, ""))
	mux.HandleFunc("/scrape", s.bencoded(scrape, ""))
	mux.HandleFunc("/health", s.health)
	if s.options.Challenges != nil {
		mux.Handle("/.well-known/acme-challenge/", s.options.Challenges)
	}
	mux.HandleFunc("/health/live", live)
	if s.options.Pages != nil {
		mux.Handle("/", s.counted(s.options.Pages))
		return mux
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.figures.notFound.Add(1)
		http.Error(w, "this is a BitTorrent tracker: it answers at /announce, /scrape and /health", http.StatusNotFound)
	})
	return mux
}

// upgrading gives the requests for WebSocket to who answers them, whatever their path.
func (s *Server) upgrading(others http.Handler) http.Handler {
	if s.options.WebSocket == nil {
		return others
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			others.ServeHTTP(w, r)
			return
		}
		remote, _ := netip.ParseAddrPort(r.RemoteAddr) // an address that cannot be read is refused below
		from, err := clientAddr(plain(remote.Addr()), r.Header.Values("X-Forwarded-For"), *s.trusted.Load())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.options.WebSocket.ServeUpgrade(w, r, from)
	})
}

// counted counts what pages do not know.
func (s *Server) counted(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages.ServeHTTP(&noting{ResponseWriter: w, figures: &s.figures}, r)
	})
}

// noting is an answer whose status counts.
type noting struct {
	http.ResponseWriter
	figures *figures
}

func (n *noting) WriteHeader(status int) {
	if status == http.StatusNotFound {
		n.figures.notFound.Add(1)
	}
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (s *Server) bencoded(what action, passkey string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		b := s.takeBuffers()
		defer s.keep(b)
		b.now = s.options.Tracker.Now()
		remote, _ := netip.ParseAddrPort(r.RemoteAddr) // an address that cannot be read is refused below
		body := s.decide(r.Context(), b, question{
			action:    what,
			passkey:   passkey,
			query:     r.URL.RawQuery,
			remote:    plain(remote.Addr()),
			forwarded: r.Header.Values("X-Forwarded-For"),
			agent:     r.UserAgent(),
		})
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // a client that is gone needs no answer
		b.answers = 1
		s.count(b)
	}
}

// health answers 200 as long as announces are answered, and 503 while the store cannot
// be reached, so that clients are sent to another tracker. What is wrong beside that is
// said in the text, and leaves the status alone: a supervisor that restarted the tracker
// for it would make it worse. This machine is told what it is; others, who may be anybody,
// that it is.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if s.options.Health != nil {
		err := s.options.Health()
		if errors.Is(err, swarm.ErrBusy) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintf(w, "unavailable: %s\n", toldTo(r, err))
			return
		}
		if err != nil {
			_, _ = fmt.Fprintf(w, "degraded: %s\n", toldTo(r, err))
			return
		}
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// live answers as long as the process does, whatever else is wrong: for a supervisor that
// would restart it otherwise.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "ok")
}

// toldTo returns the words of a fault, which may name servers within, for who asks.
func toldTo(r *http.Request, fault error) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("X-Forwarded-For") != "" {
		return "the tracker's log and console say why"
	}
	return fault.Error()
}
