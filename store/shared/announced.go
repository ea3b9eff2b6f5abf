package shared

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

// Values are text, so that who looks at the store can read them. Each begins with the
// number of its layout and a space.
const layout = 1

var errDamaged = errors.New("a value that no waggle wrote")

// newerError is the error of a value of a layout that this waggle does not know.
type newerError int

func (e newerError) Error() string {
	return fmt.Sprintf("a newer waggle shares this store and wrote a value of layout %d, of which this one knows up to %d: upgrade this tracker, or stop the newer one and delete the torrent's shared values", int(e), layout)
}

// checkLayout returns what follows the layout.
func checkLayout(value []byte) (string, error) {
	number, rest, _ := strings.Cut(string(value[:min(len(value), MaxValue)]), " ")
	n, ok := decimal(number, math.MaxInt32)
	switch {
	case !ok || n == 0:
		return "", fmt.Errorf("%w: it has no layout", errDamaged)
	case n > layout:
		return "", newerError(n)
	case len(value) > MaxValue:
		return "", fmt.Errorf("%w: %d bytes", errDamaged, len(value))
	}
	return rest, nil
}

// decimal reads a number of digits alone, up to a most.
func decimal(text string, most uint64) (n uint64, ok bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n <= most
}

// An announced value is
//
//	1 leecher 734003200 0 1048576 1700000000.123456789 1700001800.123456789 45s 5m0s peer-id site/rack
//
// its layout, the kind of the peer; left, uploaded and downloaded in bytes; its first
// announce, and its last, in Unix seconds; the interval that it was told, and the one
// that it keeps whatever it is told, to milliseconds; the 20 bytes of its id as they
// are; and the path of its location, which is empty of an unlocated peer.
func announcedValue(h *roster.Heard, path string) []byte {
	b := make([]byte, 0, 160+len(path))
	b = strconv.AppendInt(b, layout, 10)
	b = append(append(b, ' '), kindWords[h.Kind]...)
	for _, n := range [...]int64{h.Left, h.Uploaded, h.Downloaded} {
		b = strconv.AppendInt(append(b, ' '), max(n, 0), 10)
	}
	b = appendInstant(append(b, ' '), h.First)
	b = appendInstant(append(b, ' '), h.Last)
	b = append(append(b, ' '), milliseconds(h.Told).String()...)
	b = append(append(b, ' '), milliseconds(h.Lag).String()...)
	b = append(append(b, ' '), h.ID[:]...)
	return append(append(b, ' '), path...)
}

// milliseconds is a time as a value has it, of up to 49 days.
func milliseconds(d time.Duration) time.Duration {
	return min(max(d.Truncate(time.Millisecond), 0), math.MaxUint32*time.Millisecond)
}

// appendInstant appends a time in Unix seconds, with nine digits behind the point.
func appendInstant(b []byte, nanoseconds int64) []byte {
	n := max(nanoseconds, 0)
	b = strconv.AppendInt(b, n/1e9, 10)
	b = append(b, '.')
	return append(b, strconv.AppendInt(nil, 1e9+n%1e9, 10)[1:]...)
}

// said is what a peer announced last.
type said struct {
	roster.Heard
	path    string // of its location
	foreign bool   // its location is not one of this tracker's tree
}

// readAnnounced reads a value of a peer. Its location is the caller's to look up.
func readAnnounced(peer netip.AddrPort, value []byte) (s said, err error) {
	text, err := checkLayout(value)
	if err != nil {
		return s, err
	}
	r := reading{text: text}
	s.Addr, s.Kind = peer, r.kind()
	s.Left, s.Uploaded, s.Downloaded = r.number(), r.number(), r.number()
	s.First, s.Last = r.instant(), r.instant()
	s.Told, s.Lag = r.duration(), r.duration()
	id, path, whole := cutAt(r.text, len(bittorrent.PeerID{}))
	if s.path = path; r.failed || !whole || len(path) > maxPath {
		return said{}, fmt.Errorf("%w: what %v announced, %d bytes", errDamaged, peer, len(value))
	}
	copy(s.ID[:], id)
	return s, nil
}

// cutAt returns the first n bytes of a text, and what follows the space behind them.
func cutAt(text string, n int) (before, after string, ok bool) {
	if len(text) <= n || text[n] != ' ' {
		return "", "", false
	}
	return text[:n], text[n+1:], true
}

// maxPath is the longest path of a location in bytes.
const maxPath = locality.MaxLevels * (64 + 1)

// reading takes a value apart, word by word.
type reading struct {
	text   string
	failed bool
}

// word takes the next word; it is empty where there is none.
func (r *reading) word() (word string) {
	word, r.text, _ = strings.Cut(r.text, " ")
	return word
}

// kindWords are how values name kinds.
var kindWords = [swarm.Leecher + 1]string{"seeder", "partial", "leecher"}

func (r *reading) kind() swarm.Kind {
	kind := slices.Index(kindWords[:], r.word())
	r.failed = r.failed || kind < 0
	return swarm.Kind(max(kind, 0))
}

func (r *reading) number() int64 {
	n, ok := decimal(r.word(), math.MaxInt64)
	r.failed = r.failed || !ok
	return int64(n)
}

func (r *reading) instant() int64 {
	seconds, fraction, _ := strings.Cut(r.word(), ".")
	s, ok1 := decimal(seconds, math.MaxInt64/1_000_000_000-1)
	n, ok2 := decimal(fraction, 1e9-1)
	r.failed = r.failed || !ok1 || !ok2 || len(fraction) != 9
	return int64(s*1e9 + n)
}

func (r *reading) duration() time.Duration {
	d, err := time.ParseDuration(r.word())
	r.failed = r.failed || err != nil || d != milliseconds(d)
	return d
}
