package echo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"waggle/bittorrent"
)

// HTTP answers HTTP announces with fixed bytes.
type HTTP struct {
	listener net.Listener
	server   http.Server
}

// ListenHTTP listens at an address. A request for /announce will be answered with
// the given number of peers, of IPv4, 0 to 200, and one for /scrape with no torrent.
func ListenHTTP(ctx context.Context, addr netip.AddrPort, peers int) (*HTTP, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("http %v cannot be listened on: %w", addr, err)
	}
	r := response(peers)
	mux := http.NewServeMux()
	mux.Handle("/announce", fixed(bittorrent.AppendHTTPAnnounceResponse(nil, &r, bittorrent.PeersCompact)))
	mux.Handle("/scrape", fixed(bittorrent.AppendHTTPScrapeResponse(nil, nil, nil, 0)))
	return &HTTP{listener: listener, server: http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}, nil
}

func fixed(body []byte) http.Handler {
	kind := []string{"text/plain"} // else net/http would look into the body for it
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = kind
		_, _ = w.Write(body) // the client may be gone
	})
}

// Addr returns the address, with the port that the system chose.
func (h *HTTP) Addr() netip.AddrPort { return h.listener.Addr().(*net.TCPAddr).AddrPort() }

// Serve answers until ctx ends, and closes all connections.
func (h *HTTP) Serve(ctx context.Context) error {
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- h.server.Close() })
	err := h.server.Serve(h.listener)
	if stop() {
		return fmt.Errorf("http: %w", errors.Join(err, h.server.Close()))
	}
	return <-closed
}
