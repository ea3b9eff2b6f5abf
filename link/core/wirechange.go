package core

import (
	"encoding/binary"
	"math"

	"waggle/bittorrent"
	"waggle/swarm"
)

// what a change says of its peer.
type what uint8

const (
	whatPut     what = iota // it is there: all of it
	whatRefresh             // it is still there: without what the receiver has
	whatGone                // it left
	whatCount               // not of a peer: an origin has seen so many downloads completed
)

// change is one of a batch or a listing. Ages are in ticks.
type change struct {
	what       what
	kind       swarm.Kind
	check      uint16 // of whatRefresh
	port       uint16
	addr       [16]byte
	stamp      Stamp // or count
	origin     Origin
	age        uint64 // since its last announce; of whatGone, since it was removed
	older      uint64 // of whatGone: by how much its last announce was before that
	id         bittorrent.PeerID
	key        uint32
	left       int64
	uploaded   int64
	downloaded int64
}

// Bits of the first byte of a change, after two of what and two of its kind.
const (
	changeV6      = 1 << 4 // the address has 16 bytes
	changeSame    = 1 << 5 // of the origin of the change before
	changeCounter = 1 << 6 // the stamp's counter is not 0
	changeNone    = 1 << 7 // must not be set
)

// maxAge bounds ages: beyond it there is nothing to keep.
const maxAge = 400 * 24 * 3600 * ticks

// origins are those of a message: each is written out once, and has its number from
// then on.
type origins struct {
	known []Origin
	last  int
}

// maxOrigins is the most that a message knows: a sender that has more writes some
// out again.
const maxOrigins = 256

func (o *origins) reset() { o.known, o.last = o.known[:0], -1 }

func (o *origins) append(b []byte, origin Origin) []byte {
	for i, known := range o.known {
		if known == origin {
			o.last = i
			return binary.AppendUvarint(b, uint64(i))
		}
	}
	if len(o.known) == maxOrigins {
		o.known = o.known[:0]
		b = binary.AppendUvarint(b, maxOrigins)
	} else {
		b = binary.AppendUvarint(b, uint64(len(o.known)))
	}
	o.known = append(o.known, origin)
	o.last = len(o.known) - 1
	return binary.BigEndian.AppendUint64(b, uint64(origin))
}

func (o *origins) read(r *reader) Origin {
	i := r.uvarint()
	switch {
	case i < uint64(len(o.known)):
		o.last = int(i)
		return o.known[i]
	case i == maxOrigins:
		o.known = o.known[:0]
	case i > uint64(len(o.known)):
		r.bad = true
		return 0
	}
	o.known = append(o.known, Origin(r.u64()))
	o.last = len(o.known) - 1
	return o.known[o.last]
}

// append writes a change. base is the message's, Unix milliseconds.
func (c *change) append(b []byte, base int64, o *origins) []byte {
	first := len(b)
	flags := byte(c.what) | byte(c.kind)<<2
	b = append(b, 0)
	if c.what != whatCount {
		if isV4(&c.addr) {
			b = append(b, c.addr[12:]...)
		} else {
			flags |= changeV6
			b = append(b, c.addr[:]...)
		}
		b = binary.BigEndian.AppendUint16(b, c.port)
	}
	if o.last >= 0 && o.known[o.last] == c.origin {
		flags |= changeSame
	} else {
		b = o.append(b, c.origin)
	}
	if c.what == whatCount {
		b = binary.AppendUvarint(b, uint64(c.stamp))
	} else {
		b = binary.AppendVarint(b, c.stamp.milli()-base)
		if counter := uint64(c.stamp & (1<<stampBits - 1)); counter != 0 {
			flags |= changeCounter
			b = binary.AppendUvarint(b, counter)
		}
	}
	b = binary.AppendUvarint(b, c.age)
	switch c.what {
	case whatPut:
		b = append(b, c.id[:]...)
		b = binary.BigEndian.AppendUint32(b, c.key)
		b = c.appendFigures(b)
	case whatRefresh:
		b = binary.BigEndian.AppendUint16(b, c.check)
		b = c.appendFigures(b)
	case whatGone:
		b = binary.AppendUvarint(b, c.older)
	}
	b[first] = flags
	return b
}

// appendFigures writes figures; 0 stands for a left that the client cannot say.
func (c *change) appendFigures(b []byte) []byte {
	left := uint64(0)
	if c.left != bittorrent.LeftUnknown {
		left = uint64(c.left) + 1
	}
	b = binary.AppendUvarint(b, left)
	b = binary.AppendUvarint(b, uint64(c.uploaded))
	return binary.AppendUvarint(b, uint64(c.downloaded))
}

// read reads a change; faults are the reader's.
func (c *change) read(r *reader, base int64, o *origins) {
	*c = change{}
	flags := r.u8()
	c.what, c.kind = what(flags&3), swarm.Kind(flags>>2&3)
	if flags&changeNone != 0 || c.kind > swarm.Leecher {
		r.bad = true
	}
	if c.what != whatCount {
		c.readAddr(r, flags&changeV6 != 0)
	}
	if flags&changeSame == 0 {
		c.origin = o.read(r)
	} else if o.last >= 0 {
		c.origin = o.known[o.last]
	}
	if c.origin == 0 {
		r.bad = true
	}
	if c.what == whatCount {
		c.stamp = Stamp(r.uvarint())
		if c.stamp == 0 || c.stamp > math.MaxUint32 {
			r.bad = true
		}
		c.addr, c.port = counterAddr(c.origin), 0
	} else {
		c.readStamp(r, base, flags&changeCounter != 0)
	}
	c.age = r.uvarint()
	switch c.what {
	case whatPut:
		copy(c.id[:], r.take(len(c.id)))
		c.key = r.u32()
		c.readFigures(r)
	case whatRefresh:
		c.check = r.u16()
		c.readFigures(r)
	case whatGone:
		c.older = r.uvarint()
	}
	if c.age > maxAge || c.older > maxAge {
		r.bad = true
	}
}

func (c *change) readAddr(r *reader, v6 bool) {
	if v6 {
		copy(c.addr[:], r.take(16))
		if isV4(&c.addr) {
			r.bad = true // one peer must not have two addresses
		}
	} else {
		c.addr = [16]byte{10: 0xff, 11: 0xff}
		copy(c.addr[12:], r.take(4))
	}
	if c.port = r.u16(); c.port == 0 {
		r.bad = true
	}
}

func (c *change) readStamp(r *reader, base int64, counter bool) {
	delta := r.varint()
	milli := base + delta
	if delta < -maxMilli || delta > maxMilli || milli < 0 || milli > maxMilli {
		r.bad = true
		return
	}
	c.stamp = Stamp(milli) << stampBits
	if counter {
		low := r.uvarint()
		if low == 0 || low >= 1<<stampBits {
			r.bad = true
		}
		c.stamp |= Stamp(low)
	}
}

// maxMilli is the most that a stamp's time can be.
const maxMilli = 1<<(64-stampBits) - 1

func (c *change) readFigures(r *reader) {
	left, uploaded, downloaded := r.uvarint(), r.uvarint(), r.uvarint()
	if left > math.MaxInt64 || uploaded > math.MaxInt64 || downloaded > math.MaxInt64 {
		r.bad = true
		return
	}
	c.left, c.uploaded, c.downloaded = int64(left)-1, int64(uploaded), int64(downloaded)
	if left == 0 {
		c.left = bittorrent.LeftUnknown
	}
}

// isV4 reports whether the address is IPv4 in IPv6 clothes.
func isV4(addr *[16]byte) bool {
	return [12]byte(addr[:12]) == [12]byte{10: 0xff, 11: 0xff}
}
