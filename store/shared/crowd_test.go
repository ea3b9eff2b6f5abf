package shared_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/roster"
	"waggle/store/shared"
)

// crowded is more peers with roles than a commit has room for: an importer and one on
// standby in each of many racks.
func crowded(c *cluster) (peers []*peer) {
	c.t.Helper()
	c.do(0, seeder(5000, "r0"))
	for n := range 3 * shared.MaxCommit {
		p := leecher(n, fmt.Sprintf("r%d", 1+n/2))
		c.do(0, p)
		peers = append(peers, p)
	}
	return peers
}

func TestProbesOfMorePeersThanACommitHasRoomForAreToldToOthers(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	peers := crowded(c)
	for _, p := range peers {
		c.probed(0, roster.Probe{InfoHash: torrent, Addr: p.addr}, true, false)
	}
	before := c.trackers[0].Figures()
	c.do(0, leecher(4000, "r4000"))
	c.tend(0)
	if after := c.trackers[0].Figures(); after.Loads != before.Loads {
		t.Errorf("everything was asked for again: from %+v to %+v", before, after)
	}
	all, unknown := c.truthOf(t), 0
	for _, p := range peers {
		if !all[p.addr].Probed {
			unknown++
		}
	}
	if unknown > 0 {
		t.Errorf("of %d probes of %d nobody else knows", unknown, len(peers))
	}
}

func TestMorePeersThanACommitHasRoomForLoseTheirRolesAtOnce(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	peers := crowded(c)
	c.pass(31 * time.Second) // of a server that was away, say: nobody on standby is fit any more
	before := c.trackers[0].Figures()
	c.tend(0)
	if after := c.trackers[0].Figures(); after.Loads != before.Loads {
		t.Errorf("everything was asked for again: from %+v to %+v", before, after)
	}
	standbys := 0
	for _, m := range c.truthOf(t) {
		if m.Standby {
			standbys++
		}
	}
	if standbys > 0 {
		t.Errorf("%d still stand by", standbys)
	}
	c.pass(10 * time.Minute)
	c.do(0, seeder(5000, "r0"))
	if n := c.tend(0); n != len(peers) {
		t.Errorf("%d of %d silent peers are forgotten", n, len(peers))
	}
	if all := c.truthOf(t); len(all) != 1 {
		t.Errorf("%d members are left", len(all))
	}
}

// TestImportersOfManyGroupsThatLeaveAreAllReplaced is of some that are followed by
// another one at each height.
func TestImportersOfManyGroupsThatLeaveAreAllReplaced(t *testing.T) {
	c := newCluster(t, 1, "strict", "site", "hall", "row", "rack")
	c.do(0, seeder(5000, "z/z/z/z"))
	const sites = 150
	var gone []netip.AddrPort
	for n := range sites {
		for m, path := range []string{"1/1/1", "1/1/1", "1/1/2", "1/2/1", "2/1/1"} {
			p := leecher(5*n+m, fmt.Sprintf("s%d/%s", n, path))
			p.get(int64(100 * m))
			if c.do(0, p); m == 0 {
				gone = append(gone, p.addr)
				c.host.forget(p.addr)
			}
		}
	}
	if err := c.trackers[0].Remove(t.Context(), torrent, gone, c.clock().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	all := c.truthOf(t)
	for n := range sites {
		for m, reach := range []int{0, 1, 2, 3, 4} {
			if got := all[leecher(5*n+m, "").addr].Reach; got != reach {
				t.Fatalf("site %d: peer %d crosses %d boundaries, want %d", n, m, got, reach)
			}
		}
	}
}

func (h *hosting) forget(addr netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.peers, addr)
}

// TestRolesAreGivenAfterMostPeersAreGoneAtOnce is of a tracker that hears of it in one
// answer.
func TestRolesAreGivenAfterMostPeersAreGoneAtOnce(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(5000, "r0"))
	for n := range 3000 {
		c.do(0, leecher(n, "r1"))
	}
	announced, records := c.m.Values(torrent)
	remove := func(values map[netip.AddrPort][]byte) (entries []shared.Entry) {
		for addr := range values {
			if addr != seeder(5000, "").addr {
				c.host.forget(addr)
				entries = append(entries, shared.Entry{Peer: addr})
			}
		}
		return entries
	}
	for some := range slices.Chunk(remove(announced), shared.MaxCommit) {
		if err := c.m.Update(t.Context(), &shared.Update{InfoHash: torrent, Announced: some}, &shared.Answer{}); err != nil {
			t.Fatal(err)
		}
	}
	var answer shared.Answer
	if err := c.m.Update(t.Context(), &shared.Update{InfoHash: torrent}, &answer); err != nil {
		t.Fatal(err)
	}
	if err := c.m.Update(t.Context(), &shared.Update{InfoHash: torrent, Known: answer.Version, Commit: remove(records)}, &answer); err != nil {
		t.Fatal(err)
	}
	first, second := leecher(4000, "r2"), leecher(4001, "r2")
	c.do(0, first)
	c.do(0, second)
	c.do(0, seeder(5000, "r0"))
	c.stop(0, first)
	if m := c.truthOf(t)[second.addr]; m.Reach != 1 || len(m.Parents) != 1 {
		t.Errorf("the only peer that is left of its rack is %+v", m)
	}
}

func TestTrackersThatTakeInTheLastPeersAtOnceGoOn(t *testing.T) {
	c := newCluster(t, 0, "strict", "rack")
	const most = 20
	one, two := c.trackerWith(shared.Options{MaxMembers: most}), c.trackerWith(shared.Options{MaxMembers: most})
	try := func(s *shared.Replicas, n int) error {
		_, err := c.try(s, c.announceOf(leecher(n, "r1")))
		return err
	}
	for n := range most - 1 {
		for _, s := range []*shared.Replicas{one, two} {
			if err := try(s, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.interrupt(1, func() {
		if err := try(two, most); err != nil {
			t.Error(err)
		}
	})
	for _, n := range []int{most + 1, 3} {
		if err := try(one, n); err != nil {
			t.Error(err)
		}
	}
	if n := len(members(t, one)); n != most+1 {
		t.Errorf("%d members", n)
	}
}

func TestMembersOfATorrentThatIsForgottenMeanwhileAreAskedForOnce(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	c.do(0, seeder(5000, "r0"))
	for n := range 1000 {
		c.do(0, leecher(n, "r1"))
	}
	before := c.trackers[0].Figures()
	first, seen := true, map[netip.AddrPort]bool{}
	err := c.trackers[0].Members(context.Background(), torrent, func(some []roster.Member) bool {
		if first {
			first = false
			c.pass(11 * time.Minute)
			c.tend(0)
		}
		for _, m := range some {
			seen[m.Addr] = true
		}
		return true
	})
	if loads := c.trackers[0].Figures().Loads - before.Loads; err != nil || loads != 1 || len(seen) != 1001 {
		t.Errorf("%d members, asked for %d times, %v", len(seen), loads, err)
	}
}

// TestDecisionThatNoCommitHasRoomForKeepsNobodyElseOut is of a policy that nobody has
// use for.
func TestDecisionThatNoCommitHasRoomForKeepsNobodyElseOut(t *testing.T) {
	c := newCluster(t, 1, "strict", "rack")
	for n := range 3 * shared.MaxCommit {
		c.do(0, seeder(n, "r1"))
	}
	many := *c.policy
	many.Exporters[1] = 2 * shared.MaxCommit
	c.policy = &many
	before := c.trackers[0].Figures()
	if _, err := c.try(c.trackers[0], c.announceOf(seeder(0, "r1"))); err == nil || !strings.Contains(err.Error(), "a commit has room for 512") {
		t.Errorf("%v", err)
	}
	c.do(0, leecher(4000, "r2"))
	if after := c.trackers[0].Figures(); after.Loads != before.Loads {
		t.Errorf("everything was asked for again: from %+v to %+v", before, after)
	}
	if m := c.truthOf(t)[leecher(4000, "").addr]; m.Reach != 1 || len(m.Parents) == 0 {
		t.Errorf("the other one is %+v", m)
	}
}
