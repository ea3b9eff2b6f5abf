package cluster

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"waggle/bittorrent"
)

// parseStamp reads a stamp, and what the cluster's time was when it was sent.
func parseStamp(b []byte) (t Transaction, s stamp, now int64, err error) {
	if len(b) != stampLen {
		return t, s, 0, fmt.Errorf("%w: a stamp of %d bytes", errMessage, len(b))
	}
	t = Transaction{binary.BigEndian.Uint64(b[4:]), bittorrent.Action(binary.BigEndian.Uint32(b[12:])), binary.BigEndian.Uint32(b[16:])}
	s.at, s.count, now = int64(binary.BigEndian.Uint64(b[20:])), int64(binary.BigEndian.Uint64(b[28:])), int64(binary.BigEndian.Uint64(b[36:]))
	if min(s.at, now) <= 0 || max(s.at, now) > maxStamp || s.count < 0 {
		return t, s, 0, fmt.Errorf("%w: a stamp of %d at %d", errMessage, s.at, now)
	}
	return t, s, now, nil
}

const (
	stampLen   = 44
	cursorLen  = 20 + 16 + 2 + 20
	askLen     = 4 + 4 + 4 + 8 + cursorLen
	digestsLen = 4 + 4 + 4 + fanOut*8
	rowsLen    = 4 + 4 + 4 + 4 + cursorLen // before the rows
	rowLen     = cursorLen + 1 + 3*8 + 4 + 2*8
	pullLen    = 4 + 4 + 8 + 8

	// maxRows is how many rows fit into a message.
	maxRows = (MaxMessage - rowsLen) / rowLen

	// maxStamp is the year 2286.
	maxStamp = 9_999_999_999_000_000
)

func appendStamp(dst []byte, t Transaction, s stamp, now int64) []byte {
	dst = appendSync(dst, typeStamp, t)
	for _, n := range [...]int64{s.at, s.count, now} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// ask asks for the digests of a node of the tree of digests, or for the rows of a leaf that
// follow a cursor.
type ask struct {
	pull  uint32 // a number of the asker's, which the answer repeats
	node  uint32
	now   int64 // the asker's time of the cluster
	after cursor
}

// cursor is a place in the order of rows.
type cursor [cursorLen]byte

func (a *ask) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(header(dst, typeAsk), a.pull)
	dst = binary.BigEndian.AppendUint32(dst, a.node)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.now))
	return append(dst, a.after[:]...)
}

func parseAsk(b []byte) (a ask, err error) {
	if len(b) != askLen {
		return a, fmt.Errorf("%w: a question of %d bytes", errMessage, len(b))
	}
	a = ask{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), int64(binary.BigEndian.Uint64(b[12:])), cursor(b[20:])}
	if a.node >= nodes || a.now < 0 || a.now > maxStamp {
		return a, fmt.Errorf("%w: a question for node %d at %d", errMessage, a.node, a.now)
	}
	return a, nil
}

func appendDigests(dst []byte, pull, node uint32, d *[fanOut]uint64) []byte {
	dst = binary.BigEndian.AppendUint32(header(dst, typeDigests), pull)
	dst = binary.BigEndian.AppendUint32(dst, node)
	for _, n := range d {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return dst
}

func parseDigests(b []byte) (pull, node uint32, d [fanOut]uint64, err error) {
	if len(b) != digestsLen || binary.BigEndian.Uint32(b[8:]) > fanOut {
		return 0, 0, d, fmt.Errorf("%w: digests of %d bytes", errMessage, len(b))
	}
	for i := range d {
		d[i] = binary.BigEndian.Uint64(b[12+8*i:])
	}
	return binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), d, nil
}

// rows are rows of a leaf that follow a cursor. more: there are others behind them.
type rows struct {
	pull  uint32
	node  uint32
	after cursor
	more  bool
	list  []Row
}

func (r *rows) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(header(dst, typeRows), r.pull)
	dst = binary.BigEndian.AppendUint32(dst, r.node)
	more := uint32(0)
	if r.more {
		more = 1
	}
	dst = append(binary.BigEndian.AppendUint32(dst, more), r.after[:]...)
	for i := range r.list {
		dst = r.list[i].append(dst)
	}
	return dst
}

func parseRows(b []byte) (r rows, err error) {
	if len(b) < rowsLen || len(b) > MaxMessage || (len(b)-rowsLen)%rowLen != 0 {
		return r, fmt.Errorf("%w: rows of %d bytes", errMessage, len(b))
	}
	more := binary.BigEndian.Uint32(b[12:])
	r = rows{pull: binary.BigEndian.Uint32(b[4:]), node: binary.BigEndian.Uint32(b[8:]), after: cursor(b[16:]), more: more == 1}
	if r.node < leafBase || r.node >= nodes || more > 1 {
		return r, fmt.Errorf("%w: rows of node %d", errMessage, r.node)
	}
	last := r.after
	for b = b[rowsLen:]; len(b) > 0; b = b[rowLen:] {
		row, err := parseRow(b[:rowLen])
		if err != nil {
			return r, err
		}
		at := row.cursor()
		if leafOf(&at) != int(r.node-leafBase) || !last.before(&at) {
			return r, fmt.Errorf("%w: a row that is out of place", errMessage)
		}
		r.list, last = append(r.list, row), at
	}
	if r.more && len(r.list) == 0 {
		return r, fmt.Errorf("%w: no rows, and more of them", errMessage)
	}
	return r, nil
}

// flags of a row on the wire.
const (
	flagGone byte = 1 << iota
	flagPaused
	flagCount
	flagBare
)

func (r *Row) append(dst []byte) []byte {
	at := r.cursor()
	dst = append(dst, at[:cursorLen-20]...)
	dst = append(dst, r.PeerID[:]...)
	var flags byte
	if r.Gone {
		flags |= flagGone
	}
	if r.Paused {
		flags |= flagPaused
	}
	if r.Count {
		flags |= flagCount
	}
	if r.Bare {
		flags |= flagBare
	}
	dst = append(dst, flags)
	for _, n := range [...]int64{r.Left, r.Downloaded, r.Uploaded} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = binary.BigEndian.AppendUint32(dst, r.Key)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.First))
	return binary.BigEndian.AppendUint64(dst, uint64(r.Stamp))
}

func parseRow(b []byte) (r Row, err error) {
	copy(r.InfoHash[:], b)
	ip := netip.AddrFrom16([16]byte(b[20:36]))
	port := binary.BigEndian.Uint16(b[36:])
	copy(r.PeerID[:], b[38:])
	flags := b[58]
	r.Gone, r.Paused, r.Count, r.Bare = flags&flagGone != 0, flags&flagPaused != 0, flags&flagCount != 0, flags&flagBare != 0
	r.Left, r.Downloaded, r.Uploaded = int64(binary.BigEndian.Uint64(b[59:])), int64(binary.BigEndian.Uint64(b[67:])), int64(binary.BigEndian.Uint64(b[75:]))
	r.Key = binary.BigEndian.Uint32(b[83:])
	r.First, r.Stamp = int64(binary.BigEndian.Uint64(b[87:])), int64(binary.BigEndian.Uint64(b[95:]))
	if !r.Count {
		r.Addr = netip.AddrPortFrom(ip.Unmap(), port)
	}
	zero := ip == netip.IPv6Unspecified() && port == 0
	switch {
	case flags >= flagBare<<1, r.Count != zero, r.Count && (r.Gone || r.Bare), !r.Count && (port == 0 || ip.IsUnspecified() || ip.IsMulticast()),
		min(r.Left, r.Downloaded, r.Uploaded, r.First) < 0, r.Stamp < 0, max(r.First, r.Stamp) > maxStamp, r.Count && r.Left > math.MaxUint32:
		return r, fmt.Errorf("%w: a row that cannot be", errMessage)
	}
	return r, nil
}

// appendPull appends the master's word that an instance should ask it for what it lacks, or
// the answer of how far it is; the round is the same in both. tenure is since when the
// instance is a slave of the master, as it says.
func appendPull(dst []byte, kind, round uint32, now, tenure int64) []byte {
	dst = binary.BigEndian.AppendUint32(header(dst, kind), round)
	dst = binary.BigEndian.AppendUint64(dst, uint64(now))
	return binary.BigEndian.AppendUint64(dst, uint64(tenure))
}

func parsePull(b []byte) (round uint32, now, tenure int64, err error) {
	if len(b) != pullLen {
		return 0, 0, 0, fmt.Errorf("%w: of %d bytes", errMessage, len(b))
	}
	round = binary.BigEndian.Uint32(b[4:])
	now, tenure = int64(binary.BigEndian.Uint64(b[8:])), int64(binary.BigEndian.Uint64(b[16:]))
	if now <= 0 || now > maxStamp {
		return 0, 0, 0, fmt.Errorf("%w: at %d", errMessage, now)
	}
	return round, now, tenure, nil
}
