package catalog

import (
	"context"
	"fmt"
	"slices"

	"waggle/bittorrent"
	"waggle/torrent"
)

// newRecord returns the record of a torrent that is registered now.
func (c *Catalog) newRecord(m *torrent.Metainfo, file string, source Source) Record {
	return Record{Transfer: Transfer{
		InfoHash: m.InfoHash(), InfoHashV2: m.InfoHashV2, Name: m.Name, Size: m.Length,
		Private: m.Private, Version: m.Version, File: file, Source: source, Registered: c.now(),
	}}
}

// plan gathers changes, which are made in the store and then in memory, all or
// none. c.edit is held from plan to commit.
type plan struct {
	c       *Catalog
	entries map[bittorrent.InfoHash]planned
	changes []Change
	growth  int // of the number of torrents
}

// planned is an entry that is to be, and perhaps already was.
type planned struct {
	entry   *entry
	removed bool
}

func (c *Catalog) plan() *plan { return &plan{c: c, entries: map[bittorrent.InfoHash]planned{}} }

// get returns the entry as it is to be, or nil.
func (p *plan) get(h bittorrent.InfoHash) *entry {
	if next, ok := p.entries[h]; ok {
		if next.removed {
			return nil
		}
		return next.entry
	}
	return p.c.index.get(&h)
}

// find returns the entry that has the torrent of r already, or nil. Info
// dictionaries of which one hash agrees and another does not are refused.
func (p *plan) find(r *Record) (*entry, error) {
	e := p.get(r.InfoHash)
	for _, h := range r.InfoHashes() {
		if p.get(h) != e {
			return nil, fmt.Errorf("%w in a different version, with the same hash %v: delete that one", ErrDuplicate, h)
		}
	}
	if e != nil && (e.record.InfoHash != r.InfoHash || e.record.InfoHashV2 != r.InfoHashV2) {
		return nil, fmt.Errorf("%w in a different version, as %s: delete that one", ErrDuplicate, e.record.File)
	}
	return e, nil
}

// maxForgotten is how many torrents are forgotten at a time: no more than fit into one
// change of a store in documents, together with what they make room for.
const maxForgotten = 256

// room returns ErrFull where one torrent more is too many. Before that it plans to
// forget those that have long been gone from the directory, some at a time: their
// history stays.
func (p *plan) room() error {
	limit := p.c.o.MaxTorrents
	if p.c.Len()+p.growth < limit {
		return nil
	}
	gone := p.gone()
	if len(gone) == 0 {
		return fmt.Errorf("%w: it has %d torrents: delete some, or raise the limit", ErrFull, limit)
	}
	for _, e := range gone[:min(len(gone), limit/100+1, maxForgotten)] {
		p.remove(e)
	}
	return nil
}

// gone returns the torrents that are not active since their files are gone from the
// directory, the longest gone first.
func (p *plan) gone() []*entry {
	var gone []*entry
	for _, e := range p.c.order.entries {
		_, touched := p.entries[e.record.InfoHash]
		if r := &e.record; !touched && !r.Active() && !r.Held && !p.c.has(e) {
			gone = append(gone, e)
		}
	}
	slices.SortFunc(gone, func(a, b *entry) int { return a.record.Deactivated.Compare(b.record.Deactivated) })
	return gone
}

// begin plans a new period of r, known or not. metainfo is kept if it is not nil.
func (p *plan) begin(r Record, metainfo []byte) {
	r = r.fresh()
	p.put(newEntry(r), Change{Record: r, Metainfo: metainfo})
}

// end plans the end of the period of an active transfer; change is made to its
// record.
func (p *plan) end(e *entry, change func(Record) Record) {
	r := change(e.snapshot())
	r.Deactivated = p.c.now()
	p.put(newEntry(r), Change{Record: r, Ended: &Period{r.Transfer}})
}

// keep plans a change of e to r within its period.
func (p *plan) keep(e *entry, r Record) {
	p.put(&entry{record: r, marks: e.marks}, Change{Record: r})
}

func (p *plan) put(e *entry, change Change) {
	h := e.record.InfoHash
	if p.get(h) == nil {
		p.growth++
	}
	for _, h := range e.record.InfoHashes() {
		p.entries[h] = planned{entry: e}
	}
	p.changes = append(p.changes, change)
}

// remove plans that e is forgotten.
func (p *plan) remove(e *entry) {
	r := e.snapshot()
	change := Change{Record: r, Delete: true}
	if r.Active() {
		r.Deactivated = p.c.now()
		change.Ended = &Period{r.Transfer}
	}
	for _, h := range r.InfoHashes() {
		p.entries[h] = planned{entry: e, removed: true}
	}
	p.growth--
	p.changes = append(p.changes, change)
}

// commit makes the changes. On an error nothing was changed.
func (p *plan) commit(ctx context.Context) error {
	if len(p.changes) == 0 {
		return nil
	}
	if err := p.c.o.Store.Apply(ctx, p.changes); err != nil {
		return fmt.Errorf("the catalogue could not be written: %w", err)
	}
	for h, next := range p.entries {
		if h != next.entry.record.InfoHash { // the other hash of a hybrid
			continue
		}
		p.c.install(next)
	}
	return nil
}

// install puts in memory what the store has.
func (c *Catalog) install(next planned) {
	e := next.entry
	if next.removed {
		c.index.remove(e)
		c.order.remove(e)
		return
	}
	before := c.index.get(&e.record.InfoHash)
	c.index.put(e)
	c.order.put(e)
	if e.record.Active() == (before != nil && before.record.Active()) {
		return
	}
	attributes := []any{"name", e.record.Name, "info_hash", e.record.InfoHash, "file", e.record.File, "source", e.record.Source.String()}
	if !e.record.Active() {
		c.news.Info("torrent deactivated", attributes...)
		return
	}
	for _, h := range e.record.InfoHashes() {
		c.asked.forget(h)
	}
	c.news.Info("torrent active", attributes...)
}
