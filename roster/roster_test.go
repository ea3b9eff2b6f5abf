package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/swarm"
)

// racks returns a world of so many racks of so many hosts with nothing, in the order
// in which they announce, and an origin in a rack of its own that has announced.
func racks(policy *swarm.Policy, racks, hosts int) (w *world, origin *host, all [][]*host) {
	tree := mustTree("rack")
	w = newWorld(policy, nil)
	origin = newSeed(1, mustGroup(tree, "origin"))
	w.announce(origin.announce())
	n := 1
	for i := range racks {
		place := mustGroup(tree, fmt.Sprintf("r%d", i))
		all = append(all, nil)
		for range hosts {
			n++
			all[i] = append(all[i], newHost(n, place))
		}
	}
	return w, origin, all
}

// announceAll lets all announce, the first host of each rack first.
func announceAll(w *world, all [][]*host) {
	for j := range all[0] {
		for i := range all {
			w.announce(all[i][j].announce())
		}
	}
}

func (w *world) member(h *host) *member { return w.roster.members[h.addr] }

func TestOnlyAnImporterIsToldOfPeersOutsideItsRack(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 1, 30)
	announceAll(w, all)
	inside := map[netip.AddrPort]bool{}
	for _, h := range all[0] {
		inside[h.addr] = true
	}
	for i, h := range all[0] {
		told := w.announce(h.announce())
		if i == 0 {
			if told[0] != origin.addr {
				t.Errorf("the importer is told of %v first", told[0])
			}
			continue
		}
		for _, addr := range told {
			if !inside[addr] {
				t.Errorf("host %d is told of %v", i, addr)
			}
		}
		if len(told) != Neighbours {
			t.Errorf("host %d is told of %d of its rack", i, len(told))
		}
	}
}

func TestFortyRacksThatStartAtOnceAllGetASource(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 40, 5)
	announceAll(w, all)
	deepest := 0
	for _, rack := range all {
		m := w.member(rack[0])
		if m.reach != 1 || m.source == nil || !rooted(m.source, m) {
			t.Fatalf("%v has no source", m.addr)
		}
		deepest = max(deepest, m.depth)
	}
	if n := len(w.member(origin).children); n > 4 {
		t.Errorf("the origin has %d children", n)
	}
	if deepest > 5 {
		t.Errorf("the last rack is %d steps from the origin", deepest)
	}
	for _, p := range w.roster.Places() {
		if p.Starving || p.Leechers > 0 && p.Leases == 0 {
			t.Errorf("%s: %+v", p.Group.Path(), p)
		}
	}
}

// obedient lets a host announce twice at the interval that it is told, so that it is
// known to keep it.
func obedient(w *world, hosts ...*host) {
	for range 2 {
		for _, h := range hosts {
			w.announce(h.announce())
		}
		w.now = w.now.Add(15 * time.Second)
	}
}

func TestStandbyTakesOverFromAnImporterThatFallsSilent(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 4)
	announceAll(w, all)
	importer, standby := all[0][0], all[0][1]
	obedient(w, importer, standby)
	if m := w.member(standby); !m.standby || m.reach != 0 {
		t.Fatalf("the second one is not on standby: %+v", m)
	}
	for range 3 {
		w.now = w.now.Add(15 * time.Second)
		w.announce(standby.announce())
		w.tend()
	}
	if w.member(importer) != nil {
		t.Fatal("the importer has been silent for 45 seconds and is still there")
	}
	if told := w.announce(standby.announce()); w.member(standby).reach != 1 || told[0] != netip.MustParseAddrPort("10.0.0.1:6881") {
		t.Errorf("the standby has a reach of %d and is told of %v", w.member(standby).reach, told)
	}
}

func TestClientThatKeepsAnIntervalOfItsOwnIsWaitedFor(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 1, 2)
	slow := all[0][0]
	w.announce(slow.announce())
	for range 3 {
		for range 20 {
			w.now = w.now.Add(15 * time.Second)
			w.announce(origin.announce())
			w.tend()
		}
		if w.member(slow) == nil {
			t.Fatal("it announces every five minutes and was forgotten")
		}
		slow.get(10)
		w.announce(slow.announce())
	}
	w.now = w.now.Add(601 * time.Second)
	w.announce(origin.announce())
	if gone := w.tend(); !slices.Contains(gone, slow.addr) {
		t.Errorf("after ten minutes of silence it is still there: %v", gone)
	}
}

func TestImporterThatGetsNothingIsReplacedOnceAndThenMoreSlowly(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 1, 3)
	announceAll(w, all)
	importer, standby := all[0][0], all[0][1]
	round := func() {
		w.now = w.now.Add(15 * time.Second)
		origin.uploaded += 10 // to somebody
		w.announce(origin.announce())
		w.announce(standby.announce())
		w.announce(importer.announce())
	}
	for range 2 { // in the first, nobody can have given anything yet
		round()
	}
	if w.member(importer).reach != 1 {
		t.Fatal("replaced after one announce without progress")
	}
	round()
	if m, s := w.member(importer), w.member(standby); m.reach != 0 || !m.stalled || s.reach != 1 {
		t.Fatalf("after two announces without progress: importer %d, standby %d", m.reach, s.reach)
	}
	if p := w.roster.Places()[1]; p.Orphans != 1 || len(p.Importers) != 1 {
		t.Errorf("the lease that was taken back is not counted: %+v", p)
	}
	round()
	round()
	if w.member(standby).reach != 1 {
		t.Error("the second importer was replaced as soon as the first")
	}
}

func TestImporterThatGetsNothingStaysWhileItsParentsGetNothingEither(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 1, 3)
	announceAll(w, all)
	for range 5 {
		w.now = w.now.Add(15 * time.Second)
		w.announce(origin.announce())
		w.announce(all[0][1].announce())
		w.announce(all[0][0].announce())
	}
	if w.member(all[0][0]).reach != 1 {
		t.Error("it was replaced although nobody goes on")
	}
}

func TestSubstituteIsToldToItsParentsBeforeItAnnounces(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 1, 4)
	announceAll(w, all)
	w.leave(all[0][0].addr)
	if told := w.announce(origin.announce()); !slices.Equal(told, []netip.AddrPort{all[0][1].addr}) {
		t.Errorf("the origin is told of %v, not of who took over", told)
	}
}

func TestImporterThatIsLateAndHasNoLeasesMakesWay(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	rack := mustGroup(tree, "r1")
	late, other := newHost(1, rack), newHost(2, rack)
	w.announce(late.announce())
	w.announce(other.announce())
	w.now = w.now.Add(31 * time.Second)
	w.announce(other.announce())
	if w.member(late).reach != 0 || w.member(other).reach != 1 {
		t.Errorf("the late one has a reach of %d, the other one of %d", w.member(late).reach, w.member(other).reach)
	}
}

func TestOnlySeederAnnouncesOftenUntilItHasWaitedForAnHour(t *testing.T) {
	w, origin, _ := racks(mustPolicy("strict"), 0, 0)
	w.announce(origin.announce())
	if w.reply.Pace != swarm.Active {
		t.Errorf("the origin of a new torrent is told pace %d", w.reply.Pace)
	}
	w.now = w.now.Add(time.Hour)
	w.announce(origin.announce())
	if w.reply.Pace != swarm.Passive {
		t.Errorf("after an hour without leechers it is told pace %d", w.reply.Pace)
	}
}

func TestHostAloneInItsRackGetsAnOrdinaryList(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 8, 1)
	announceAll(w, all)
	announceAll(w, all)
	for _, rack := range all {
		if n := len(w.member(rack[0]).parents); n < 2 {
			t.Errorf("%v has %d parents", rack[0].addr, n)
		}
	}
	if told := w.announce(all[0][0].announce()); len(told) < 4 {
		t.Errorf("the first is told of %d", len(told))
	}
}

func TestSeederInTheRackIsEnough(t *testing.T) {
	w, _, all := racks(mustPolicy("balanced"), 1, 5)
	seed := newSeed(100, all[0][0].place)
	w.announce(seed.announce())
	announceAll(w, all)
	for _, h := range all[0] {
		if m := w.member(h); m.reach != 0 {
			t.Errorf("%v imports although its rack has a seeder", h.addr)
		}
	}
	w.leave(seed.addr)
	if w.member(all[0][0]).reach+w.member(all[0][1]).reach+w.member(all[0][2]).reach == 0 {
		t.Error("nobody imports after the seeder has left")
	}
}

func TestRowImportsOnceForItsRacks(t *testing.T) {
	tree := mustTree("row", "rack")
	w := newWorld(mustPolicy("strict"), nil)
	origin := newSeed(1, mustGroup(tree, "a/origin"))
	w.announce(origin.announce())
	var hosts []*host
	for i := range 4 {
		hosts = append(hosts, newHost(i+2, mustGroup(tree, fmt.Sprintf("b/r%d", i))))
	}
	for range 3 {
		for _, h := range hosts {
			w.announce(h.announce())
		}
	}
	across := 0
	for _, h := range hosts {
		m := w.member(h)
		for _, p := range m.parents {
			if p.addr == origin.addr {
				across++
			}
		}
		if m.source == nil || !rooted(m.source, m) {
			t.Errorf("%v has no source", h.addr)
		}
	}
	if across != 1 {
		t.Errorf("%d of row b download from row a", across)
	}
}

func TestBudgetOfARackHoldsOverAllTorrents(t *testing.T) {
	tree := mustTree("rack")
	budget := NewBudget(1)
	first, second := newWorld(mustPolicy("strict"), budget), newWorld(mustPolicy("strict"), budget)
	rack := mustGroup(tree, "r1")
	for _, w := range []*world{first, second} {
		w.announce(newSeed(1, mustGroup(tree, "origin")).announce())
		w.announce(newHost(2, rack).announce())
	}
	p := second.roster.Places()[1]
	if !p.Waiting || !p.Starving || len(p.Importers) != 0 {
		t.Errorf("the second torrent does not wait: %+v", p)
	}
	first.leave(newHost(2, rack).addr)
	second.announce(newHost(2, rack).announce())
	if p = second.roster.Places()[1]; p.Waiting || p.Starving {
		t.Errorf("the second torrent still waits: %+v", p)
	}
}

func TestNobodyIsTheSourceOfWhoFeedsIt(t *testing.T) {
	asker := &member{kind: swarm.Leecher}
	child := &member{kind: swarm.Leecher, source: asker}
	grandchild := &member{kind: swarm.Leecher, source: child}
	other := &member{kind: swarm.Leecher, key: 1}
	var best candidate
	best.considerSource(asker, grandchild, true)
	if best.member != nil {
		t.Error("who is fed by the one that asks is considered")
	}
	best.considerSource(asker, other, false)
	if best.member != other {
		t.Error("another one is not considered")
	}
}

func TestRestoredLeaseThatTheBudgetHasNoRoomForIsAnOrphan(t *testing.T) {
	tree := mustTree("rack")
	budget := NewBudget(1)
	rack := mustGroup(tree, "r1")
	first, second := newWorld(mustPolicy("strict"), budget), newWorld(mustPolicy("strict"), budget)
	first.announce(newHost(2, rack).announce())
	origin, h := newSeed(1, mustGroup(tree, "origin")), newHost(2, rack)
	records := []Record{
		{Addr: origin.addr, Location: origin.place, Reach: 1},
		{Addr: h.addr, Location: rack, Reach: 1, Parents: []netip.AddrPort{origin.addr}, Depth: 1},
	}
	for i, peer := range []swarm.Peer{
		{Addr: origin.addr, ID: origin.id, Kind: swarm.Seeder},
		{Addr: h.addr, ID: h.id, Kind: swarm.Leecher, Left: fileSize},
	} {
		second.roster.Restore(&peer, &records[i], second.now)
	}
	for i := range records {
		second.roster.RestoreLeases(&records[i])
	}
	if p := second.roster.Places()[1]; p.Leases != 0 || p.Orphans != 1 || len(p.Importers) != 0 {
		t.Errorf("another torrent has the rack's budget, and this one %+v", p)
	}
}

func TestNeighboursOfAPeerStayMostlyTheSame(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 400)
	announceAll(w, all)
	h := all[0][200]
	before := w.announce(h.announce())
	if again := w.announce(h.announce()); !slices.Equal(before, again) {
		t.Error("asked again, it is told of others")
	}
	for i := range 40 {
		w.announce(newHost(1000+i, h.place).announce())
	}
	same := 0
	for _, addr := range w.announce(h.announce()) {
		if slices.Contains(before, addr) {
			same++
		}
	}
	if len(before) != Neighbours || same < Neighbours*3/4 {
		t.Errorf("of %d neighbours, %d are left after a tenth has joined", len(before), same)
	}
}

func TestUnlocatedOriginFeedsRacksByLeases(t *testing.T) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	origin := newSeed(1, nil)
	w.announce(origin.announce())
	h := newHost(2, mustGroup(tree, "r1"))
	w.announce(h.announce())
	stranger := newHost(3, nil)
	w.announce(stranger.announce())
	if told := w.announce(h.announce()); len(told) == 0 || told[0] != origin.addr {
		t.Errorf("the importer is told of %v", told)
	}
	if told := w.announce(origin.announce()); !slices.Contains(told, h.addr) {
		t.Errorf("the origin is told of %v", told)
	}
	if m := w.member(h); m.source == nil || m.source.addr != origin.addr {
		t.Errorf("the source of the importer is %v", m.source)
	}
}

func TestProbesThatFailTwiceAreADeathOfWhoCouldBeReached(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 3)
	announceAll(w, all)
	r, importer, hidden := w.roster, all[0][0].addr, all[0][1].addr
	if probable := r.Probable(nil); !slices.Contains(probable, importer) || slices.Contains(probable, all[0][2].addr) {
		t.Errorf("to be probed: %v", probable)
	}
	r.Probed(importer, true)
	if r.Probed(importer, false) {
		t.Error("dead after one failure")
	}
	if !r.Probed(importer, false) {
		t.Error("alive after two failures")
	}
	for range 5 {
		if r.Probed(hidden, false) {
			t.Error("one that never could be reached is taken for dead")
		}
	}
}

func TestHostThatCannotBeConnectedToImportsOnlyWhereNobodyElseCan(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 3)
	first, second, third := all[0][0], all[0][1], all[0][2]
	imports := func(h *host) bool { return w.member(h).reach > 0 }
	w.announce(first.announce())
	first.reach, second.reach = swarm.Unreachable, swarm.Unreachable // which was found meanwhile
	w.announce(second.announce())
	w.announce(first.announce())
	if !imports(first) || !w.member(second).standby {
		t.Fatal("two that cannot be connected to are better than none")
	}
	w.announce(third.announce())
	if !w.member(third).standby || w.member(second).standby {
		t.Error("one that may be connected to does not stand by in place of one that cannot")
	}
	w.now = w.now.Add(w.policy.Active)
	w.announce(third.announce())
	w.announce(first.announce())
	if imports(first) || !imports(third) {
		t.Errorf("the first imports: %t, the third: %t; want the third alone", imports(first), imports(third))
	}
	third.reach = swarm.Unreachable // found late: it has got something by then
	third.get(10)
	w.now = w.now.Add(w.policy.Active)
	w.announce(third.announce())
	first.reach = swarm.Reachable
	w.announce(first.announce())
	w.announce(third.announce())
	if !imports(third) {
		t.Error("one that gets something is replaced")
	}
}

func TestWhatAnAttemptFoundGivesWayToProbes(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 1)
	h := all[0][0]
	w.announce(h.announce())
	is := func(want health, why string) {
		t.Helper()
		w.announce(h.announce())
		if got := w.member(h).health; got != want {
			t.Errorf("%s: health %d, want %d", why, got, want)
		}
	}
	h.reach = swarm.Unreachable
	is(unreachable, "an attempt failed")
	h.reach = swarm.Reachable
	is(unprobed, "another did not")
	w.roster.Probed(h.addr, false)
	w.roster.Probed(h.addr, false)
	is(unreachable, "two probes failed since")
	w.roster.Probed(h.addr, true)
	h.reach = swarm.Unreachable
	is(reachable, "a probe did not fail")
}

func TestImporterThatNeverCouldBeReachedAndFallsSilentLosesItsRoleButStays(t *testing.T) {
	w, _, all := racks(mustPolicy("strict"), 1, 3)
	announceAll(w, all)
	importer, standby := all[0][0], all[0][1]
	for range 2 {
		w.roster.Probed(importer.addr, false)
	}
	w.now = w.now.Add(29 * time.Second)
	w.announce(standby.announce())
	w.tend()
	if w.member(importer).reach != 1 {
		t.Fatal("it lost its role after 29 seconds")
	}
	w.now = w.now.Add(2 * time.Second)
	w.tend()
	if m := w.member(importer); m == nil || m.reach != 0 || w.member(standby).reach != 1 {
		t.Errorf("after 31 seconds: importer %+v, standby %+v", m, w.member(standby))
	}
}

func TestExplanationNamesRoleAndReasons(t *testing.T) {
	w, origin, all := racks(mustPolicy("strict"), 2, 3)
	announceAll(w, all)
	e, ok := w.roster.Explain(all[0][0].addr)
	if !ok || e.Depth != 1 || e.Reach != 1 || e.Told[0].Peer != origin.addr || e.Told[0].Why != Source {
		t.Fatalf("%+v", e)
	}
	text := strings.Join(e.Sentences, "\n")
	for _, want := range []string{"is in r0, which has 3 leechers", "an importer of r0", "Its source is 10.0.0.1:6881: 1 step", "announce often"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if e, _ = w.roster.Explain(all[0][2].addr); !strings.Contains(strings.Join(e.Sentences, "\n"), "Others of its rack import: "+all[0][0].addr.String()) {
		t.Errorf("%q", e.Sentences)
	}
	if _, ok := w.roster.Explain(netip.MustParseAddrPort("192.0.2.1:1")); ok {
		t.Error("somebody unknown is explained")
	}
}

// big is a swarm of 100,000 located peers in 2,500 racks.
func big() (*world, [][]*host) {
	w, _, all := racks(mustPolicy("strict"), 2500, 40)
	for _, rack := range all {
		for i, h := range rack {
			h.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(len(w.roster.all) >> 16), byte(len(w.roster.all) >> 8), byte(len(w.roster.all))}), uint16(1+i))
			w.announceQuickly(h.announce())
		}
	}
	return w, all
}

// announceQuickly announces without the list of the swarm, in which to find a peer
// takes long.
func (w *world) announceQuickly(a *swarm.Announce) {
	a.Now, a.Policy, a.Families = w.now, w.policy, swarm.IPv4
	w.reply.Reset()
	w.roster.Announce(w, swarm.Absent, a, &w.reply)
}

func TestAnnounceOfAKnownPeerAllocatesNothing(t *testing.T) {
	w, _, all := racks(mustPolicy("balanced"), 10, 40)
	announceAll(w, all)
	announceAll(w, all)
	for _, h := range []*host{all[3][0], all[3][1], all[3][20]} {
		a := h.announce()
		if n := testing.AllocsPerRun(100, func() { w.announceQuickly(a) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkAnnounceOf100000Located(b *testing.B) {
	w, all := big()
	var announces []*swarm.Announce
	for _, rack := range all {
		for _, h := range rack {
			announces = append(announces, h.announce())
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.announceQuickly(announces[i*7919%len(announces)])
	}
}

// BenchmarkAnnounceOfImporters is of those alone that look for parents.
func BenchmarkAnnounceOfImporters(b *testing.B) {
	w, all := big()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.announceQuickly(all[i%len(all)][0].announce())
	}
}

func BenchmarkAnnounceInOneRackOf100000(b *testing.B) {
	tree := mustTree("rack")
	w := newWorld(mustPolicy("strict"), nil)
	w.announce(newSeed(1, mustGroup(tree, "origin")).announce())
	rack := mustGroup(tree, "r")
	var announces []*swarm.Announce
	for i := range 100_000 {
		h := newHost(i, rack)
		h.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		announces = append(announces, h.announce())
		w.announceQuickly(announces[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.announceQuickly(announces[i*7919%len(announces)])
	}
}

// BenchmarkAnnounceOfLoneHosts is of 10,000 racks of one host.
func BenchmarkAnnounceOfLoneHosts(b *testing.B) {
	w, _, all := racks(mustPolicy("strict"), 9_999, 1)
	for range 2 {
		for _, rack := range all {
			w.announceQuickly(rack[0].announce())
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.announceQuickly(all[i*7919%len(all)][0].announce())
	}
}

func TestJumpMovesOneKeyInNWhereAPlaceIsAdded(t *testing.T) {
	moved := 0
	for key := range uint64(10_000) {
		k := mix(key+1, 12345)
		if a, b := jump(k, 99), jump(k, 100); a != b {
			if b != 99 {
				t.Fatalf("key %d moves from %d to %d, not to the new place", key, a, b)
			}
			moved++
		}
	}
	if moved < 60 || moved > 140 {
		t.Errorf("%d of 10,000 keys move to one new place of a hundred", moved)
	}
}
