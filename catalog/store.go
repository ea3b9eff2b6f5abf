package catalog

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"waggle/bittorrent"
)

// Store keeps a catalogue. What Apply returned without error is kept when the
// process is killed, but in [Memory]. Methods may be called concurrently; the
// catalogue never calls Apply twice at a time.
type Store interface {
	// Records yields every record, in no order. An error is the last thing it yields.
	Records(ctx context.Context) iter.Seq2[Record, error]

	// Apply makes all changes, in their order, or none. Where others write to the store
	// too, it is a [Shared] one.
	Apply(ctx context.Context, changes []Change) error

	// Torrent returns a copy of the bytes kept with a record, else [ErrUnknown].
	Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error)

	// History returns at most limit ended periods, the latest first, and the number of
	// the last one, 0 if there are no more. before is such a number, above which all
	// is left out, with itself; 0 is the beginning. The latest MaxHistory are kept.
	History(ctx context.Context, before int64, limit int) (page []Period, last int64, err error)

	Close() error
}

// MaxHistory is how many ended periods a store keeps; older ones are forgotten.
const MaxHistory = 100_000

// Record is what a store keeps of a transfer. Times are to the nanosecond, within
// the years 1678 to 2262.
type Record struct {
	Transfer
	Held bool // deactivated by hand: a file in the directory does not make it active

	// FileSize in bytes and FileTime in Unix nanoseconds of the file in the directory
	// when it was read, so that it need not be read at each start. FileTime 0: not
	// known.
	FileSize, FileTime int64

	// Period tells the present period from others of the torrent, by a random number. A
	// store that is not [Shared] need not keep it.
	Period uint64
}

// Change is a change to one record.
type Change struct {
	Record   Record  // is put in place of the one with this info hash
	Delete   bool    // instead: it is removed, with its metainfo
	Metainfo []byte  // the .torrent; nil: what is kept stays
	Ended    *Period // if not nil: put in front of the history
}

// filed reports whether a torrent of a directory has a file there, as far as is written.
func (r *Record) filed() bool { return r.Source == Directory && (r.Active() || r.FileTime != 0) }

// held returns the record as deactivated by hand.
func (r Record) held() Record {
	r.Held = true
	return r
}

// unstamped returns the record without what is known of its file.
func (r Record) unstamped() Record {
	r.FileSize, r.FileTime = 0, 0
	return r
}

// in returns the record with another file of the directory.
func (r Record) in(file string, s stamp) Record {
	r.Source, r.File = Directory, file
	r.FileSize, r.FileTime = s.size, s.time
	return r
}

// fresh returns the record at the beginning of a period.
func (r Record) fresh() Record {
	r.FirstStarted, r.LastStarted = time.Time{}, time.Time{}
	r.FirstCompleted, r.LastCompleted = time.Time{}, time.Time{}
	r.Deactivated, r.Held = time.Time{}, false
	r.Period = rand.Uint64()
	return r
}

// unixNano and fromUnixNano turn times into numbers, of which 0 is the zero time.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
