package shared

import (
	"context"
	"net/netip"

	"waggle/bittorrent"
)

// Map keeps two things of each located peer of a torrent: what it announced last, and
// the record of its roles. All methods may be called concurrently, by several trackers.
//
// Announced values are written whatever others do. Records are written by commits,
// one after the other for a torrent: a commit is refused where another one came since
// the writer asked last. So announces of peers whose roles stay never hold each other
// up, and no two trackers give the same role twice.
type Map interface {
	// Update does a step for a torrent: it writes what u says, and fills in answer with
	// what is new. The error is swarm.ErrBusy, or ctx's, or of the server; then nothing,
	// Announced, or both may have been written, now or a little later. The caller's next
	// u.Known is nil, or after swarm.ErrBusy the one that it was: then what was written
	// is new.
	Update(ctx context.Context, u *Update, answer *Answer) error
}

// Update is a step of one tracker.
type Update struct {
	InfoHash bittorrent.InfoHash

	// Known is the Version of the last answer about the torrent; nil: nothing is known.
	Known Version

	// Announced are written in any case. Each replaces the one of its peer. They are at
	// most [MaxCommit] entries, one a peer.
	Announced []Entry

	// Commit is written whole, or not at all if another commit came since Known, which
	// is not nil then. It is at most [MaxCommit] entries, one a peer.
	Commit []Entry
}

// MaxCommit is the most entries of one commit, and of what is announced in one step.
const MaxCommit = 512

// MaxValue is the longest value in bytes, of either kind.
const MaxValue = 1024

// MaxVersion is the longest [Version] in bytes.
const MaxVersion = 256

// Entry is a value of a peer. A nil value removes it, if there is one.
type Entry struct {
	Peer  netip.AddrPort
	Value []byte // at most MaxValue bytes
}

// Version is up to where a tracker knows what was written to a torrent, at most
// [MaxVersion] bytes. It is the Map's own; others keep it and give it back.
type Version []byte

// Answer is what is new. Its slices are the caller's; their memory is reused where
// the same Answer is given to Update again.
type Answer struct {
	Version Version // to be the Known of the next step; its memory is not reused

	// Announced and Records are what was written since Known, by anybody: perhaps what
	// this tracker wrote itself, perhaps what it knows already. Of a peer's values of
	// one kind the last one counts: it is what the Map holds. What the step itself wrote
	// may be left out where nobody has replaced it, unless the answer is whole.
	Announced []Entry
	Records   []Entry

	// Whole says that these are all there are, and what is not among them is gone. It is
	// so where Known was nil, or too old.
	Whole bool

	// Conflict says that Commit was not written, because of another one, which is among
	// Records. Announced was written, and the answer is whole as ever.
	Conflict bool
}
