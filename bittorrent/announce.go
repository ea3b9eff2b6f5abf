package bittorrent

import (
	"encoding/binary"
	"iter"
	"math"
	"net/netip"
	"time"
)

// Event is what a peer says of itself beside its figures. The numbers are
// those of BEP 15.
type Event uint8

// The events of BEP 3, and the one that BEP 21 adds.
const (
	EventNone      Event = 0 // a regular announce
	EventCompleted Event = 1 // the download has just become complete
	EventStarted   Event = 2 // the first announce of a session
	EventStopped   Event = 3 // the peer leaves
	EventPaused    Event = 4 // a partial seed: has all that it wants, but not all (BEP 21)
)

var eventNames = [...]string{"none", "completed", "started", "stopped", "paused"}

// String returns the event's word in an HTTP announce, and "none" where that
// has no word.
func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return "unknown"
}

// PeerForm says in which form a client wants the peers of an HTTP answer.
type PeerForm uint8

// The forms of BEP 23 and BEP 3.
const (
	PeersCompact    PeerForm = iota // byte strings of 6 and 18 bytes a peer
	PeersFull                       // a list of dictionaries with ip, port and peer id
	PeersWithoutIDs                 // the same without peer ids (no_peer_id=1)
)

// LeftUnknown stands for "some, but I cannot say how much": what a client that
// has only a magnet link announces as a negative number, or not at all.
const LeftUnknown = math.MaxInt64

// AnnounceRequest is what a peer sends to a tracker, over UDP or HTTP.
//
// The address that a client may name (ip= in HTTP, a field in UDP) has no place
// here: it is a claim that nobody can check, so it is never read.
type AnnounceRequest struct {
	InfoHash   InfoHash
	PeerID     PeerID
	Uploaded   int64 // bytes since the event started, 0 and up
	Downloaded int64 // bytes since the event started, 0 and up
	Left       int64 // bytes still to fetch, 0 and up; LeftUnknown where the client cannot say
	Key        uint32
	NumWant    int32 // peers wanted; negative for as many as the tracker likes
	Port       uint16
	Event      Event
	Form       PeerForm // HTTP only
}

// AnnounceResponse is what a tracker answers to an announce.
type AnnounceResponse struct {
	Interval    time.Duration // whole seconds; when to announce again
	MinInterval time.Duration // whole seconds; not before. 0: not said. HTTP only
	Complete    uint32        // seeders
	Incomplete  uint32        // everyone else, partial seeds included
	Downloaded  uint32        // completed downloads since the tracker knows the torrent. HTTP only
	ExternalIP  netip.Addr    // the client's address as the tracker sees it (BEP 24). HTTP only
	Warning     string        // for the client's user. HTTP only
	Peers       PeerList
}

// PeerList is a list of peers in the compact encodings of BEP 23 and BEP 7, so
// that the bytes can be sent, or come from the wire, as they are. The zero
// value is an empty list.
type PeerList struct {
	V4   []byte   // 6 bytes a peer: address, port
	V6   []byte   // 18 bytes a peer: address, port
	IDs4 []PeerID // peer ids in the order of V4, or empty
	IDs6 []PeerID // peer ids in the order of V6, or empty
}

// Sizes of a compact peer in bytes.
const (
	CompactLen4 = 6
	CompactLen6 = 18
)

// Reset empties the list and keeps its memory.
func (l *PeerList) Reset() {
	l.V4, l.V6, l.IDs4, l.IDs6 = l.V4[:0], l.V6[:0], l.IDs4[:0], l.IDs6[:0]
}

// Len returns the number of peers of both families.
func (l *PeerList) Len() int { return len(l.V4)/CompactLen4 + len(l.V6)/CompactLen6 }

// Append adds a peer without its id. An IPv4 address in IPv6 clothes counts as
// IPv4; an invalid address is left out.
func (l *PeerList) Append(addr netip.AddrPort) {
	ip := addr.Addr().Unmap()
	switch {
	case ip.Is4():
		a := ip.As4()
		l.V4 = binary.BigEndian.AppendUint16(append(l.V4, a[:]...), addr.Port())
	case ip.Is6():
		a := ip.As16()
		l.V6 = binary.BigEndian.AppendUint16(append(l.V6, a[:]...), addr.Port())
	}
}

// AppendWithID adds a peer and its id.
func (l *PeerList) AppendWithID(addr netip.AddrPort, id PeerID) {
	switch ip := addr.Addr().Unmap(); {
	case ip.Is4():
		l.IDs4 = append(l.IDs4, id)
	case ip.Is6():
		l.IDs6 = append(l.IDs6, id)
	}
	l.Append(addr)
}

// DeleteFunc takes out the peers for which del returns true, in place.
func (l *PeerList) DeleteFunc(del func(netip.AddrPort) bool) {
	l.V4, l.IDs4 = deleteCompact(l.V4, l.IDs4, CompactLen4, del)
	l.V6, l.IDs6 = deleteCompact(l.V6, l.IDs6, CompactLen6, del)
}

func deleteCompact(peers []byte, ids []PeerID, size int, del func(netip.AddrPort) bool) ([]byte, []PeerID) {
	kept := 0
	for i := range len(peers) / size {
		peer := peers[i*size:][:size]
		ip, _ := netip.AddrFromSlice(peer[:size-2]) // 4 or 16 bytes
		if del(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(peer[size-2:]))) {
			continue
		}
		copy(peers[kept*size:], peer)
		if i < len(ids) {
			ids[kept] = ids[i]
		}
		kept++
	}
	return peers[:kept*size], ids[:min(kept, len(ids))]
}

// Truncate keeps at most n peers, those of IPv4 first.
func (l *PeerList) Truncate(n int) {
	n4 := min(len(l.V4)/CompactLen4, max(n, 0))
	n6 := min(len(l.V6)/CompactLen6, max(n, 0)-n4)
	l.V4, l.IDs4 = l.V4[:n4*CompactLen4], l.IDs4[:min(n4, len(l.IDs4))]
	l.V6, l.IDs6 = l.V6[:n6*CompactLen6], l.IDs6[:min(n6, len(l.IDs6))]
}

// All yields the peers in order, IPv4 first, with their ids where the list has
// them and zero ids where it has not.
func (l *PeerList) All() iter.Seq2[netip.AddrPort, PeerID] {
	return func(yield func(netip.AddrPort, PeerID) bool) {
		for i := 0; (i+1)*CompactLen4 <= len(l.V4); i++ {
			b := l.V4[i*CompactLen4:]
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:]))
			if !yield(addr, idAt(l.IDs4, i)) {
				return
			}
		}
		for i := 0; (i+1)*CompactLen6 <= len(l.V6); i++ {
			b := l.V6[i*CompactLen6:]
			addr := netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), binary.BigEndian.Uint16(b[16:]))
			if !yield(addr, idAt(l.IDs6, i)) {
				return
			}
		}
	}
}

func idAt(ids []PeerID, i int) PeerID {
	if i < len(ids) {
		return ids[i]
	}
	return PeerID{}
}

// ScrapeCounts is what a scrape tells of one torrent.
type ScrapeCounts struct {
	Complete    uint32 // seeders
	Incomplete  uint32 // everyone else, partial seeds included
	Downloaded  uint32 // completed downloads since the tracker knows the torrent
	Downloaders uint32 // incomplete without the partial seeds (BEP 21). HTTP only
}

// seconds rounds to whole seconds and keeps within what 32 bits of BEP 15 hold.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d.Round(time.Second)/time.Second, 0), math.MaxInt32))
}
