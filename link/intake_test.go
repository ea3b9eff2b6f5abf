package link

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func addrOf(n uint64) netip.Addr {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], uint32(n)+1<<24)
	return netip.AddrFrom4(ip)
}

func takeAll(in *Intake) (all []swarm.Change, forgotten []*lost) {
	for i := range in.lanes {
		if _, f := in.lanes[i].take(func(c *swarm.Change) { all = append(all, *c) }); f != nil {
			forgotten = append(forgotten, f)
		}
	}
	return all, forgotten
}

func TestIntakeWithoutLinksTakesNothing(t *testing.T) {
	in := NewIntake(time.Hour)
	c := swarm.Change{Kind: swarm.PeerPut}
	in.Changed(&c)
	in.on.Store(true)
	c.Relayed = true
	in.Changed(&c)
	in.Changed(&swarm.Change{Kind: swarm.TorrentGone})
	if all, _ := takeAll(in); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if n := testing.AllocsPerRun(100, func() { in.Changed(&c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestPeerThatAnnouncesOftenIsPassedOnOnceInASixthOfItsLifetime has 100 peers announce
// each 15 s for an hour.
func TestPeerThatAnnouncesOftenIsPassedOnOnceInASixthOfItsLifetime(t *testing.T) {
	in := NewIntake(30 * time.Minute)
	in.on.Store(true)
	first := map[int]bool{}
	for n := range uint64(100) {
		began := time.Unix(1_700_000_000, 0)
		passed, last := 0, began
		for s := 15; s <= 3600; s += 15 {
			now := began.Add(time.Duration(s) * time.Second)
			in.Changed(&swarm.Change{
				Kind: swarm.PeerRefreshed, Previous: now.Add(-15 * time.Second),
				Peer: swarm.Peer{Addr: netip.AddrPortFrom(addrOf(n), 1), Last: now},
			})
			if all, _ := takeAll(in); len(all) == 1 {
				if passed == 0 {
					first[s] = true
				}
				if passed++; now.Sub(last) > 10*time.Minute {
					t.Errorf("peer %d is quiet for %v", n, now.Sub(last))
				}
				last = now
			}
		}
		if passed < 11 || passed > 13 {
			t.Errorf("peer %d was passed on %d times in an hour", n, passed)
		}
	}
	if len(first) < 10 {
		t.Errorf("all are passed on in the same %d moments", len(first))
	}
}

// TestPeerThatComesBackFromAnotherTrackerIsPassedOnAtOnce has it announce here within the
// stretch in which the other tracker told of it.
func TestPeerThatComesBackFromAnotherTrackerIsPassedOnAtOnce(t *testing.T) {
	in := NewIntake(45 * time.Minute)
	in.on.Store(true)
	now := time.Unix(1_700_000_000, 0)
	c := swarm.Change{
		Kind: swarm.PeerRefreshed, InfoHash: bittorrent.InfoHash{3}, Previous: now.Add(-time.Second),
		Peer: swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 1), Last: now},
	}
	in.Changed(&c)
	if all, _ := takeAll(in); len(all) != 0 {
		t.Errorf("it is passed on %d times, which no other tracker told of", len(all))
	}
	relayed := c
	relayed.Relayed = true
	in.Changed(&relayed)
	in.Changed(&c)
	in.Changed(&c)
	if all, _ := takeAll(in); len(all) != 1 {
		t.Errorf("it is passed on %d times", len(all))
	}
}

func TestLaneKnowsSinceWhenAndHowMuchWaits(t *testing.T) {
	in := NewIntake(time.Hour)
	in.on.Store(true)
	before := time.Now()
	for range 3 {
		in.Changed(&swarm.Change{Kind: swarm.PeerPut})
	}
	after := time.Now()
	if n := in.waiting(); n != 3 {
		t.Errorf("%d wait", n)
	}
	if since, _ := in.lanes[0].take(func(*swarm.Change) {}); since.Before(before) || since.After(after) {
		t.Errorf("since %v, not between %v and %v", since, before, after)
	}
	if since, _ := in.lanes[0].take(func(*swarm.Change) {}); !since.IsZero() || in.waiting() != 0 {
		t.Errorf("since %v, %d wait", since, in.waiting())
	}
}

func TestClientThatKeepsItsIntervalIsAlwaysPassedOn(t *testing.T) {
	in := NewIntake(45 * time.Minute)
	in.on.Store(true)
	now := time.Unix(1_700_000_000, 0)
	in.Changed(&swarm.Change{Kind: swarm.PeerRefreshed, Previous: now.Add(-15 * time.Minute), Peer: swarm.Peer{Addr: netip.AddrPortFrom(addrOf(1), 1), Last: now}})
	if all, _ := takeAll(in); len(all) != 1 {
		t.Errorf("%d", len(all))
	}
}

func TestLaneThatIsFullForgetsAllButCompletedDownloads(t *testing.T) {
	in := NewIntake(time.Hour)
	in.on.Store(true)
	h := bittorrent.InfoHash{3}
	for n := range uint64(laneRoom + 10) {
		if n%1000 == 0 {
			in.Changed(&swarm.Change{Kind: swarm.DownloadCount, InfoHash: h})
		}
		in.Changed(&swarm.Change{Kind: swarm.PeerPut, InfoHash: h, Peer: swarm.Peer{Addr: netip.AddrPortFrom(addrOf(n), 1)}})
	}
	in.Changed(&swarm.Change{Kind: swarm.DownloadCount, InfoHash: h})
	in.Changed(&swarm.Change{Kind: swarm.PeerPut, InfoHash: bittorrent.InfoHash{4}})
	all, forgotten := takeAll(in)
	if len(all) != 1 || len(forgotten) != 1 || forgotten[0].completed[h] != 18 {
		t.Errorf("%d changes, %+v", len(all), forgotten)
	}
	in.Changed(&swarm.Change{Kind: swarm.PeerPut, InfoHash: h})
	if all, forgotten := takeAll(in); len(all) != 1 || forgotten != nil {
		t.Error("it does not go on")
	}
}
