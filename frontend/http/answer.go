package http

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Sizes of buffers in bytes.
const (
	readSize   = 8 << 10   // a scrape of 74 torrents fits; what is longer is net/http's
	flushSize  = 32 << 10  // answers that are written before more are added
	keptMemory = 128 << 10 // of answers, beyond which buffers are not kept for later
)

// buffers are what the requests of one connection need while they are read and
// answered. They are kept for other connections.
type buffers struct {
	in         [readSize]byte
	start, end int       // of what was read and is not answered
	now        time.Time // the tracker's, when that was read
	out        []byte    // answers that are not written yet
	body       []byte    // of the answer that is being made

	tally     *tally // of those who use these buffers
	answers   int    // to announces and scrapes, that are not counted there yet
	announces int    // among these

	request    request
	announce   swarm.Announce
	reply      swarm.Reply
	hashes     []bittorrent.InfoHash
	counts     []bittorrent.ScrapeCounts
	date       []byte // the Date header's value, for:
	dateSecond int64
}

func (s *Server) takeBuffers() *buffers { return s.buffers.Get().(*buffers) }

// keep gives buffers back.
func (s *Server) keep(b *buffers) {
	if cap(b.out)+cap(b.body) > keptMemory {
		return
	}
	b.start, b.end, b.out = 0, 0, b.out[:0]
	b.request.agent, b.announce.Credentials = "", swarm.Credentials{} // which point into memory of anyone
	clear(b.request.forwarded[:cap(b.request.forwarded)])             // they point into memory of anyone
	s.buffers.Put(b)
}

// next is what a connection does after what it has read was answered.
type next uint8

const (
	readMore   next = iota // what is left, if anything, is the beginning of a request
	writeFirst             // there may be more to answer, but not before this is written
	hangUp                 // after this is written
	handOver               // what is left is for net/http
)

// answer answers the plain requests among what was read, in their order: it
// takes them from b.in and appends the answers to b.out. from is the address of
// the connection. b.now must be set.
//
// Nothing is allocated where neither the tracker nor a fault does.
func (s *Server) answer(b *buffers, from netip.Addr) next {
	for b.start < b.end {
		r := &b.request
		length, is := r.parse(b.unanswered())
		if is == foreign || is == partial && b.end-b.start == len(b.in) {
			return handOver
		}
		if is == partial {
			return readMore
		}
		b.start += length
		r.close = r.close || s.isClosing()
		body := s.decide(s.context, b, question{r.action, r.passkey, r.query, from, r.forwarded, r.agent})
		b.appendHead(len(body))
		b.out = append(b.out, body...)
		b.answers++
		if r.close {
			return hangUp
		}
		if len(b.out) >= flushSize {
			return writeFirst
		}
	}
	return readMore
}

// unanswered returns what was read as a string, without copying it: a copy for
// each request is what reading in place is to avoid. The string changes when more
// is read into b. Nobody keeps it until then: a question is decided before, and
// what tracker and store keep of it is in arrays.
func (b *buffers) unanswered() string {
	return unsafe.String(&b.in[b.start], b.end-b.start)
}

// makeRoom moves what is not answered to the front, so that more can be read.
func (b *buffers) makeRoom() {
	if b.start > 0 {
		b.end = copy(b.in[:], b.in[b.start:b.end])
		b.start = 0
	}
}

// appendHead appends status line and headers to b.out, byte for byte as net/http
// writes them.
func (b *buffers) appendHead(length int) {
	if b.request.http10 {
		b.out = append(b.out, "HTTP/1.0 200 OK\r\nContent-Length: "...)
	} else {
		b.out = append(b.out, "HTTP/1.1 200 OK\r\nContent-Length: "...)
	}
	b.out = strconv.AppendInt(b.out, int64(length), 10)
	b.out = append(b.out, "\r\nContent-Type: text/plain\r\nDate: "...)
	if second := b.now.Unix(); second != b.dateSecond || len(b.date) == 0 {
		b.date, b.dateSecond = b.now.UTC().AppendFormat(b.date[:0], http.TimeFormat), second
	}
	b.out = append(b.out, b.date...)
	switch {
	case b.request.close && !b.request.http10:
		b.out = append(b.out, "\r\nConnection: close"...)
	case !b.request.close && b.request.http10:
		b.out = append(b.out, "\r\nConnection: keep-alive"...)
	}
	b.out = append(b.out, "\r\n\r\n"...)
}
