package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"waggle/bittorrent"
)

// The types of messages, the first 32 bits of each: 0 to 5 are those of section 4 of the
// document, byte for byte; the others are waggle's own.
const (
	typeKeepalive uint32 = 0 // KA
	typeElection  uint32 = 1 // ME
	typeHello     uint32 = 2 // HI
	typeReady     uint32 = 3 // DS-ready
	typeCommit    uint32 = 4 // DS-commit
	typeDone      uint32 = 5 // DS-done

	typeForward uint32 = 0x57670001 // a peer's request, and where it came from
	typeStamp   uint32 = 0x57670002 // the time of a DS-commit
	typeAsk     uint32 = 0x57670003 // for a digest or rows
	typeDigests uint32 = 0x57670004
	typeRows    uint32 = 0x57670005
	typePull    uint32 = 0x57670006 // the master: ask me for what you lack
	typePulled  uint32 = 0x57670007
	typeBye     uint32 = 0x57670008 // an instance leaves
)

// MaxMessage is the longest message in bytes: with its trailer it fits into one packet of a
// LAN, also over IPv6.
const MaxMessage = 1400

// MaxTriplets is how many rows of CONTENTS fit into an answer to a HI message.
const MaxTriplets = (MaxMessage - helloLen) / tripletLen

// Lengths in bytes.
const (
	keepaliveLen = 24
	electionLen  = 24
	askHelloLen  = 12
	helloLen     = 52
	tripletLen   = 26
	syncLen      = 20 // of DS-commit and DS-done, and of DS-ready before its hashes
	announceLen  = 98
	forwardLen   = 4 + 8 + 16 + 2 + announceLen
)

var errMessage = errors.New("not a message of a cluster")

// Transaction tells a peer's request apart from all others: the connection id follows from
// the peer's address. Asked again it is the same one.
type Transaction struct {
	Connection uint64
	Action     bittorrent.Action
	ID         uint32
}

// Triplet is a row of CONTENTS and PEER-INFO as a HI message has it: a torrent, and a peer
// of it over IPv4.
type Triplet struct {
	InfoHash bittorrent.InfoHash
	Host     [4]byte
	Port     uint16
}

// Hello is a HI message. The request of a new instance has a connection alone. The answer
// has triplets; one without any looks like the confirmation of a new instance.
type Hello struct {
	Connection uint64
	Request    bool
	Assigned   ID
	Contents   [20]byte // the SHA-1 of all triplets, sorted
	Triplets   []Triplet
}

func header(dst []byte, kind uint32) []byte { return binary.BigEndian.AppendUint32(dst, kind) }

func appendKeepalive(dst []byte, id ID) []byte { return append(header(dst, typeKeepalive), id[:]...) }

func appendElection(dst []byte, lowest ID) []byte {
	return append(header(dst, typeElection), lowest[:]...)
}

func (h *Hello) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(header(dst, typeHello), h.Connection)
	if h.Request {
		return dst
	}
	dst = append(append(dst, h.Assigned[:]...), h.Contents[:]...)
	for i := range h.Triplets {
		dst = h.Triplets[i].append(dst)
	}
	return dst
}

func (t *Triplet) append(dst []byte) []byte {
	dst = append(append(dst, t.InfoHash[:]...), t.Host[:]...)
	return binary.BigEndian.AppendUint16(dst, t.Port)
}

func parseHello(b []byte) (h Hello, err error) {
	switch {
	case len(b) == askHelloLen:
		return Hello{Connection: binary.BigEndian.Uint64(b[4:]), Request: true}, nil
	case len(b) < helloLen || (len(b)-helloLen)%tripletLen != 0 || len(b) > MaxMessage:
		return h, fmt.Errorf("%w: HI of %d bytes", errMessage, len(b))
	}
	h.Connection = binary.BigEndian.Uint64(b[4:])
	copy(h.Assigned[:], b[12:])
	copy(h.Contents[:], b[32:])
	for b = b[helloLen:]; len(b) > 0; b = b[tripletLen:] {
		t := Triplet{Port: binary.BigEndian.Uint16(b[24:])}
		copy(t.InfoHash[:], b)
		copy(t.Host[:], b[20:])
		h.Triplets = append(h.Triplets, t)
	}
	return h, nil
}

// appendSync appends a DS message; of DS-ready with the torrents that the request names.
func appendSync(dst []byte, kind uint32, t Transaction, hashes ...bittorrent.InfoHash) []byte {
	dst = binary.BigEndian.AppendUint64(header(dst, kind), t.Connection)
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.Action))
	dst = binary.BigEndian.AppendUint32(dst, t.ID)
	for i := range hashes {
		dst = append(dst, hashes[i][:]...)
	}
	return dst
}

// parseSync reads a DS message. Only DS-ready may name torrents, and must.
func parseSync(b []byte) (t Transaction, hashes []bittorrent.InfoHash, err error) {
	ready := len(b) >= 4 && binary.BigEndian.Uint32(b) == typeReady
	if len(b) < syncLen || len(b) > MaxMessage || ready != (len(b) > syncLen) || (len(b)-syncLen)%20 != 0 {
		return t, nil, fmt.Errorf("%w: DS of %d bytes", errMessage, len(b))
	}
	t = Transaction{
		Connection: binary.BigEndian.Uint64(b[4:]),
		Action:     bittorrent.Action(binary.BigEndian.Uint32(b[12:])),
		ID:         binary.BigEndian.Uint32(b[16:]),
	}
	for b = b[syncLen:]; len(b) > 0; b = b[20:] {
		hashes = append(hashes, bittorrent.InfoHash(b[:20]))
	}
	return t, hashes, nil
}

// Request is an announce of a peer.
type Request struct {
	Source netip.AddrPort // where it came from
	Packet [announceLen]byte
}

// Transaction returns what tells the request apart.
func (r *Request) Transaction() Transaction {
	return Transaction{
		Connection: binary.BigEndian.Uint64(r.Packet[:]),
		Action:     bittorrent.Action(binary.BigEndian.Uint32(r.Packet[8:])),
		ID:         binary.BigEndian.Uint32(r.Packet[12:]),
	}
}

// InfoHash returns the torrent.
func (r *Request) InfoHash() bittorrent.InfoHash { return bittorrent.InfoHash(r.Packet[16:36]) }

// append appends the request as one instance passes it on to another. heardAt is when it was
// heard first, in the cluster's time.
func (r *Request) append(dst []byte, heardAt int64) []byte {
	dst = binary.BigEndian.AppendUint64(header(dst, typeForward), uint64(heardAt))
	ip := r.Source.Addr().As16()
	dst = append(dst, ip[:]...)
	dst = binary.BigEndian.AppendUint16(dst, r.Source.Port())
	return append(dst, r.Packet[:]...)
}

func parseForward(b []byte) (r Request, heardAt int64, err error) {
	if len(b) != forwardLen {
		return r, 0, fmt.Errorf("%w: a request of %d bytes", errMessage, len(b))
	}
	heardAt = int64(binary.BigEndian.Uint64(b[4:]))
	if heardAt <= 0 || heardAt > maxStamp {
		return r, 0, fmt.Errorf("%w: a request of %d", errMessage, heardAt)
	}
	r.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[12:28])).Unmap(), binary.BigEndian.Uint16(b[28:]))
	copy(r.Packet[:], b[30:])
	return r, heardAt, nil
}
