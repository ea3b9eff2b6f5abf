package core

import (
	"encoding/binary"
	"slices"

	"waggle/bittorrent"
)

// asked is what an [ask] is for.
type asked uint8

const (
	askBuckets  asked = iota + 1 // the digests of all buckets
	askPage                      // the digests of torrents of a bucket
	askParts                     // the digests of the parts of a torrent
	askTorrents                  // all entries of some torrents
	askPeers                     // the entries of some parts of a torrent
	askKinds
)

// ask asks the other end for what it has told, or would have. heal numbers the
// healing: a greater one ends what was asked before. number is the ask's own.
type ask struct {
	heal, number uint32
	what         asked
	bucket       uint8                 // askPage
	after        bittorrent.InfoHash   // askPage: those that come after it
	begin        bool                  // askPage: from the first
	hash         bittorrent.InfoHash   // askParts, askPeers
	parts        [buckets / 8]byte     // askPeers: a bit each
	hashes       []bittorrent.InfoHash // askTorrents
	listed       int                   // of hashes, that were answered or passed over; not on the wire
}

// lists reports whether a torrent was asked for, and neither it nor one after it was
// answered yet. With one that was not asked for, nothing counts that comes after it.
func (a *ask) lists(h *bittorrent.InfoHash) bool {
	at := slices.Index(a.hashes[a.listed:], *h)
	if at < 0 {
		a.listed = len(a.hashes)
		return false
	}
	a.listed += at + 1
	return true
}

// Bounds of asking.
const (
	maxAskTorrents = 512  // torrents of an ask
	maxAskEntries  = 8192 // entries that their digests say they have
	maxAskParts    = 16   // parts of a torrent of an ask
	maxWhole       = 256  // entries of a torrent that is not asked for in parts
	pageLen        = 1000 // torrents of a page
)

func (a *ask) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, a.heal)
	b = binary.BigEndian.AppendUint32(b, a.number)
	b = append(b, byte(a.what))
	switch a.what {
	case askPage:
		b = append(b, a.bucket)
		if !a.begin {
			b = append(b, a.after[:]...)
		}
	case askParts:
		b = append(b, a.hash[:]...)
	case askTorrents:
		for i := range a.hashes {
			b = append(b, a.hashes[i][:]...)
		}
	case askPeers:
		b = append(append(b, a.hash[:]...), a.parts[:]...)
	}
	return b
}

func readAsk(b []byte) (a ask, err error) {
	r := reader{b: b}
	a = ask{heal: r.u32(), number: r.u32(), what: asked(r.u8())}
	switch a.what {
	case askBuckets:
	case askPage:
		a.bucket = r.u8()
		if a.begin = len(r.b) == 0; !a.begin {
			a.after = r.hash()
		}
	case askParts:
		a.hash = r.hash()
	case askTorrents:
		if n := len(r.b) / hashLen; n == 0 || n > maxAskTorrents {
			return a, errGarbled
		}
		for len(r.b) > 0 && !r.bad {
			a.hashes = append(a.hashes, r.hash())
		}
	case askPeers:
		a.hash = r.hash()
		copy(a.parts[:], r.take(len(a.parts)))
	default:
		return a, errGarbled
	}
	return a, r.end()
}

// answer is what all answers to an ask begin with.
type answer struct{ heal, number uint32 }

func (a answer) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, a.heal), a.number)
}

func (r *reader) answer() answer { return answer{heal: r.u32(), number: r.u32()} }

// pair is the digest of what its sender has told, and of all that it has.
type pair struct{ told, all uint64 }

func appendPairs(b []byte, told, all *digests) []byte {
	for i := range told {
		b = binary.BigEndian.AppendUint64(b, told[i])
		b = binary.BigEndian.AppendUint64(b, all[i])
	}
	return b
}

func (r *reader) pairs(told, all *digests) {
	for i := range told {
		told[i], all[i] = r.u64(), r.u64()
	}
}

// paged is a torrent of a page.
type paged struct {
	hash bittorrent.InfoHash
	pair
	size uint64 // entries that were told
}

func (p *paged) append(b []byte) []byte {
	b = append(b, p.hash[:]...)
	b = binary.BigEndian.AppendUint64(b, p.told)
	b = binary.BigEndian.AppendUint64(b, p.all)
	return binary.AppendUvarint(b, p.size)
}

func (r *reader) paged() paged {
	return paged{hash: r.hash(), pair: pair{told: r.u64(), all: r.u64()}, size: r.uvarint()}
}

// Flags of a page and a listing.
const (
	answerMore = 1 << iota // of a page: the bucket has more; of a listing: more messages follow
)
