package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"waggle/bittorrent"
)

// Version is that of the messages. Others are refused.
const Version = 1

// Bounds of messages.
const (
	// MaxMessage is the most bytes of a message. Carriers must carry as many.
	MaxMessage = 256 << 10

	// MaxFileData is the most bytes that a FileMessage carries.
	MaxFileData = 128 << 10

	fullMessage = 32 << 10 // a message of changes is sent when it has as many bytes
	maxText     = 255      // bytes of names and words
	hashLen     = len(bittorrent.InfoHash{})
)

// kind is the first byte of a message. Numbers stay theirs.
type kind uint8

const (
	kindHello     kind = 1
	kindBye       kind = 2
	kindAck       kind = 3
	kindHeartbeat kind = 4
	kindBatch     kind = 5
	kindInterest  kind = 6
	kindFile      kind = 7
	kindAsk       kind = 8
	kindBuckets   kind = 9
	kindPage      kind = 10
	kindParts     kind = 11
	kindListing   kind = 12
)

const magic = "WGL"

// errGarbled is any fault of a message.
var errGarbled = errors.New("link: the message cannot be read")

// versionError is what another version than ours says hello with.
type versionError uint8

func (e versionError) Error() string {
	return fmt.Sprintf("the other end speaks version %d of links, this node version %d", uint8(e), Version)
}

// reader takes a message apart. After the first fault it returns zeros, and bad is
// true.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8 {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// milli checks Unix milliseconds.
func (r *reader) milli(v uint64) int64 {
	if v > maxMilli {
		r.b, r.bad = nil, true
		return 0
	}
	return int64(v)
}

func (r *reader) hash() (h bittorrent.InfoHash) {
	copy(h[:], r.take(hashLen))
	return h
}

// text reads words that go into logs and pages: what would not show is a question
// mark.
func (r *reader) text() string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, string(r.take(int(r.u8()))))
}

// end is the fault of the message, which must have been read to its end.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errGarbled
	}
	return nil
}

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxText)]
	return append(append(b, uint8(len(s))), s...)
}

// mode is how much of all torrents.
type mode uint8

const (
	modeNone mode = iota
	modeAll
	modeList
	modes
)

// hello is what an end says first, once, without a sequence number.
type hello struct {
	origin   Origin
	clock    int64  // Unix milliseconds
	wants    mode   // what it wants to be told; the list follows
	offers   mode   // what it may tell
	rate     uint64 // changes a second that it takes; 0: any
	name     string
	software string
}

func (h *hello) message() []byte {
	b := append([]byte{byte(kindHello)}, magic...)
	b = append(b, Version)
	b = binary.BigEndian.AppendUint64(b, uint64(h.origin))
	b = binary.BigEndian.AppendUint64(b, uint64(h.clock))
	b = append(b, byte(h.wants), byte(h.offers))
	b = binary.AppendUvarint(b, h.rate)
	return appendText(appendText(b, h.name), h.software)
}

// readHello reads what follows the kind.
func readHello(b []byte) (h hello, err error) {
	r := reader{b: b}
	if string(r.take(len(magic))) != magic {
		return h, errGarbled
	}
	if version := r.u8(); !r.bad && version != Version {
		return h, versionError(version)
	}
	h.origin, h.clock = Origin(r.u64()), r.milli(r.u64())
	h.wants, h.offers = mode(r.u8()), mode(r.u8())
	h.rate = r.uvarint()
	h.name, h.software = r.text(), r.text()
	if h.origin == 0 || h.wants >= modes || h.offers >= modes {
		return h, errGarbled
	}
	return h, r.end()
}

// bye is what an end says last. Its layout is the same in all versions.
type bye struct {
	code  Code
	words string
}

func (y bye) message() []byte {
	return appendText([]byte{byte(kindBye), byte(y.code)}, y.words)
}

func readBye(b []byte) (bye, error) {
	r := reader{b: b}
	y := bye{code: Code(r.u8()), words: r.text()}
	return y, r.end()
}

// Flags of a heartbeat.
const (
	beatTold    = 1 << iota // told is of all that was sent: nothing waits
	beatAll                 // all is comparable: this end may tell everything
	beatDropped             // what waited was dropped: heal
)

// heartbeat is sent every 2 s.
type heartbeat struct {
	ack      uint32
	clock    int64 // Unix milliseconds
	flags    uint8
	told     uint64 // digest of what this end has told
	all      uint64 // digest of all that this end has
	interest uint32 // version of the other end's interest that this end follows
	entries  uint64 // that this end has
}

func (h *heartbeat) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, h.ack)
	b = binary.BigEndian.AppendUint64(b, uint64(h.clock))
	b = append(b, h.flags)
	b = binary.BigEndian.AppendUint64(b, h.told)
	b = binary.BigEndian.AppendUint64(b, h.all)
	b = binary.BigEndian.AppendUint32(b, h.interest)
	return binary.AppendUvarint(b, h.entries)
}

func readHeartbeat(b []byte) (h heartbeat, err error) {
	r := reader{b: b}
	h = heartbeat{
		ack: r.u32(), clock: r.milli(r.u64()), flags: r.u8(), told: r.u64(), all: r.u64(),
		interest: r.u32(), entries: r.uvarint(),
	}
	return h, r.end()
}

// interestOp is what a message does to the interest of its sender.
type interestOp uint8

const (
	interestSet    interestOp = iota // it is these
	interestMore                     // it is these, too
	interestAdd                      // from now on it is these, too: the sender has none of their peers
	interestRemove                   // it is these no more
	interestOps
)

// interest tells which torrents its sender wants to be told of. Versions count up
// by one, so that a lost one shows.
type interest struct {
	version uint32
	op      interestOp
	hashes  []byte // 20 bytes each
}

// interestChunk is the most hashes of an interest.
const interestChunk = 1000

func (i *interest) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, i.version)
	return append(append(b, byte(i.op)), i.hashes...)
}

func readInterest(b []byte) (i interest, err error) {
	r := reader{b: b}
	i = interest{version: r.u32(), op: interestOp(r.u8()), hashes: r.b}
	if r.bad || i.op >= interestOps || len(i.hashes)%hashLen != 0 {
		return i, errGarbled
	}
	return i, nil
}

func (f *FileMessage) append(b []byte) []byte {
	return append(append(append(b, byte(f.Op)), f.Hash[:]...), f.Data...)
}

func readFile(b []byte) (f FileMessage, err error) {
	r := reader{b: b}
	f.Op, f.Hash, f.Data = FileOp(r.u8()), r.hash(), r.b
	if r.bad || len(f.Data) > MaxFileData {
		return f, errGarbled
	}
	return f, nil
}
