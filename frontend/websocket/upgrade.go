package websocket

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unique"

	"github.com/gobwas/ws"

	"waggle/bittorrent"
)

// ServeUpgrade answers a request for WebSocket that comes from an address, and has the
// connection from then on, if it is let in.
func (s *Server) ServeUpgrade(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	shown, ok := credentialsOf(r)
	switch {
	case r.ProtoMajor != 1:
		s.refuse(w, errVersion)
		return
	case !s.allows(r.Header.Get("Origin")):
		s.refuse(w, errOrigin)
		return
	case !ok:
		s.refuse(w, errTooLong)
		return
	}
	remote, _ := netip.ParseAddrPort(r.RemoteAddr) // without a port it is told from others by its id
	c := &conn{server: s, address: from.As16(), port: remote.Port(), agent: agentOf(r), credentials: shown}
	c.heard.Store(s.seconds())
	if why := s.add(c); why != nil {
		s.refuse(w, why)
		return
	}
	under, buffered, _, err := ws.HTTPUpgrader{Timeout: handshakeTime}.Upgrade(r, w)
	if err != nil {
		s.figures.refused.Add(1)
		s.remove(c)
		if under != nil {
			_ = under.Close()
		}
		return
	}
	s.figures.connections.Add(1)
	s.begin(c, under, unread(buffered))
}

func (s *Server) refuse(w http.ResponseWriter, why *refusal) {
	s.figures.refused.Add(1)
	http.Error(w, why.Error(), why.status)
}

// allows tells whether pages of an origin may connect. Who is no browser has none.
func (s *Server) allows(origin string) bool {
	allowed := *s.origins.Load()
	return len(allowed) == 0 || origin == "" || slices.Contains(allowed, strings.ToLower(origin))
}

// maxAgent is how many bytes are kept of what a program calls itself.
const maxAgent = 256

func agentOf(r *http.Request) unique.Handle[string] {
	agent := r.UserAgent()
	return unique.Make(strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], ""))
}

// maxToken is how many bytes a token has at most, as it is kept with the connection.
const maxToken = 4 << 10

// credentialsOf returns what a client has shown in the URL; nil: nothing. A passkey is
// where it is over HTTP and UDP. It reports false where there is more than anybody needs.
func credentialsOf(r *http.Request) (shown *credentials, ok bool) {
	passkey, _, _ := bittorrent.PasskeyPath(r.URL.Path)
	token := r.URL.Query().Get("jwt")
	switch {
	case passkey == "" && token == "":
		return nil, true
	case len(token) > maxToken:
		return nil, false
	}
	return &credentials{strings.Clone(passkey), strings.Clone(token)}, true
}

// unread returns what a client has sent already.
func unread(buffered *bufio.ReadWriter) []byte {
	in, _ := buffered.Peek(buffered.Reader.Buffered())
	return slices.Clone(in)
}

// detachable is a connection of HTTP, of which something may have been read already.
type detachable interface {
	// Detach ends its count as one of HTTP, and returns the connection under it and what
	// was read of that.
	Detach() (under net.Conn, read []byte)
}

// placed is what is below TLS, where that is what counts as a connection of HTTP.
type placed interface {
	// LeavePlace ends that.
	LeavePlace()
}

// begin answers a connection. read is what was read of it already.
func (s *Server) begin(c *conn, under net.Conn, read []byte) {
	if d, ok := under.(detachable); ok {
		var rest []byte
		under, rest = d.Detach()
		read = append(read, rest...)
	}
	if secure, ok := under.(*tls.Conn); ok {
		if p, ok := secure.NetConn().(placed); ok {
			p.LeavePlace()
		}
	}
	if tcp, ok := under.(*net.TCPConn); ok && s.poller != nil && len(read) == 0 && s.poller.take(c, tcp) {
		return
	}
	stream := &goroutine{conn: c, Conn: under}
	if !c.begin(stream) {
		stream.end()
		return
	}
	s.serving.Go(func() { stream.serve(read) })
}
