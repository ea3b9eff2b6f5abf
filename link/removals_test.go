package link

import (
	"encoding/binary"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/link/carrier"
	"waggle/link/core"
)

func set(hashes ...bittorrent.InfoHash) map[bittorrent.InfoHash]struct{} {
	all := map[bittorrent.InfoHash]struct{}{}
	for _, h := range hashes {
		all[h] = struct{}{}
	}
	return all
}

func TestRemovalsAreKeptForAWeekAndUntilTheTorrentIsBack(t *testing.T) {
	a, b, c := bittorrent.InfoHash{1}, bittorrent.InfoHash{2}, bittorrent.InfoHash{3}
	now := time.Unix(1_800_000_000, 0)
	r := newRemovals()
	long := now.Add(-removalsKept)
	if r.changed(now, nil, set(a, b), map[bittorrent.InfoHash]time.Time{c: long}) || len(r.gone) != 0 {
		t.Errorf("of a catalogue that did not change: %+v", r.gone)
	}
	if !r.changed(now, set(a, b), set(b, c), nil) || !r.gone[a].Equal(now) || len(r.gone) != 1 || !r.again[c].Equal(now) {
		t.Errorf("one went, and one came back: %+v", r)
	}
	later := now.Add(time.Hour)
	if !r.changed(later, set(b, c), set(a, b, c), nil) || len(r.gone) != 0 || !r.again[a].Equal(later) {
		t.Errorf("it came back: %+v", r)
	}
	if r.changed(later.Add(removalsKept), set(a, b, c), set(a, b, c), nil); len(r.again) != 0 {
		t.Errorf("a week later: %+v", r)
	}
}

// TestLinkThatMayNameSomeTorrentsNamesNoOthers has a leaf list and remove a torrent that its
// rights do not name, beside one that they do.
func TestLinkThatMayNameSomeTorrentsNamesNoOthers(t *testing.T) {
	n := newNear(t)
	n.l.o.Share, n.l.o.ShareRemovals = ShareBoth, true
	mine, other := bittorrent.InfoHash{1}, bittorrent.InfoHash{2}
	n.l.o.Catalog = &shelf{transfers: []*catalog.Transfer{{InfoHash: mine}, {InfoHash: other}}}
	s := &session{name: "leaf1", rights: carrier.Rights{Receive: true, Send: true, Share: carrier.ShareBoth, Torrents: []string{mine.String()}}}
	h := n.l.sharing
	h.begin(s)
	both := append(append([]byte(nil), mine[:]...), other[:]...)
	h.take(s, fileMessage(fileList, mine, both))
	if x := s.files; !x.theirs.has(mine) || x.theirs.has(other) {
		t.Errorf("%v", x.theirs.all)
	}
	h.take(s, fileMessage(fileGone, mine, both))
	if len(h.removing) != 1 || h.removing[0].hash != mine {
		t.Errorf("%v", h.removing)
	}
}

func fileMessage(op core.FileOp, hash bittorrent.InfoHash, data []byte) *core.FileMessage {
	return &core.FileMessage{Op: op, Hash: hash, Data: data}
}

// nothing is a catalogue that has no torrent.
type nothing struct{ Catalog }

func (nothing) Get(bittorrent.InfoHash) (catalog.Transfer, error) {
	return catalog.Transfer{}, catalog.ErrUnknown
}

// shelf is a catalogue of some torrents.
type shelf struct {
	Catalog
	transfers []*catalog.Transfer
	version   uint64
}

func (s *shelf) Version() uint64                       { return s.version }
func (s *shelf) ByName() ([]*catalog.Transfer, uint64) { return s.transfers, s.version }

func (s *shelf) Get(h bittorrent.InfoHash) (catalog.Transfer, error) {
	for _, t := range s.transfers {
		if t.InfoHash == h {
			return *t, nil
		}
	}
	return catalog.Transfer{}, catalog.ErrUnknown
}

// TestActivationJustBeforeTheEndIsKept leaves no time for another look: if it were forgotten,
// the removal from before would be taken in again at the next start.
func TestActivationJustBeforeTheEndIsKept(t *testing.T) {
	one := bittorrent.InfoHash{1}
	inactive := catalog.Transfer{InfoHash: one, Deactivated: time.Now()}
	all := &shelf{transfers: []*catalog.Transfer{&inactive}}
	l := &Links{o: Options{Share: ShareBoth, Catalog: all}}
	l.init(l)
	l.sharing.read(time.Now())
	all.transfers, all.version = []*catalog.Transfer{{InfoHash: one}}, 1
	activated := time.Now()
	l.sharing.close()
	kept := &state{}
	l.sharing.keep(kept)
	if at, is := kept.Again[one.String()]; !is || time.Unix(at, 0).Before(activated) || len(kept.Removed) != 0 {
		t.Errorf("%+v", kept)
	}
}

func FuzzFileMessage(f *testing.F) {
	hash := bittorrent.InfoHash{1}
	f.Add(uint8(fileList), hash[:])
	f.Add(uint8(fileRemoved), binary.BigEndian.AppendUint32(hash[:], 1<<31))
	f.Add(uint8(fileDigest), make([]byte, 16))
	f.Fuzz(func(t *testing.T, op uint8, data []byte) {
		l := &Links{o: Options{Share: ShareBoth, ShareRemovals: true, Catalog: nothing{}}}
		l.init(l)
		defer l.sharing.close()
		s := &session{name: "leaf1", rights: carrier.Rights{Receive: true, Send: true, Share: carrier.ShareBoth}}
		l.sharing.begin(s)
		l.sharing.take(s, fileMessage(core.FileOp(op), hash, data))
		if x := s.files; len(x.theirs.all) > len(data)/20 || len(l.sharing.removing) > 0 || len(x.replies) > 1 {
			t.Errorf("op %d of %d bytes: %+v", op, len(data), x)
		}
	})
}
