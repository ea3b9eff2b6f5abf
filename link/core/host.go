package core

import (
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Origin is one life of a node: a random number, made at each start. 0 is nobody's.
type Origin uint64

// LinkID is one connection of a link, from 1 up; none is used twice in a life.
type LinkID int

// Host is what a [Node] acts upon. Its methods are called from within those of the
// Node: they must not block, nor call the Node.
type Host interface {
	// Send sends a message to the other end of a link, in order. The message is the
	// host's from then on.
	Send(link LinkID, message []byte)

	// Close ends a connection, after what was sent. The Node has forgotten it already,
	// so Shut is not called for it.
	Close(link LinkID, why Reason)

	// Put records a peer that announced to another tracker: a new one, or one that is
	// there with other figures, or seen later. p is good during the call; First is zero.
	Put(h bittorrent.InfoHash, p *swarm.Peer)

	// Remove forgets a peer: it left another tracker, that tracker has been dead for
	// longer than a lifetime, or it came through a link that was revoked.
	Remove(h bittorrent.InfoHash, addr netip.AddrPort)

	// Completed tells the downloads of a torrent that all origins have seen completed.
	// The store takes it if it is greater than what it has.
	Completed(h bittorrent.InfoHash, total uint32)

	// Happened tells what a log and a console show.
	Happened(e Event)

	// File takes a message about a .torrent file from a link that may send such. Its
	// data are the host's from then on.
	File(link LinkID, f FileMessage)
}

// Code is a reason without its words.
type Code uint8

// Why a connection ends.
const (
	ReasonShut     Code = iota // its carrier says that it is gone
	ReasonSilent               // nothing was heard, or nothing acknowledged, for 8 s: it is half open
	ReasonVersion              // the ends speak no common version
	ReasonClock                // the clocks are more than 26 h apart
	ReasonRate                 // more changes than the link may send
	ReasonGarbled              // messages that cannot be read
	ReasonReplaced             // the same neighbour has connected again
	ReasonRevoked              // the link was revoked
	ReasonSelf                 // the other end is this node
	ReasonBounds               // more of something than there may be
	reasons
)

var reasonNames = [reasons]string{
	"shut", "silent", "version", "clock", "rate", "garbled", "replaced", "revoked", "self", "bounds",
}

// String returns the reason in a word, good as a label.
func (c Code) String() string {
	if c < reasons {
		return reasonNames[c]
	}
	return "unknown"
}

// Reason is why a connection ends, in words that say what to do.
type Reason struct {
	Code  Code
	Words string
	Told  bool // by the other end, in its words
}

// EventKind is what an [Event] tells.
type EventKind uint8

// What happens to links.
const (
	LinkUp       EventKind = iota // both ends have greeted
	LinkDown                      // the connection is gone: Words say why
	HealStarted                   // Words say of what
	Healed                        // after Took, with Entries that were missing here
	Overflowed                    // too much waited for the link: what waited is healed later
	Capped                        // the link, or the node, has as many peers as it may
	StampRefused                  // a change from the future was left out
	TableFull                     // this node has no room for a change: it is left out
	eventKinds
)

var eventNames = [eventKinds]string{
	"up", "down", "healing", "healed", "overflow", "capped", "stamp refused", "full",
}

// String returns the event in a word or two.
func (k EventKind) String() string {
	if k < eventKinds {
		return eventNames[k]
	}
	return "unknown"
}

// Event is something that people want to know of.
type Event struct {
	Kind    EventKind
	Link    LinkID
	Name    string // of the link
	Code    Code   // of LinkDown
	Words   string
	Took    time.Duration
	Entries int
}

// FileOp is what a [FileMessage] is about.
type FileOp uint8

// FileMessage is a message about a .torrent file, or about what else those tell each
// other who use nodes. The Node carries it and does not read it.
type FileMessage struct {
	Op   FileOp
	Hash bittorrent.InfoHash
	Data []byte // up to MaxFileData bytes
}
