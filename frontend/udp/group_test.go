package udp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// room is a group of peers on no network, and the cluster that hears it.
type room struct {
	t       *testing.T
	in      chan packet
	out     chan packet
	master  atomic.Bool
	ahead   time.Duration
	closing sync.Once

	mu    sync.Mutex
	heard []string // by which way announces came to be recorded
	fail  error    // of an announce that all would have to record
}

type packet struct {
	addr  netip.AddrPort
	bytes []byte
}

func (r *room) Receive() ([]byte, netip.AddrPort, bool) {
	p, ok := <-r.in
	return p.bytes, p.addr, ok
}

func (r *room) Answer(to netip.AddrPort, b []byte) error {
	r.out <- packet{to, append([]byte(nil), b...)}
	return nil
}

func (r *room) Answers() bool { return r.master.Load() }

func (r *room) Now() time.Time { return time.Now().Add(r.ahead) }

func (r *room) note(what string, announce []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(announce) != bittorrent.UDPAnnounceLen {
		r.t.Errorf("an announce of %d bytes is %s", len(announce), what)
	}
	r.heard = append(r.heard, what)
}

func (r *room) Hear(_ netip.AddrPort, announce []byte) { r.note("kept", announce) }

type recorded struct{}

func (r *room) Heard(ctx context.Context, _ netip.AddrPort, announce []byte) context.Context {
	r.note("heard", announce)
	return context.WithValue(ctx, recorded{}, r)
}

func (r *room) Committed(ctx context.Context) context.Context {
	return context.WithValue(ctx, recorded{}, r)
}

// clustered is a store that takes announces only in a context of a cluster.
type clustered struct{ *memory.Store }

func (c clustered) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	x, ok := ctx.Value(recorded{}).(*room)
	if !ok {
		return errors.New("an announce that no cluster has recorded")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fail != nil {
		return x.fail
	}
	return c.Store.Announce(ctx, a, r)
}

var peerAddr = netip.MustParseAddrPort("192.0.2.7:7000")

func newRoom(t *testing.T, ahead time.Duration) (*room, *udp.Group, *memory.Store) {
	t.Helper()
	r := &room{t: t, in: make(chan packet), out: make(chan packet, 100), ahead: ahead}
	store := memory.New(memory.Options{})
	settings := tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 200, Denied: tracker.Denied{{9}: {}}}
	g := udp.NewGroup(udp.GroupOptions{Tracker: tracker.New(clustered{store}, settings, tracker.Options{}), Cluster: r, Packets: r, Secret: udp.Secret{1}})
	t.Cleanup(func() {
		r.end()
		g.Close()
		g.Close()
	})
	return r, g, store
}

func (r *room) end() { r.closing.Do(func() { close(r.in) }) }

func (r *room) answer(b []byte) bittorrent.UDPResponse {
	r.t.Helper()
	r.in <- packet{peerAddr, b}
	return r.next()
}

func (r *room) next() bittorrent.UDPResponse {
	r.t.Helper()
	select {
	case p := <-r.out:
		v, err := bittorrent.ParseUDPResponse(p.bytes)
		if err != nil || p.addr != peerAddr {
			r.t.Fatalf("%x to %v: %v", p.bytes, p.addr, err)
		}
		return v
	case <-time.After(10 * time.Second):
		r.t.Fatal("there is no answer")
	}
	return bittorrent.UDPResponse{}
}

func (r *room) connect(magic uint64) uint64 {
	r.t.Helper()
	b := bittorrent.AppendUDPConnect(nil, 1)
	binary.BigEndian.PutUint64(b, magic)
	v := r.answer(b)
	id, err := v.ConnectionID()
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func announcement(id uint64, transaction uint32, options string) []byte {
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Left: 1, Port: 6881, NumWant: -1}
	return bittorrent.AppendUDPAnnounce(nil, id, transaction, &a, options)
}

func TestMasterAnswersThePeersOfItsGroup(t *testing.T) {
	r, g, _ := newRoom(t, time.Hour)
	r.master.Store(true)
	for _, magic := range []uint64{bittorrent.ConnectMagic, bittorrent.DocumentMagic} {
		id := r.connect(magic)
		var got bittorrent.AnnounceResponse
		v := r.answer(announcement(id, 2, "/announce?x"))
		if err := v.Announce(false, &got); err != nil || got.Incomplete != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		hashes := make([]bittorrent.InfoHash, 24)
		hashes[23] = bittorrent.InfoHash{1}
		if v := r.answer(bittorrent.AppendUDPScrape(nil, id, 3, hashes)); v.Action != bittorrent.ActionScrape || len(v.Body) != 24*12 || v.Body[23*12+11] != 1 {
			t.Errorf("a scrape: %+v", v)
		}
		if v := r.answer(announcement(id, 4, "")[:90]); v.Action != bittorrent.ActionError {
			t.Errorf("a broken announce: %+v", v)
		}
	}
	if f := g.Figures(); f.Connects != 2 || f.Malformed != 0 {
		t.Errorf("%+v", f)
	}
	r.end()
	g.Close()
	if f := g.Figures(); f.Announces != 2 || f.Errors != 2 {
		t.Errorf("%+v", f)
	}
	if f := g.Figures().Plus(g.Figures()); f.Connects != 4 || f.Announces != 4 {
		t.Errorf("%+v of two", f)
	}
	l := g.Latencies()
	if both := l.Plus(l); l.Total() < 8 || both.Total() != 2*l.Total() || both.Sum != 2*l.Sum {
		t.Errorf("%+v, twice that is %+v", l, both)
	}
}

func TestSlaveKeepsAnnouncesAndIsSilent(t *testing.T) {
	r, g, store := newRoom(t, 0)
	r.master.Store(true)
	id := r.connect(bittorrent.ConnectMagic)
	r.master.Store(false)
	for _, b := range [][]byte{
		bittorrent.AppendUDPConnect(nil, 1), announcement(id, 2, "/announce"), bittorrent.AppendUDPScrape(nil, id, 3, []bittorrent.InfoHash{{1}}),
		announcement(id, 4, "")[:90], announcement(id+1, 5, ""),
		{1, 2, 3},
	} {
		r.in <- packet{peerAddr, b}
	}
	r.end()
	g.Close()
	if len(r.heard) != 1 || r.heard[0] != "kept" || len(r.out) > 0 {
		t.Errorf("%v; it sent %d answers", r.heard, len(r.out))
	}
	if totals, _ := store.Totals(t.Context()); totals.Peers != 0 {
		t.Errorf("%+v", totals)
	}
}

// TestSlaveKeepsNothingThatItsMasterRefuses, as nobody would ever commit it.
func TestSlaveKeepsNothingThatItsMasterRefuses(t *testing.T) {
	r, g, _ := newRoom(t, 0)
	r.master.Store(true)
	id := r.connect(bittorrent.ConnectMagic)
	r.master.Store(false)
	denied := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{9}, Left: 1, Port: 6881}
	nowhere := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Left: 1}
	leaves := denied
	leaves.Event = bittorrent.EventStopped
	for i, a := range []bittorrent.AnnounceRequest{denied, nowhere, leaves} {
		r.in <- packet{peerAddr, bittorrent.AppendUDPAnnounce(nil, id, uint32(i), &a, "")}
	}
	r.end()
	g.Close()
	if len(r.heard) != 1 { // that a peer leaves, of a torrent that may have been served before
		t.Errorf("%d announces are kept, want that of the peer that leaves", len(r.heard))
	}
}

func TestConnectionIDIsGoodAtTheNextMaster(t *testing.T) {
	first, _, _ := newRoom(t, time.Hour)
	next, _, _ := newRoom(t, time.Hour-time.Second) // whose time is nearly the same
	stranger, g, _ := newRoom(t, 0)
	for _, r := range []*room{first, next, stranger} {
		r.master.Store(true)
	}
	id := first.connect(bittorrent.ConnectMagic)
	if v := next.answer(announcement(id, 2, "")); v.Action != bittorrent.ActionAnnounce {
		t.Errorf("%+v", v)
	}
	stranger.in <- packet{peerAddr, announcement(id, 2, "")}
	stranger.end()
	g.Close()
	if len(stranger.out) > 0 || g.Figures().BadConnection != 1 {
		t.Errorf("an id of another time is good: %+v", g.Figures())
	}
}

func TestAnswerToAGroupHasAtMost82Peers(t *testing.T) {
	r, _, store := newRoom(t, 0)
	r.master.Store(true)
	for i := range 200 {
		a := swarm.Announce{From: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Now: time.Now()}
		a.InfoHash, a.Port, a.Left = bittorrent.InfoHash{1}, 1, 1
		if err := store.Announce(t.Context(), &a, new(swarm.Reply)); err != nil {
			t.Fatal(err)
		}
	}
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Left: 1, Port: 6881, NumWant: 200, PeerID: bittorrent.PeerID{9}}
	v := r.answer(bittorrent.AppendUDPAnnounce(nil, r.connect(bittorrent.ConnectMagic), 2, &a, ""))
	if n := (len(v.Body) - 12) / 6; n != 82 {
		t.Errorf("%d peers: %+v", n, v)
	}
}

func TestRequestOfADeadMasterIsAnsweredWhereItsPeerWasConnected(t *testing.T) {
	r, g, _ := newRoom(t, 0)
	r.master.Store(true)
	id := r.connect(bittorrent.ConnectMagic)
	g.AnswerCommitted(peerAddr, announcement(77, 8, "")) // of a client that came another way
	g.AnswerCommitted(peerAddr, announcement(id, 9, ""))
	if v := r.next(); v.TransactionID != 9 || v.Action != bittorrent.ActionAnnounce {
		t.Errorf("%+v", v)
	}
	r.end()
	g.Close()
	g.AnswerCommitted(peerAddr, announcement(id, 10, ""))
	if len(r.out) > 0 || len(r.heard) > 0 {
		t.Errorf("%d more answers, %v", len(r.out), r.heard)
	}
}

func TestClusterThatCannotRecordIsSilent(t *testing.T) {
	r, g, _ := newRoom(t, 0)
	r.master.Store(true)
	id := r.connect(bittorrent.ConnectMagic)
	r.mu.Lock()
	r.fail = swarm.ErrBusy
	r.mu.Unlock()
	r.in <- packet{peerAddr, announcement(id, 2, "")}
	r.end()
	g.Close()
	if len(r.out) > 0 {
		t.Error("it is answered")
	}
}
