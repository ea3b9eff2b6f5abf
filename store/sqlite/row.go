package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Lengths of a place, in bytes: an info hash alone, of a torrent; or with the
// compact address of a peer behind it (BEP 23, BEP 7).
const (
	placeTorrent = len(bittorrent.InfoHash{})
	place4       = placeTorrent + 4 + 2
	place6       = placeTorrent + 16 + 2
)

// Lengths of a state, in bytes. Numbers are big-endian, times Unix seconds.
//
//	torrent  completed downloads 4
//	peer     kind 1, key 4, last seen 4, unwritten until 4, peer id 20
//	details  first seen 4, uploaded 8, downloaded 8, left 8
const (
	stateTorrent = 4
	statePeer    = 1 + 4 + 4 + 4 + len(bittorrent.PeerID{})
	stateDetails = statePeer + 4 + 3*8
)

// row is a row of the table of swarms, or the news that it is gone.
type row struct {
	place    [place6]byte
	state    [stateDetails]byte
	placeLen uint8
	stateLen uint8 // 0: the row is gone
}

// key returns the row's place. Rows are ordered by it.
func (r *row) key() []byte { return r.place[:r.placeLen] }

// value returns the row's state, which is empty if it is gone.
func (r *row) value() []byte { return r.state[:r.stateLen] }

func compareRows(a, b *row) int { return bytes.Compare(a.key(), b.key()) }

// atTorrent makes the row that of a torrent, gone.
func (r *row) atTorrent(h *bittorrent.InfoHash) {
	r.placeLen, r.stateLen = uint8(copy(r.place[:], h[:])), 0
}

// atPeer makes the row that of a peer, gone.
func (r *row) atPeer(h *bittorrent.InfoHash, addr netip.AddrPort) {
	r.placeLen, r.stateLen = uint8(len(appendPlace(r.place[:0], h, addr))), 0
}

// appendPlace appends the place of a peer.
func appendPlace(place []byte, h *bittorrent.InfoHash, addr netip.AddrPort) []byte {
	place = append(place, h[:]...)
	if ip := addr.Addr(); ip.Is4() {
		ip4 := ip.As4()
		place = append(place, ip4[:]...)
	} else {
		ip6 := ip.As16()
		place = append(place, ip6[:]...)
	}
	return binary.BigEndian.AppendUint16(place, addr.Port())
}

// setDownloaded fills in a torrent's state.
func (r *row) setDownloaded(n uint32) {
	binary.BigEndian.PutUint32(r.state[:], n)
	r.stateLen = stateTorrent
}

// setPeer fills in the state of a peer of a torrent, with its details or without.
func (r *row) setPeer(h *bittorrent.InfoHash, p *swarm.Peer, details bool, every period) {
	last := unixSeconds(p.Last)
	state := append(r.state[:0], byte(p.Kind))
	state = binary.BigEndian.AppendUint32(state, p.Key)
	state = binary.BigEndian.AppendUint32(state, last)
	state = binary.BigEndian.AppendUint32(state, every.end(last, shiftOf(h, p.Addr)))
	state = append(state, p.ID[:]...)
	if details {
		state = binary.BigEndian.AppendUint32(state, unixSeconds(p.First))
		state = binary.BigEndian.AppendUint64(state, uint64(p.Uploaded))
		state = binary.BigEndian.AppendUint64(state, uint64(p.Downloaded))
		state = binary.BigEndian.AppendUint64(state, uint64(p.Left))
	}
	r.stateLen = uint8(len(state))
}

// errRow says that a row holds what waggle does not write.
var errRow = errors.New("a row is out of range")

// readDownloaded reads a torrent's state.
func readDownloaded(state []byte) (uint32, error) {
	if len(state) != stateTorrent {
		return 0, fmt.Errorf("%w: a torrent's state of %d bytes", errRow, len(state))
	}
	return binary.BigEndian.Uint32(state), nil
}

// readPeer reads a peer's place and state, and until when it may have announced
// without being written. Without details it was first seen when it was last, and
// what a leecher has left is not known.
func readPeer(place, state []byte, p *swarm.Peer) (until time.Time, err error) {
	addr, err := readPlace(place)
	if err != nil {
		return until, err
	}
	if len(state) != statePeer && len(state) != stateDetails || state[0] > byte(swarm.Leecher) {
		return until, fmt.Errorf("%w: the state of %v, of %d bytes", errRow, addr, len(state))
	}
	*p = swarm.Peer{
		ID:   bittorrent.PeerID(state[13:]),
		Addr: addr,
		Key:  binary.BigEndian.Uint32(state[1:]),
		Kind: swarm.Kind(state[0]),
		Last: time.Unix(int64(binary.BigEndian.Uint32(state[5:])), 0),
	}
	if p.First = p.Last; p.Kind != swarm.Seeder {
		p.Left = bittorrent.LeftUnknown
	}
	if details := state[statePeer:]; len(details) > 0 {
		p.First = time.Unix(int64(binary.BigEndian.Uint32(details)), 0)
		p.Uploaded = int64(binary.BigEndian.Uint64(details[4:]))
		p.Downloaded = int64(binary.BigEndian.Uint64(details[12:]))
		p.Left = int64(binary.BigEndian.Uint64(details[20:]))
	}
	return time.Unix(int64(binary.BigEndian.Uint32(state[9:])), 0), nil
}

// readPlace reads the address in the place of a peer.
func readPlace(place []byte) (netip.AddrPort, error) {
	if len(place) != place4 && len(place) != place6 {
		return netip.AddrPort{}, fmt.Errorf("%w: a place of %d bytes", errRow, len(place))
	}
	ip, _ := netip.AddrFromSlice(place[placeTorrent : len(place)-2])
	if ip.Is4In6() {
		return netip.AddrPort{}, fmt.Errorf("%w: %v is kept as IPv6", errRow, ip)
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(place[len(place)-2:])), nil
}

func unixSeconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), 1<<32-1)) }

// period is the length, in seconds, of the spans in which a peer that only
// announces again is written once. 0: every announce is written. They begin at
// other times for other peers, by a shift, so that not all are written at once.
type period uint32

// end returns the last second of the period that t lies in.
func (p period) end(t, shift uint32) uint32 {
	if p == 0 {
		return t
	}
	within := (uint64(t) + uint64(shift)) % uint64(p)
	return uint32(min(uint64(t)+uint64(p)-1-within, 1<<32-1))
}

// same reports whether two times lie in one period.
func (p period) same(a, b time.Time, shift uint32) bool {
	return p > 0 && p.end(unixSeconds(a), shift) == p.end(unixSeconds(b), shift)
}

// shiftOf returns the shift of the periods of a peer of a torrent.
func shiftOf(h *bittorrent.InfoHash, addr netip.AddrPort) uint32 {
	ip := addr.Addr().As16()
	mixed := (binary.LittleEndian.Uint64(h[12:])^binary.LittleEndian.Uint64(ip[8:]))*0x9e3779b97f4a7c15 + uint64(addr.Port())
	return uint32((mixed ^ mixed>>32) * 0xbf58476d1ce4e5b9 >> 32)
}
