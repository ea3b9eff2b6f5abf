package passkey

import (
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// verdict is what a passkey is to the door.
type verdict uint8

const (
	good verdict = iota
	missing
	unknown
	revoked
	expired
	verdicts
)

// words are those of refusals, for the client's user. None is longer than what fits into the answer
// to an announce over UDP, which is not larger than the announce.
var words = [verdicts]error{
	missing: bittorrent.Error("this tracker wants a passkey: use the announce URL that you were given"),
	unknown: bittorrent.Error("this passkey is not known here: use the announce URL that you were given"),
	revoked: bittorrent.Error("this passkey was revoked: ask whoever runs this tracker for another"),
	expired: bittorrent.Error("this passkey has expired: ask whoever runs this tracker for another"),
}

// errScrape fits into the answer to a scrape of one torrent over UDP, which has no place for a
// passkey.
var errScrape error = bittorrent.Error("this scrape wants a passkey")

// figures count what announces and scrapes were refused for.
type figures struct {
	refused [verdicts]atomic.Uint64

	implausible, leftOut atomic.Uint64
}

// Figures are what a book has, and what it did since it was opened.
type Figures struct {
	Active, Revoked, Expired int // passkeys
	Max                      int // that there may be
	Waiting                  int // sessions that wait to be written

	// Announces and scrapes that were refused.
	MissingRefused, UnknownRefused, RevokedRefused, ExpiredRefused uint64

	Implausible uint64 // announces that told of more than can be
	LeftOut     uint64 // announces whose figures had no room to wait
}

// Figures returns the counts as of now.
func (b *Book) Figures() Figures {
	f := Figures{
		Max: b.o.Max, Waiting: b.waiting.len(),
		MissingRefused: b.figures.refused[missing].Load(), UnknownRefused: b.figures.refused[unknown].Load(),
		RevokedRefused: b.figures.refused[revoked].Load(), ExpiredRefused: b.figures.refused[expired].Load(),
		Implausible: b.figures.implausible.Load(), LeftOut: b.figures.leftOut.Load(),
	}
	now := b.Now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, e := range b.ordered {
		switch e.record().State(now) {
		case Active:
			f.Active++
		case Revoked:
			f.Revoked++
		default:
			f.Expired++
		}
	}
	return f
}

// Require says whether nobody may announce or scrape without a passkey. One that is shown must
// be good either way.
func (b *Book) Require(required bool) { b.required.Store(required) }

// Bound replaces [Options].Rate and Lifetime, for what is written from now on.
func (b *Book) Bound(rate int64, lifetime time.Duration) {
	b.rate.Store(rate)
	b.lifetime.Store(int64(lifetime))
}

// Enter is of tracker.Door. A peer that leaves may have come when its passkey was good, and is
// let go.
func (b *Book) Enter(a *swarm.Announce) error {
	v := b.judge(a.Credentials.Passkey, a.Now)
	if v == good || a.Event == bittorrent.EventStopped && (v == revoked || v == expired) {
		return nil
	}
	b.figures.refused[v].Add(1)
	return words[v]
}

// EnterScrape is of tracker.ScrapeDoor.
func (b *Book) EnterScrape(c *swarm.Credentials, now time.Time) error {
	v := b.judge(c.Passkey, now)
	if v == good {
		return nil
	}
	b.figures.refused[v].Add(1)
	if v == missing {
		return errScrape
	}
	return words[v]
}

func (b *Book) judge(key string, now time.Time) verdict {
	if key == "" {
		if b.required.Load() {
			return missing
		}
		return good
	}
	e := b.index.find(key)
	if e == nil {
		return unknown
	}
	switch e.record().State(now) {
	case Revoked:
		return revoked
	case Expired:
		return expired
	}
	return good
}
