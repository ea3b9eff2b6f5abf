package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

// maxAnswer is the largest answer of an HTTP tracker in bytes.
const maxAnswer = 1 << 20

// trackers asks trackers, over UDP (BEP 15, 41), also by a multicast group, and
// HTTP (BEP 3, 7, 23).
type trackers struct {
	agent  string // User-Agent
	http   *http.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	groups *groups
}

func newTrackers(agent string, o *Options) *trackers {
	dial := dialFrom(o.Addr)
	return &trackers{
		agent:  agent,
		dial:   dial,
		groups: newGroups(o),
		http: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: dial,
				TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true,
				MaxResponseHeaderBytes: 64 << 10,
			},
		},
	}
}

// dialFrom returns what connects from an address: trackers tell others to come to the one that
// announces arrive from, so it has to be the one that is listened on. Where a tracker cannot be
// reached from there, as none beyond this machine from 127.0.0.1, the system chooses.
func dialFrom(addr netip.Addr) func(ctx context.Context, network, address string) (net.Conn, error) {
	anywhere := &net.Dialer{Timeout: 10 * time.Second}
	if !addr.IsValid() || addr.IsUnspecified() {
		return anywhere.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		from := *anywhere
		switch network {
		case "udp":
			from.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
		default:
			from.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
		}
		if conn, err := from.DialContext(ctx, network, address); err == nil {
			return conn, nil
		}
		return anywhere.DialContext(ctx, network, address)
	}
}

// post sends an announce to the tracker at a URL and reads its answer into out.
// The error of a tracker that refuses is its reason.
func (t *trackers) post(ctx context.Context, tracker string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	u, err := torrent.ParseTracker(tracker)
	if err != nil {
		return err
	}
	if group, is := groupOf(u); is {
		return t.groups.post(ctx, group, u.RequestURI(), a, out)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	switch u.Scheme {
	case "udp":
		return t.postUDP(ctx, u, a, out)
	case "http", "https":
		return t.postHTTP(ctx, u, a, out)
	}
	return fmt.Errorf("%s:// is not asked here: udp, http and https are", u.Scheme)
}

func (t *trackers) postHTTP(ctx context.Context, u *url.URL, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	query := []byte(u.RawQuery)
	if len(query) > 0 {
		query = append(query, '&')
	}
	asked := *u
	asked.RawQuery = string(bittorrent.AppendHTTPAnnounce(query, a))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, asked.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", t.agent)
	answer, err := t.http.Do(request)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxAnswer:
		return errors.New("its answer is larger than 1 MiB")
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return bittorrent.ParseHTTPAnnounceResponse(body, out)
}

// bare takes from an HTTP client's error the URL, which has the whole query.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func (t *trackers) postUDP(ctx context.Context, u *url.URL, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error {
	conn, err := t.dial(ctx, "udp", u.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	x := exchange{conn: conn, buffer: make([]byte, 2048), v6: isV6(conn.RemoteAddr())}
	// BEP 15 waits 15 seconds, then twice that; an answer within a data centre
	// takes milliseconds, so the first packets may be missed sooner.
	for wait := 2 * time.Second; ; wait *= 2 {
		err = x.announce(wait, a, u.RequestURI(), out)
		if ctx.Err() != nil && err != nil {
			return fmt.Errorf("no answer: %w", ctx.Err())
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			return err
		}
	}
}

func isV6(a net.Addr) bool {
	addr, err := netip.ParseAddrPort(a.String())
	return err == nil && addr.Addr().Unmap().Is6()
}

// exchange is packets to and from a UDP tracker.
type exchange struct {
	conn   net.Conn
	buffer []byte
	v6     bool
}

func (x *exchange) announce(wait time.Duration, a *bittorrent.AnnounceRequest, path string, out *bittorrent.AnnounceResponse) error {
	transaction := rand.Uint32()
	r, err := x.do(wait, bittorrent.AppendUDPConnect(nil, transaction), transaction)
	if err != nil {
		return err
	}
	connection, err := r.ConnectionID()
	if err != nil {
		return err
	}
	transaction = rand.Uint32()
	r, err = x.do(wait, bittorrent.AppendUDPAnnounce(nil, connection, transaction, a, path), transaction)
	if err != nil {
		return err
	}
	return r.Announce(x.v6, out)
}

// do sends a packet and waits for the answer to it; other packets are passed
// over.
func (x *exchange) do(wait time.Duration, packet []byte, transaction uint32) (bittorrent.UDPResponse, error) {
	if err := x.conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return bittorrent.UDPResponse{}, err
	}
	if _, err := x.conn.Write(packet); err != nil {
		return bittorrent.UDPResponse{}, err
	}
	for {
		n, err := x.conn.Read(x.buffer)
		if err != nil {
			return bittorrent.UDPResponse{}, err
		}
		r, err := bittorrent.ParseUDPResponse(x.buffer[:n])
		if err != nil || r.TransactionID != transaction {
			continue
		}
		if r.Action == bittorrent.ActionError {
			return r, bittorrent.Error(r.Body)
		}
		return r, nil
	}
}
