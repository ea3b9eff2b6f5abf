package catalog

import (
	"encoding/binary"
	"fmt"
	"testing"

	"waggle/document/documenttest"
	"waggle/torrent"
)

// TestWhatIsForgottenAtATimeFitsIntoOneChange has as many torrents whose files are gone as
// there may be.
func TestWhatIsForgottenAtATimeFitsIntoOneChange(t *testing.T) {
	const most = 60_000
	all := make([]*entry, most)
	for n := range all {
		all[n] = newEntry(gone(uint32(n)))
	}
	s := inDocuments(t, documenttest.NewMemory())
	records(t, s) // none; no rows are committed before that
	c := &Catalog{o: Options{Store: s, MaxTorrents: most}}
	c.order.fill(all)
	p := c.plan()
	if err := p.room(); err != nil {
		t.Fatal(err)
	}
	if p.begin(gone(most), single("new", 1)); p.growth >= 0 || len(p.changes) < 100 {
		t.Errorf("%d changes, by which there are %d more", len(p.changes), p.growth)
	}
	if err := s.Apply(background, p.changes); err != nil {
		t.Error(err)
	}
}

// gone is the record of a torrent whose file is gone.
func gone(n uint32) Record {
	r := Record{Transfer: Transfer{Name: fmt.Sprint(n), Version: torrent.V1, File: "x.torrent", Source: Directory, Deactivated: start}}
	binary.BigEndian.PutUint32(r.InfoHash[:], n)
	return r
}
