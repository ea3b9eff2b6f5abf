package carrier

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"time"

	"waggle/cluster"
)

// Lengths in bytes.
const (
	// MaxDatagram is the longest datagram: with its headers it fits into a packet of a LAN,
	// also over IPv6.
	MaxDatagram = 1452

	// MinSecret is the shortest secret.
	MinSecret = 16

	macLen     = 16
	trailerLen = 8 + 8 + macLen // boot id, counter, MAC
	minMessage = 4
)

// The marks of datagrams that are not one message: types that no message has.
const (
	markSeveral   uint32 = 0x57670081
	markChallenge uint32 = 0x57670082
	markAnswer    uint32 = 0x57670083
)

// Why a datagram is not taken.
var (
	errMalformed = errors.New("not a datagram of a cluster")
	errForged    = errors.New("not sealed with the secret of this cluster, or not from this address to this one")
	errReplayed  = errors.New("a datagram that came before, or far too late")
	errUnproven  = errors.New("its sender has yet to show that it lives")
	errStrange   = errors.New("its sender has another address, or another life since")
	errOwn       = errors.New("a datagram of this instance itself")
	errCrowded   = errors.New("too many senders at once")
)

// Seals count what was made of datagrams that came.
type Seals struct {
	Malformed  uint64 // no datagram of a cluster
	Forged     uint64 // another secret, another cluster, other addresses, or none of these
	Replayed   uint64 // recorded, doubled, or far too late
	Unproven   uint64 // of senders that had yet to show that they live
	Strange    uint64 // of senders with another address, or another life since, or of this instance itself
	Crowded    uint64 // of senders or challenges that there was no room for
	Challenges uint64 // that went out
	Answers    uint64 // that went out
	Unfit      uint64 // messages too long or too short to be sent
}

// SealOptions are those of a [Seal].
type SealOptions struct {
	Secret   []byte         // of the cluster, [MinSecret] bytes and up; no two clusters' the same
	Unsealed bool           // without a secret: everybody is believed
	Name     string         // of the cluster: its group, or its prefix
	Address  netip.AddrPort // of this instance, as others see it
	Random   io.Reader      // nil: that of the operating system
}

// Seal makes datagrams of messages, and messages of datagrams. It has no time or network of its
// own. It is not safe for concurrent use.
type Seal struct {
	o       SealOptions
	boot    uint64
	counter uint64 // of the last datagram
	mac     hash.Hash
	own     hash.Hash // of nonces
	context []byte    // scratch
	sum     []byte    // scratch
	out     []byte    // what goes out
	parts   [][]byte  // of out
	reply   []byte    // to what came in

	senders   map[uint64]*sender // by boot id
	swept     time.Time
	start     time.Time // nonces count from then
	lastAsked time.Time // when the last challenge went out
	round     int64     // what follows is of this quarter of a second
	asked     map[uint64]struct{}
	answered  int

	figures Seals
}

// NewSeal returns a seal with a boot id of its own.
func NewSeal(o SealOptions) (*Seal, error) {
	switch {
	case o.Unsealed && len(o.Secret) > 0:
		return nil, errors.New("a cluster has a secret, or is expressly unsealed: leave one of the two away")
	case !o.Unsealed && len(o.Secret) == 0:
		return nil, errors.New("a cluster needs a secret that all its instances share: set one, the same on all, or say expressly that it is to be unsealed")
	case !o.Unsealed && len(o.Secret) < MinSecret:
		return nil, fmt.Errorf("the secret of the cluster has %d bytes: make it %d or more, by \"openssl rand -hex 32\" for example", len(o.Secret), MinSecret)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	var b [8 + 32]byte
	if _, err := io.ReadFull(o.Random, b[:]); err != nil {
		return nil, fmt.Errorf("no random bytes: %w", err)
	}
	o.Address = bare(o.Address)
	key := hmac.New(sha256.New, o.Secret)
	_, _ = io.WriteString(key, "waggle cluster 1\n"+o.Name) // a hash takes all
	return &Seal{
		o: o, boot: binary.BigEndian.Uint64(b[:]),
		mac: hmac.New(sha256.New, key.Sum(nil)), own: hmac.New(sha256.New, b[8:]),
		senders: map[uint64]*sender{}, asked: map[uint64]struct{}{},
	}, nil
}

// Figures returns what was counted so far.
func (s *Seal) Figures() Seals { return s.figures }

// Seal makes datagrams for an instance; for all, if to is zero. Messages go into one if they
// fit. They are good until the next call of Seal.
func (s *Seal) Seal(to netip.AddrPort, messages ...[]byte) [][]byte {
	s.out, s.parts = s.out[:0], s.parts[:0]
	s.reserve(messages)
	for len(messages) > 0 {
		n := s.fitting(messages)
		if n == 0 {
			s.figures.Unfit++
			messages = messages[1:]
			continue
		}
		at := len(s.out)
		s.pack(messages[:n])
		if !s.o.Unsealed {
			s.out = s.trail(s.out, at, to)
		}
		s.parts = append(s.parts, s.out[at:len(s.out):len(s.out)])
		messages = messages[n:]
	}
	return s.parts
}

// reserve makes room for all datagrams, so that none moves when the next is made.
func (s *Seal) reserve(messages [][]byte) {
	need := 0
	for _, m := range messages {
		need += len(m) + 4 + 2 + trailerLen
	}
	if cap(s.out) < need {
		s.out = make([]byte, 0, max(need, MaxDatagram))
	}
}

// fitting returns how many of the first messages go into a datagram; 0: the first fits into none.
func (s *Seal) fitting(messages [][]byte) (n int) {
	length := 4 + trailerLen
	for _, m := range messages {
		length += 2 + len(m)
		if len(m) < minMessage || len(m) > cluster.MaxMessage || n > 0 && (s.o.Unsealed || length > MaxDatagram) {
			return n
		}
		n++
	}
	return n
}

func (s *Seal) pack(messages [][]byte) {
	if len(messages) == 1 {
		s.out = append(s.out, messages[0]...)
		return
	}
	s.out = binary.BigEndian.AppendUint32(s.out, markSeveral)
	for _, m := range messages {
		s.out = append(binary.BigEndian.AppendUint16(s.out, uint16(len(m))), m...)
	}
}

// trail appends a trailer to what begins at a place of b.
func (s *Seal) trail(b []byte, at int, to netip.AddrPort) []byte {
	s.counter++
	b = binary.BigEndian.AppendUint64(b, s.boot)
	b = binary.BigEndian.AppendUint64(b, s.counter)
	return append(b, s.sign(signFrame, s.o.Address, to, b[at:])...)
}

// What a MAC is of, so that none of one kind passes for one of another.
const (
	signFrame byte = iota + 1
	signChallenge
	signAnswer
)

// sign returns the MAC of parts from an address to another, zero: to all. It is good until the
// next call. Only the last part may differ in length.
func (s *Seal) sign(kind byte, from, to netip.AddrPort, parts ...[]byte) []byte {
	s.context = appendAddress(appendAddress(append(s.context[:0], kind), from), to)
	s.mac.Reset()
	_, _ = s.mac.Write(s.context) // a hash takes all
	for _, part := range parts {
		_, _ = s.mac.Write(part)
	}
	s.sum = s.mac.Sum(s.sum[:0])
	return s.sum[:macLen]
}

func appendAddress(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(b, make([]byte, 18)...)
	}
	ip := a.Addr().As16()
	return binary.BigEndian.AppendUint16(append(b, ip[:]...), a.Port())
}

// Open makes messages of a datagram. toAll says that it was sent to all. A reply goes back to
// where it came from, whatever the error; it is good until the next call of Open. The messages are
// the caller's, and so is the datagram again. Errors are counted.
func (s *Seal) Open(now time.Time, from netip.AddrPort, toAll bool, datagram []byte) (messages [][]byte, reply []byte, err error) {
	from = bare(from)
	switch {
	case s.o.Unsealed && len(datagram) >= minMessage && len(datagram) <= cluster.MaxMessage:
		return [][]byte{bytes.Clone(datagram)}, nil, nil
	case s.o.Unsealed, len(datagram) < minMessage+trailerLen, len(datagram) > MaxDatagram:
		err = errMalformed
	default:
		s.pass(now)
		messages, reply, err = s.open(now, from, toAll, datagram)
	}
	if err != nil {
		s.count(err)
	}
	return messages, reply, err
}

// count counts why a datagram is not taken.
func (s *Seal) count(err error) {
	for _, c := range [...]struct {
		err   error
		count *uint64
	}{
		{errForged, &s.figures.Forged},
		{errMalformed, &s.figures.Malformed},
		{errReplayed, &s.figures.Replayed},
		{errUnproven, &s.figures.Unproven},
		{errStrange, &s.figures.Strange},
		{errOwn, &s.figures.Strange},
		{errCrowded, &s.figures.Crowded},
	} {
		if errors.Is(err, c.err) {
			*c.count++
			return
		}
	}
}

func (s *Seal) open(now time.Time, from netip.AddrPort, toAll bool, b []byte) (messages [][]byte, reply []byte, err error) {
	if len(b) == controlLen {
		switch binary.BigEndian.Uint32(b) {
		case markChallenge:
			reply, err = s.challenged(from, b)
			return nil, reply, err
		case markAnswer:
			return nil, nil, s.proven(now, from, b)
		}
	}
	to, window := s.o.Address, windowOwn
	if toAll {
		to, window = netip.AddrPort{}, windowAll
	}
	body, trailer := b[:len(b)-trailerLen], b[len(b)-trailerLen:]
	if !hmac.Equal(s.sign(signFrame, from, to, b[:len(b)-macLen]), trailer[16:]) {
		return nil, nil, errForged
	}
	boot, counter := binary.BigEndian.Uint64(trailer), binary.BigEndian.Uint64(trailer[8:])
	if boot == s.boot {
		return nil, nil, errOwn
	}
	k := s.senders[boot]
	if k == nil {
		reply, err = s.challenge(now, from, boot)
		return nil, reply, err
	}
	if k.dead || k.addr != from {
		return nil, nil, errStrange
	}
	if !k.windows[window].take(counter) {
		return nil, nil, errReplayed
	}
	k.heard = now
	messages, err = unpack(bytes.Clone(body))
	return messages, nil, err
}

func unpack(b []byte) (messages [][]byte, err error) {
	if binary.BigEndian.Uint32(b) != markSeveral {
		if len(b) > cluster.MaxMessage {
			return nil, errMalformed
		}
		return [][]byte{b}, nil
	}
	n, ok := several(b[4:], nil)
	if !ok {
		return nil, errMalformed
	}
	messages = make([][]byte, n)
	several(b[4:], messages)
	return messages, nil
}

// several counts the messages that stand one behind the other, and fills them in where there is
// room. It reports false where that is not what it has, or there are none.
func several(b []byte, messages [][]byte) (count int, ok bool) {
	for ; len(b) > 0; count++ {
		if len(b) < 2 {
			return 0, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if n < minMessage || n > cluster.MaxMessage || n > len(b)-2 {
			return 0, false
		}
		if count < len(messages) {
			messages[count] = b[2 : 2+n : 2+n]
		}
		b = b[2+n:]
	}
	return count, count > 0
}
