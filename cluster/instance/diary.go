package instance

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"waggle/cluster"
	"waggle/cluster/carrier"
)

// diary tells the log what happens in the cluster, and what is wrong with the network: once
// when it begins and once when it is over, not with each packet.
type diary struct {
	to *slog.Logger

	looked                           time.Time
	failing, strangers, losing, full trouble

	minute time.Time // in which lines were written
	lines  int
}

const (
	lookEvery = time.Second

	// mostLines is how many events are logged in a minute: without a secret anybody can have
	// instances come and go.
	mostLines = 120
)

// look looks each second what the carrier and the node count.
func (d *diary) look(now time.Time, c carrier.Carrier, node *cluster.Figures) {
	if now.Sub(d.looked) < lookEvery {
		return
	}
	d.looked = now
	f := c.Figures()
	strange := f.Forged + f.Malformed + node.Bad
	switch d.failing.look(f.Failed, 2) {
	case begun:
		d.to.Warn("other instances of the cluster cannot be reached", "error", f.Fault)
	case over:
		d.to.Info("other instances of the cluster can be sent to again", "packets_that_failed", f.Failed)
	}
	switch d.strangers.look(strange, 1) {
	case begun:
		d.to.LogAttrs(context.Background(), slog.LevelWarn, "packets come that are none of this cluster's, and are left out: another tracker has another secret or none, or a stranger sends them",
			address("from", f.Stranger))
	case over:
		d.to.Info("no more packets come that are none of this cluster's", "left_out", strange)
	}
	if d.losing.look(f.Lost, 1) == begun {
		d.to.Warn("packets of other instances come faster than they are taken in, and are lost", "lost", f.Lost)
	}
	if d.full.look(node.Full, 1) == begun {
		d.to.Warn("the cluster knows as many peers as it may, and turns others away: raise cluster.max_rows of all its trackers")
	}
}

// trouble is something that is counted, and should not happen.
type trouble struct {
	count  uint64 // when it was looked at last
	rising int    // looks in a row that found more
	quiet  int    // looks in a row since that found no more
	told   bool
}

type news uint8

const (
	nothing news = iota
	begun
	over
)

// calm is how many looks without any more it takes until trouble is over.
const calm = 30

// look takes in a count. Trouble begins when it has risen in so many looks in a row.
func (t *trouble) look(count uint64, after int) news {
	if count != t.count {
		t.count, t.quiet = count, 0
		if t.rising++; t.told || t.rising < after {
			return nothing
		}
		t.told = true
		return begun
	}
	t.rising = 0
	if t.quiet++; !t.told || t.quiet < calm {
		return nothing
	}
	t.told = false
	return over
}

// event tells what a node has done or seen.
func (d *diary) event(now time.Time, e *cluster.Event) {
	if now.Sub(d.minute) >= time.Minute {
		d.minute, d.lines = now, 0
	}
	if d.lines++; d.lines > mostLines {
		return
	}
	if d.lines == mostLines {
		d.to.Warn("so much happens in the cluster that the rest of this minute is not told")
		return
	}
	level, text := words(e.Kind)
	attributes := append(make([]slog.Attr, 0, 3), address("instance", e.Addr))
	if e.ID != (cluster.ID{}) {
		attributes = append(attributes, slog.Any("id", e.ID))
	}
	if e.Words != "" {
		attributes = append(attributes, slog.String("why", e.Words))
	}
	d.to.LogAttrs(context.Background(), level, text, attributes...)
}

// address is an attribute that is left out where there is no address.
func address(name string, a netip.AddrPort) slog.Attr {
	if !a.IsValid() {
		return slog.Attr{}
	}
	return slog.String(name, a.String())
}

func words(k cluster.EventKind) (slog.Level, string) {
	switch k {
	case cluster.BecameMaster:
		return slog.LevelInfo, "this instance is master of the cluster"
	case cluster.BecameSlave:
		return slog.LevelInfo, "this instance is a slave"
	case cluster.ElectionStarted:
		return slog.LevelWarn, "a master is elected; no peer is answered meanwhile"
	case cluster.MemberUp:
		return slog.LevelInfo, "an instance is there"
	case cluster.MemberDown:
		return slog.LevelWarn, "an instance is gone"
	case cluster.Joined:
		return slog.LevelInfo, "a new instance is given its ID"
	case cluster.Alone:
		return slog.LevelWarn, "another instance has this one's ID: this one joins anew"
	case cluster.StoodStill:
		return slog.LevelWarn, "this instance stood still for over a second: what has waited since is left out"
	case cluster.Aligned:
		return slog.LevelInfo, "the master's time is another one: it counts"
	}
	return slog.LevelInfo, "something that this version has no words for"
}
