package http

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"
)

// signature is what a PROXY header of version 2 begins with. No request over HTTP or TLS does.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// Sizes of a header of version 2 in bytes.
const (
	headerHead = len(signature) + 4 // version, family and length included
	maxIntro   = 4 << 10            // with all that a proxy tells besides, which nothing here reads
)

// Faults of headers, for the log of the operator.
var (
	errNoHeader  = errors.New("the PROXY header is missing: have the balancer send it (send-proxy-v2 in haproxy), or take its address out of access.proxy_protocol")
	errVersion1  = errors.New("the PROXY header is of version 1: have the balancer send version 2 (send-proxy-v2 in haproxy)")
	errBadHeader = errors.New("the PROXY header is broken, or of something else than a connection over TCP")
	errNoProxy   = errors.New("a PROXY header came from an address that is not in access.proxy_protocol: if it is a balancer of yours, add it")
)

// parseHeader reads the PROXY header that in begins with, and returns its length in bytes: where is
// is partial, how many bytes are needed to tell more. client is whom a connection comes from; it is
// not valid where that is the proxy itself, or where the proxy does not know.
func parseHeader(in []byte) (client netip.AddrPort, length int, is parsed, err error) {
	const version1 = "PROXY "
	seen := string(in[:min(len(in), len(signature))])
	switch {
	case seen != signature[:len(seen)] && len(in) < len(version1) && string(in) == version1[:len(in)]:
		return client, len(version1), partial, nil
	case bytes.HasPrefix(in, []byte(version1)):
		return client, 0, whole, errVersion1
	case seen != signature[:len(seen)]:
		return client, 0, whole, errNoHeader
	case len(in) < headerHead:
		return client, headerHead, partial, nil
	}
	const (
		local = 0x20 // the version and a command
		proxy = 0x21
	)
	command, family := in[len(signature)], in[len(signature)+1]
	length = headerHead + int(binary.BigEndian.Uint16(in[headerHead-2:]))
	switch {
	case command != local && command != proxy, length > maxIntro:
		return client, 0, whole, errBadHeader
	case len(in) < length:
		return client, length, partial, nil
	case command == local:
		return client, length, whole, nil
	}
	client, ok := clientOf(family, in[headerHead:length])
	if !ok {
		return client, 0, whole, errBadHeader
	}
	return client, length, whole, nil
}

// clientOf reads the address that a connection comes from. It is not valid where the proxy names none.
func clientOf(family byte, body []byte) (client netip.AddrPort, ok bool) {
	const (
		unspecified = 0x00
		tcp4        = 0x11
		tcp6        = 0x21
		unixStream  = 0x31
	)
	const ( // bytes of both ends, addresses first
		bothV4   = 2*4 + 2*2
		bothV6   = 2*16 + 2*2
		bothUnix = 2 * 108
	)
	switch {
	case family == unspecified, family == unixStream && len(body) >= bothUnix:
		return client, true
	case family == tcp4 && len(body) >= bothV4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[2*4:])), true
	case family == tcp6 && len(body) >= bothV6:
		return netip.AddrPortFrom(plain(netip.AddrFrom16([16]byte(body))), binary.BigEndian.Uint16(body[2*16:])), true
	}
	return client, false
}

// readHeader reads a header, and nothing behind it.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	in := make([]byte, 0, 256)
	for need := headerHead; ; {
		have := len(in)
		in = append(in, make([]byte, need-have)...)
		if _, err := io.ReadFull(r, in[have:]); err != nil {
			return netip.AddrPort{}, err
		}
		client, length, is, err := parseHeader(in)
		if is == whole {
			return client, err
		}
		need = length
	}
}

// startsLikeProxyHeader looks at as much as a record of TLS has for its own header.
func startsLikeProxyHeader(in []byte) bool {
	return bytes.HasPrefix(in, []byte(signature[:5])) || bytes.HasPrefix(in, []byte("PROXY"))
}

// proxies are those whose connections begin with a header.
type proxies struct {
	networks atomic.Pointer[[]netip.Prefix] // nil: there are none
	told     atomic.Int64                   // when the log was told of a fault latest, in seconds of Unix
}

// ExpectHeaders replaces the proxies that begin each connection with a PROXY header of version 2.
// Their connections without one are refused, and so are those of others with one.
func (s *Server) ExpectHeaders(of []netip.Prefix) {
	if len(of) == 0 {
		s.proxies.networks.Store(nil)
		return
	}
	s.proxies.networks.Store(&of)
}

func (s *Server) isProxy(ip netip.Addr) bool {
	networks := s.proxies.networks.Load()
	return networks != nil && contains(*networks, ip)
}

// tellAgain is how often the log is told of headers that are refused, in seconds: strangers cause
// some of them.
const tellAgain = 60

func (s *Server) refuseHeader(from netip.Addr, why error) {
	s.figures.refusedHeaders.Add(1)
	now, last := time.Now().Unix(), s.proxies.told.Load()
	if now-last >= tellAgain && s.proxies.told.CompareAndSwap(last, now) {
		s.options.Log.Warn("an http connection was refused", "from", from, "error", why)
	}
}

// introduce reads the header that c expects from what was read, and expects it no more once it is
// there. Until then it returns what to do.
func (c *conn) introduce() next {
	b := c.b
	client, length, is, err := parseHeader(b.in[b.start:b.end])
	switch {
	case err != nil:
		c.server.refuseHeader(c.from, err)
		b.out = append(b.out, notIntroduced...)
		return hangUp
	case is == partial:
		return readMore
	}
	c.expects = false
	b.start += length
	c.meet(client)
	return readMore
}

// meet makes a client whom the connection comes from, if a proxy has named it.
func (c *conn) meet(client netip.AddrPort) {
	if client.IsValid() {
		c.client, c.from = client, client.Addr()
	}
}

// notIntroduced is what a proxy is told that does not say whom it speaks for. Whoever looks for the
// mistake sees it there, or in the log.
var notIntroduced = func() string {
	const why = "this tracker takes connections from this address with a PROXY header of version 2 only\n"
	return "HTTP/1.1 " + strconv.Itoa(http.StatusBadRequest) + " Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
		strconv.Itoa(len(why)) + "\r\n\r\n" + why
}()
