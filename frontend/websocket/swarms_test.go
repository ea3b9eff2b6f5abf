package websocket

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/swarm"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// room is browsers and their connections, without a network.
type room struct {
	*Swarms
	server *Server
	now    time.Time
}

func newRoom(most, mostTorrents int) *room {
	swarms := NewSwarms(most, [2]uint64{1, 2}, noon)
	return &room{Swarms: swarms, server: &Server{options: Options{Swarms: swarms, MaxTorrents: mostTorrents}}, now: noon}
}

func (r *room) conn() *conn { return &conn{server: r.server} }

func peerID(n int) bittorrent.PeerID { return bittorrent.PeerID(fmt.Appendf(nil, "-WW0124-%012d", n)) }

func infoHash(n int) bittorrent.InfoHash { return bittorrent.InfoHash{byte(n), byte(n >> 8)} }

// does has a peer announce by a connection.
func (r *room) does(c *conn, h, peer int, left int64, event bittorrent.Event, offers int) (chosen []*conn, reply swarm.Reply) {
	a := swarm.Announce{Now: r.now}
	a.InfoHash, a.PeerID, a.Left, a.Event, a.NumWant = infoHash(h), peerID(peer), left, event, int32(offers)
	chosen, joined := r.announce(c, &a, &reply, nil)
	if joined {
		c.join(membership{a.InfoHash, a.PeerID})
	}
	return chosen, reply
}

func (r *room) wantCount(t *testing.T, h int, seeders, leechers uint32) {
	t.Helper()
	at := infoHash(h)
	if s, l := r.Count(&at); s != seeders || l != leechers {
		t.Errorf("%d seeders and %d leechers, want %d and %d", s, l, seeders, leechers)
	}
}

const (
	started   = bittorrent.EventStarted
	stopped   = bittorrent.EventStopped
	completed = bittorrent.EventCompleted
)

func TestOffersGoToOthersOfTheTorrentAlone(t *testing.T) {
	r := newRoom(0, 0)
	a, b, elsewhere := r.conn(), r.conn(), r.conn()
	r.does(elsewhere, 2, 3, 9, started, 5)
	if chosen, _ := r.does(a, 1, 1, 9, started, 5); len(chosen) != 0 {
		t.Errorf("the first is told of %d", len(chosen))
	}
	chosen, reply := r.does(b, 1, 2, 9, started, 5)
	if !slices.Equal(chosen, []*conn{a}) || reply.Complete != 0 || reply.Incomplete != 2 {
		t.Errorf("chosen %d, %d and %d", len(chosen), reply.Complete, reply.Incomplete)
	}
}

func TestOffersAreNeverMoreThanThereAre(t *testing.T) {
	r := newRoom(0, 0)
	for i := range 100 {
		r.does(r.conn(), 1, i, 9, started, 0)
	}
	chosen, _ := r.does(r.conn(), 1, 100, 9, started, 3)
	different := map[*conn]bool{}
	for _, c := range chosen {
		different[c] = true
	}
	if len(chosen) != 3 || len(different) != 3 {
		t.Errorf("%d are chosen, %d of them different, want 3", len(chosen), len(different))
	}
	if chosen, _ = r.does(r.conn(), 1, 101, 9, started, 0); len(chosen) != 0 {
		t.Error("somebody is chosen without an offer")
	}
}

func TestSeedersOfferToLeechersAlone(t *testing.T) {
	r := newRoom(0, 0)
	seeder, leecher := r.conn(), r.conn()
	r.does(seeder, 1, 1, 0, started, 0)
	r.does(leecher, 1, 2, 5, started, 0)
	for range 20 {
		if chosen, _ := r.does(r.conn(), 1, 3, 0, started, 10); !slices.Equal(chosen, []*conn{leecher}) {
			t.Fatalf("a seeder offers to %d", len(chosen))
		}
	}
}

// TestOffersDoNotCrossThoseThatWaitForAnAnswer is about clients that give up the later one of two
// connections with the same peer, which is the earlier one for the other.
func TestOffersDoNotCrossThoseThatWaitForAnAnswer(t *testing.T) {
	r := newRoom(0, 0)
	page, seeder, third := r.conn(), r.conn(), r.conn()
	r.does(seeder, 1, 10, 0, started, 5)
	offers := func(why string, from *conn, peer int, left int64, want ...*conn) {
		t.Helper()
		if chosen, _ := r.does(from, 1, peer, left, bittorrent.EventNone, 5); !slices.Equal(chosen, want) {
			t.Errorf("%s: %d are chosen, want %d", why, len(chosen), len(want))
		}
	}
	h, ofPage, ofSeeder := infoHash(1), peerID(20), peerID(10)
	offers("nobody waits", page, 20, 5, seeder)
	r.now = r.now.Add(answerTime * time.Second)
	offers("the page waits for the seeder", seeder, 10, 0)
	if r.answers(seeder, &h, &ofSeeder, &ofPage) != page {
		t.Fatal("the answer is not passed on")
	}
	offers("the page has its answer", seeder, 10, 0, page)
	r.does(page, 1, 20, 5, stopped, 0)
	offers("the page is another one now", page, 20, 5) // the seeder waits for it
	r.now = r.now.Add((answerTime + 1) * time.Second)
	offers("the seeder has waited long enough", page, 20, 5, seeder)
	offers("a third one has nothing to do with it", third, 30, 0, page)
}

func TestLeechersOfferToSeedersAndLeechers(t *testing.T) {
	r := newRoom(0, 0)
	kinds := map[*conn]string{}
	for i := range 40 {
		c := r.conn()
		kinds[c] = [...]string{"leecher", "seeder"}[i%2]
		r.does(c, 1, i, int64(1-i%2), started, 0)
	}
	chosen, _ := r.does(r.conn(), 1, 99, 5, started, 10)
	counts := map[string]int{}
	for _, c := range chosen {
		counts[kinds[c]]++
	}
	if counts["leecher"] != 5 || counts["seeder"] != 5 {
		t.Errorf("chosen %v, want 5 of each", counts)
	}
}

func TestNobodyIsOfferedToHimself(t *testing.T) {
	r := newRoom(0, 0)
	c := r.conn()
	r.does(c, 1, 1, 9, started, 0)
	r.does(c, 1, 2, 9, started, 0) // another client of the page
	for range 20 {
		if chosen, _ := r.does(c, 1, 1, 9, started, 10); len(chosen) != 0 {
			t.Fatal("offers come back on the connection that they came by")
		}
	}
}

func TestPeerThatComesByAnotherConnectionIsReachedByThat(t *testing.T) {
	r := newRoom(0, 0)
	old, next, other := r.conn(), r.conn(), r.conn()
	r.does(old, 1, 1, 9, started, 0)
	r.does(next, 1, 1, 9, started, 0)
	r.wantCount(t, 1, 0, 1)
	if chosen, _ := r.does(other, 1, 2, 9, started, 5); !slices.Equal(chosen, []*conn{next}) {
		t.Error("the old connection is offered to")
	}
	h, id := infoHash(1), peerID(1)
	r.leave(old, &h, &id) // as it ends
	if _, reply := r.does(old, 1, 1, 9, stopped, 0); reply.Incomplete != 2 {
		t.Errorf("%d are left after another's stop, want 2", reply.Incomplete)
	}
	r.leave(next, &h, &id)
	r.wantCount(t, 1, 0, 1)
}

func TestWhoStopsIsGone(t *testing.T) {
	r := newRoom(0, 0)
	c := r.conn()
	r.does(c, 1, 1, 0, started, 0)
	r.wantCount(t, 1, 1, 0)
	if _, reply := r.does(c, 1, 1, 0, stopped, 5); reply.Complete != 0 {
		t.Error("who stopped is counted")
	}
	if total := r.Totals(); total != (swarm.Totals{}) {
		t.Errorf("left are %+v", total)
	}
}

func TestLeecherBecomesSeeder(t *testing.T) {
	r := newRoom(0, 0)
	c := r.conn()
	r.does(c, 1, 1, 9, started, 0)
	r.does(c, 1, 1, 0, completed, 0)
	r.wantCount(t, 1, 1, 0)
	r.does(c, 1, 1, bittorrent.LeftUnknown, bittorrent.EventNone, 0) // who says nothing of it has it still
	r.wantCount(t, 1, 1, 0)
	r.does(c, 1, 1, 3, bittorrent.EventNone, 0) // a file turned out to be damaged
	r.wantCount(t, 1, 0, 1)
	r.does(c, 1, 1, 3, bittorrent.EventPaused, 0)
	r.wantCount(t, 1, 0, 1)
}

func TestAnswerGoesToAPeerOfTheTorrentByItsConnection(t *testing.T) {
	r := newRoom(0, 0)
	a, b, c := r.conn(), r.conn(), r.conn()
	r.does(a, 1, 1, 9, started, 0)
	r.does(b, 1, 2, 9, started, 0)
	r.does(c, 2, 3, 9, started, 0)
	one, two, three, h, other := peerID(1), peerID(2), peerID(3), infoHash(1), infoHash(2)
	for name, tt := range map[string]struct {
		by       *conn
		h        bittorrent.InfoHash
		from, to bittorrent.PeerID
		want     *conn
	}{
		"as it should be":              {b, h, two, one, a},
		"to nobody":                    {b, h, two, peerID(9), nil},
		"to a peer of another torrent": {b, h, two, three, nil},
		"in a torrent of others":       {b, other, two, three, nil},
		"in a torrent of nobody":       {b, infoHash(7), two, one, nil},
		"in the name of another":       {b, h, one, two, nil},
		"to oneself":                   {b, h, two, two, nil},
		"of one who did not announce":  {c, h, three, one, nil},
	} {
		if to := r.answers(tt.by, &tt.h, &tt.from, &tt.to); to != tt.want {
			t.Errorf("an answer %s gets elsewhere", name)
		}
	}
}

func TestSilentPeersAreForgotten(t *testing.T) {
	r := newRoom(0, 0)
	a, b := r.conn(), r.conn()
	for i := range 50 {
		r.does(a, i%3, i, int64(i%2), started, 0)
	}
	r.now = noon.Add(time.Minute)
	r.does(b, 1, 99, 9, started, 0)
	h, from, to := infoHash(1), peerID(1), peerID(99)
	if r.answers(a, &h, &from, &to) != b {
		t.Fatal("no answer gets there")
	}
	if n := r.Expire(noon.Add(30 * time.Second)); n != 50 {
		t.Errorf("%d are forgotten, want all but one who has just announced: who is refused must not stay by answering", n)
	}
	r.wantCount(t, 1, 0, 1)
	if r.Expire(noon.Add(-time.Hour)) != 0 {
		t.Error("some are older than the server")
	}
}

func TestAtTheLimitOfPeersANewOneIsWarnedAndNotTold(t *testing.T) {
	r := newRoom(2, 0)
	a, b, c := r.conn(), r.conn(), r.conn()
	r.does(a, 1, 1, 9, started, 0)
	r.does(b, 1, 2, 9, started, 0)
	chosen, reply := r.does(c, 1, 3, 9, started, 5)
	if len(chosen) != 0 || reply.Warning == "" || reply.Incomplete != 2 || len(c.mine) != 0 {
		t.Errorf("chosen %d, warning %q, %d leechers", len(chosen), reply.Warning, reply.Incomplete)
	}
	if _, reply = r.does(c, 1, 2, 9, started, 0); reply.Warning != "" {
		t.Errorf("a peer that comes again is warned: %s", reply.Warning)
	}
	r.does(a, 1, 1, 9, stopped, 0)
	if _, reply = r.does(a, 1, 3, 9, started, 0); reply.Warning != "" {
		t.Errorf("there is room: %s", reply.Warning)
	}
}

func TestConnectionHasNoMoreTorrentsThanItMay(t *testing.T) {
	r := newRoom(0, 3)
	c := r.conn()
	for i := range 10_000 {
		h := i % 5000
		c.makeRoom(membership{infoHash(h), peerID(1)})
		if _, reply := r.does(c, h, 1, 9, started, 0); (reply.Warning != "") != (h >= 3) {
			t.Fatalf("torrent %d: warning %q", h, reply.Warning)
		}
	}
	if len(c.mine) != 3 || r.Totals().Peers != 3 {
		t.Errorf("it has %d, want 3", len(c.mine))
	}
	r.Expire(noon.Add(time.Hour))
	c.makeRoom(membership{infoHash(9), peerID(1)})
	if _, reply := r.does(c, 9, 1, 9, started, 0); reply.Warning != "" {
		t.Error("what is forgotten takes room")
	}
}

func TestCountingAndAnnouncingAgainAllocateNothing(t *testing.T) {
	r := newRoom(0, 0)
	for i := range 50 {
		r.does(r.conn(), 1, i, 9, started, 0)
	}
	c := r.conn()
	chosen := make([]*conn, 0, maxOffers)
	a := swarm.Announce{Now: noon}
	a.InfoHash, a.PeerID, a.Left, a.NumWant = infoHash(1), peerID(99), 9, maxOffers
	var reply swarm.Reply
	again := func() {
		chosen, _ = r.announce(c, &a, &reply, chosen[:0])
		if s, l := r.Count(&a.InfoHash); s != 0 || l != 51 {
			t.Fatalf("%d seeders and %d leechers", s, l)
		}
		for _, to := range chosen {
			if to == c {
				t.Fatal("chosen oneself")
			}
		}
	}
	again()
	if n := testing.AllocsPerRun(100, again); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSwarmsAreAsAModel has browsers come, change, vanish and fall silent by chance, and
// compares with a map.
func TestSwarmsAreAsAModel(t *testing.T) {
	type key struct {
		h  bittorrent.InfoHash
		id bittorrent.PeerID
	}
	type known struct {
		of     *conn
		seeder bool
		leech  bool
		last   time.Time
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRoom(0, 0)
		model := map[key]known{}
		conns := make([]*conn, 6)
		for i := range conns {
			conns[i] = r.conn()
		}
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds")) * time.Second)
			i := rapid.IntRange(0, len(conns)-1).Draw(rt, "connection")
			c := conns[i]
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0: // the connection ends
				for _, m := range c.mine {
					r.leave(c, &m.torrent, &m.peer)
				}
				for k, p := range model {
					if p.of == c {
						delete(model, k)
					}
				}
				conns[i] = r.conn()
			case 1:
				before := r.now.Add(-time.Minute)
				r.Expire(before)
				for k, p := range model {
					if p.last.Before(before) && !before.Before(noon) {
						delete(model, k)
					}
				}
			default:
				h, peer := rapid.IntRange(0, 1).Draw(rt, "torrent"), rapid.IntRange(0, 30).Draw(rt, "peer")
				left := rapid.SampledFrom([]int64{0, 1, bittorrent.LeftUnknown}).Draw(rt, "left")
				event := rapid.SampledFrom([]bittorrent.Event{started, stopped, completed, bittorrent.EventPaused}).Draw(rt, "event")
				k := key{infoHash(h), peerID(peer)}
				was, is := model[k]
				chosen, _ := r.does(c, h, peer, left, event, 5)
				if event == stopped {
					if is && was.of == c {
						delete(model, k)
					}
					break
				}
				seeder := left == 0 || left == bittorrent.LeftUnknown && is && was.seeder
				model[k] = known{c, seeder, !seeder && event != bittorrent.EventPaused, r.now}
				for _, to := range chosen {
					found := false
					for other, p := range model {
						found = found || other.h == k.h && p.of == to && to != c && (model[k].leech || p.leech)
					}
					if !found {
						rt.Fatal("somebody is offered to who is not there, or has no use for it")
					}
				}
			}
			var want [2][2]uint32
			for k, p := range model {
				if p.seeder {
					want[k.h[0]][0]++
				} else {
					want[k.h[0]][1]++
				}
			}
			for h := range want {
				at := infoHash(h)
				if s, l := r.Count(&at); [2]uint32{s, l} != want[h] {
					rt.Fatalf("%d seeders and %d leechers, want %v", s, l, want[h])
				}
			}
			if total := r.Totals(); total.Peers != len(model) || int64(total.Peers) != r.peers.Load() {
				rt.Fatalf("%+v of %d", total, len(model))
			}
		}
	})
}

// BenchmarkCountOfNobody is what an announce over UDP pays while no browser is connected.
func BenchmarkCountOfNobody(b *testing.B) {
	s := NewSwarms(0, [2]uint64{}, noon)
	h := infoHash(1)
	for b.Loop() {
		s.Count(&h)
	}
}
