package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	lib "github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"

	"waggle/bittorrent"
	"waggle/torrent"
)

// saveEvery bounds what a kill makes to be hashed again.
const saveEvery = time.Second

// Phase is what a torrent is at.
type Phase int32

// The phases, in their order.
const (
	Checking Phase = iota // hashes what is there and not vouched for
	Fetching
	Seeding // all is there and in place
)

// String returns "checking", "fetching" or "seeding".
func (p Phase) String() string { return [...]string{"checking", "fetching", "seeding"}[p] }

// Stats is how far a torrent is. Sizes are in bytes.
type Stats struct {
	Phase      Phase
	Size       int64 // of all files
	Have       int64 // in pieces that are whole
	Vouched    int64 // in pieces that the table vouched for: they were not hashed
	Resumed    int64 // that were there at the start, by the table or by hashing: not fetched again; known once Phase is not Checking
	Unchecked  int   // pieces that are still to be hashed
	Downloaded int64 // of data, in this session
	Uploaded   int64 // of data, in this session
	Peers      int   // connected
	Seeders    int   // of these, with all data
}

// Torrent is one that a client fetches or seeds.
type Torrent struct {
	client *Client
	lib    *lib.Torrent
	data   *Data
	files  *files

	phase   atomic.Int32
	resumed atomic.Int64

	again  chan struct{} // has one where peers are wanted now
	cancel context.CancelFunc
	ctx    context.Context // of its own goroutines
	done   chan struct{}   // closed once all is in place
	failed chan struct{}   // closed once it cannot go on
	err    error           // read it after failed
	ended  chan struct{}   // closed after the last word
	closed error           // read it after ended
}

func (c *Client) newTorrent(ctx context.Context, d *Data) (*Torrent, error) {
	if d.meta.Private && (c.options.DHT || c.options.PEX) {
		return nil, ErrPrivate
	}
	if d.files.table != nil {
		if err := d.files.table.setPort(ctx, c.Port()); err != nil {
			return nil, fmt.Errorf("%s: %w", d.files.table.path, err)
		}
	}
	options := lib.AddTorrentOpts{InfoHash: metainfo.Hash(d.meta.InfoHash()), Storage: disk{d.files}}
	added, isNew := c.lib.AddTorrentOpt(options)
	if !isNew {
		return nil, fmt.Errorf("the torrent %q is there twice: name it once", d.meta.Name)
	}
	err := added.SetInfoBytes(d.lib.InfoBytes)
	if err == nil {
		err = added.MergeSpec(&lib.TorrentSpec{PieceLayers: d.lib.PieceLayers})
	}
	if err != nil {
		added.Drop()
		return nil, fmt.Errorf("the torrent %q cannot be transferred here: %w", d.meta.Name, err)
	}
	t := &Torrent{
		client: c, lib: added, data: d, files: d.files,
		done: make(chan struct{}), failed: make(chan struct{}), ended: make(chan struct{}),
		again: make(chan struct{}, 1),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, nil
}

// Metainfo returns what the torrent says.
func (t *Torrent) Metainfo() *torrent.Metainfo { return t.data.meta }

// Wait returns once all data are whole and in place, or the torrent cannot go on,
// or ctx ends, with the reason.
func (t *Torrent) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		return nil
	case <-t.failed:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failed is closed when the torrent cannot go on: the disk is full, say, also
// while it seeds. [Torrent.Wait] has the reason.
func (t *Torrent) Failed() <-chan struct{} { return t.failed }

// Stats returns how far the torrent is now.
func (t *Torrent) Stats() Stats {
	s := t.lib.Stats()
	have, unknown, _ := t.files.look()
	return Stats{
		Phase: Phase(t.phase.Load()), Size: t.data.meta.Length, Have: have,
		Vouched: t.data.start, Resumed: t.resumed.Load(), Unchecked: unknown,
		Downloaded: s.BytesReadUsefulData.Int64(), Uploaded: s.BytesWrittenData.Int64(),
		Peers: s.ActivePeers, Seeders: s.ConnectedSeeders,
	}
}

// AddPeers tells of peers that no tracker has named.
func (t *Torrent) AddPeers(peers []netip.AddrPort) { addPeers(t.lib, peers) }

func addPeers(t *lib.Torrent, peers []netip.AddrPort) {
	infos := make([]lib.PeerInfo, 0, len(peers))
	for _, p := range peers {
		infos = append(infos, lib.PeerInfo{Addr: net.TCPAddrFromAddrPort(p), Source: lib.PeerSourceTracker})
	}
	t.AddPeers(infos)
}

// start runs the torrent until it is cancelled.
func (t *Torrent) start() {
	go func() {
		defer close(t.ended)
		announced := make(chan struct{})
		close(announced)
		if err := t.check(); err != nil {
			t.fail(err)
		} else {
			announced = t.announce()
			t.fetch()
		}
		<-t.ctx.Done()
		<-announced
		t.lib.Drop()
		t.closed = errors.Join(t.files.save(context.Background()), t.files.close())
	}()
}

// fail ends the work on a torrent, but not its last word.
func (t *Torrent) fail(err error) {
	if errors.Is(err, context.Canceled) && t.ctx.Err() != nil {
		return
	}
	t.lib.DisallowDataDownload()
	t.err = err
	close(t.failed)
}

// check waits until the library has hashed what the table does not vouch for.
func (t *Torrent) check() error {
	err := t.until(func(_ int64, unknown int) bool { return unknown == 0 })
	if err != nil {
		return err
	}
	have, _, _ := t.files.look()
	t.resumed.Store(have)
	if have < t.data.meta.Length && t.data.verify {
		return fmt.Errorf("%w: move them away and fetch the torrent, or name another folder", t.files.lacking(t.data.meta))
	}
	if t.data.verify {
		if err := t.files.record(t.ctx); err != nil {
			return err
		}
	}
	return t.files.save(t.ctx)
}

// until waits for a state of the files, and saves what is new meanwhile.
func (t *Torrent) until(is func(have int64, unknown int) bool) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	complained := false
	for {
		have, unknown, failure := t.files.look()
		if failure != nil {
			return failure
		}
		if is(have, unknown) {
			return nil
		}
		select {
		case <-t.ctx.Done():
			return t.ctx.Err()
		case <-t.files.news:
		case <-tick.C:
			if err := t.files.save(t.ctx); err != nil && t.ctx.Err() == nil && !complained {
				complained = true
				t.client.say("the table of pieces cannot be written, so a restart has more to hash: %v", err)
			}
		}
	}
}

// fetch waits for the data, puts them in place, and then for a failure.
func (t *Torrent) fetch() {
	t.phase.Store(int32(Fetching))
	t.lib.DownloadAll()
	err := t.until(t.isWhole)
	for placed := false; err == nil && !placed; {
		if placed, err = t.settle(); err == nil && !placed {
			err = t.until(t.isWhole)
		}
	}
	if err == nil {
		t.phase.Store(int32(Seeding))
		close(t.done)
		err = t.until(func(int64, int) bool { return false })
	}
	t.fail(err)
}

func (t *Torrent) isWhole(have int64, unknown int) bool {
	return unknown == 0 && have == t.data.meta.Length
}

// settle puts whole data in place. Where somebody else has written to them, it
// has them hashed instead.
func (t *Torrent) settle() (placed bool, err error) {
	if err := t.files.save(t.ctx); err != nil {
		return false, err
	}
	if t.data.final == "" {
		return true, nil
	}
	changed, err := t.files.foreign()
	if err != nil {
		return false, err
	}
	for _, i := range changed {
		t.client.say("%s was changed while it was fetched: its pieces are hashed again", t.files.full(i))
	}
	for _, i := range changed {
		first, end := t.files.layout.piecesOf(i)
		for piece := first; piece < end; piece++ {
			if err := t.lib.Piece(piece).VerifyDataContext(t.ctx); err != nil {
				return false, err
			}
		}
	}
	if len(changed) > 0 {
		// Peers that have all have left one that had all.
		select {
		case t.again <- struct{}{}:
		default:
		}
		return false, nil
	}
	if err := t.files.move(t.ctx, t.data.final, time.Now()); err != nil {
		return false, err
	}
	return true, nil
}

// announce begins to announce; the channel is closed after the last word.
func (t *Torrent) announce() chan struct{} {
	over := make(chan struct{})
	a := &announcer{
		tiers:  newTiers(t.data.meta.Trackers()),
		ask:    t.request,
		post:   t.client.trackers.post,
		found:  t.AddPeers,
		lonely: func() bool { s := t.Stats(); return s.Phase != Seeding && s.Peers == 0 },
		say:    t.client.say,
		again:  t.again,
	}
	if have, _, _ := t.files.look(); have < t.data.meta.Length {
		a.whole = t.done
	}
	go func() {
		defer close(over)
		if len(a.tiers) > 0 {
			a.run(t.ctx)
		}
	}()
	return over
}

// request is what trackers are told.
func (t *Torrent) request() bittorrent.AnnounceRequest {
	s := t.Stats()
	return bittorrent.AnnounceRequest{
		InfoHash: t.data.meta.InfoHash(), PeerID: bittorrent.PeerID(t.client.lib.PeerID()),
		Uploaded: s.Uploaded, Downloaded: s.Downloaded, Left: s.Size - s.Have,
		Key: t.client.key, NumWant: -1, Port: t.client.Port(),
	}
}
