package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"waggle/bittorrent"
	"waggle/torrent"
)

// lookStep is how many files are read, and then registered in one transaction.
const lookStep = 256

// scan looks at the whole directory. A directory that cannot be read is an error,
// and changes nothing: it is not taken for an empty one.
func (c *Catalog) scan(ctx context.Context) error {
	if c.leavesFiles() {
		return nil
	}
	there := map[string]struct{}{}
	var names []string
	if c.o.Directory != "" {
		entries, err := os.ReadDir(c.o.Directory)
		if err != nil {
			return fmt.Errorf("the directory of torrents cannot be read: %w: make it, or name another", err)
		}
		for _, entry := range entries {
			if isTorrentFile(entry.Name()) {
				names = append(names, entry.Name())
				there[entry.Name()] = struct{}{}
			}
		}
	}
	// Those that are there first, so that a renamed file keeps its torrent active.
	if err := c.look(ctx, names); err != nil {
		return err
	}
	var gone []string
	c.edit.Lock()
	for name := range c.files.known {
		if _, ok := there[name]; !ok {
			gone = append(gone, name)
		}
	}
	c.edit.Unlock()
	slices.Sort(gone)
	return c.look(ctx, gone)
}

// look looks at some files of the directory and registers what it finds.
func (c *Catalog) look(ctx context.Context, names []string) error {
	for some := range slices.Chunk(names, lookStep) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if seen := c.see(some); len(seen) > 0 {
			if err := c.settle(ctx, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle makes the catalogue as the files are. On an error the catalogue is as it
// was, and the next scan finds all anew.
func (c *Catalog) settle(ctx context.Context, seen []sight) error {
	c.edit.Lock()
	defer c.edit.Unlock()
	return c.settleSome(ctx, seen)
}

// settleSome settles in halves what is too much at a time for the store.
func (c *Catalog) settleSome(ctx context.Context, seen []sight) error {
	tried := false
	err := c.change(ctx, func(p *plan) error {
		if tried { // another tracker was faster
			c.resetFiles()
		}
		tried = true
		s := &settling{plan: p, c: c}
		for i := range seen {
			s.file(&seen[i])
		}
		for _, l := range s.left {
			s.leave(l.name, l.hash)
		}
		if len(s.left) > 0 {
			c.files.retry()
		}
		return nil
	})
	if err == nil {
		return nil
	}
	c.resetFiles()
	if half := len(seen) / 2; errors.Is(err, ErrTooMuch) && half > 0 {
		if err := c.settleSome(ctx, seen[:half]); err != nil {
			return err
		}
		return c.settleSome(ctx, seen[half:])
	}
	return err
}

// settling is one call of settle.
type settling struct {
	c    *Catalog
	plan *plan
	left []left
}

// left is a torrent that a file no longer has.
type left struct {
	name string
	hash bittorrent.InfoHash
}

// file notes what was seen of a file, and plans for the torrent that it is now.
func (s *settling) file(seen *sight) {
	f := &s.c.files
	old := f.known[seen.name]
	switch {
	case errors.Is(seen.err, fs.ErrNotExist) || errors.Is(seen.err, ErrGone):
		delete(f.known, seen.name)
	case seen.err != nil:
		// Perhaps it is being written. What it was stays until it is something else.
		if !old.troubled {
			s.c.o.Log.Warn("this file in the directory is no torrent, or not yet", "file", seen.name, "error", seen.err)
		}
		at := stamp{} // what the system refuses it may grant later
		if errors.Is(seen.err, torrent.ErrMalformed) || errors.Is(seen.err, ErrTooLarge) {
			at = s.c.keepable(seen.stamp)
		}
		f.known[seen.name] = file{stamp: at, hash: old.hash, troubled: true}
		return
	default:
		if now, err := s.c.stat(seen.name); err != nil || now != seen.stamp {
			return // it changed since, or was deleted through the catalogue: the next look will tell
		}
		s.torrent(seen, old)
	}
	if old.hash != (bittorrent.InfoHash{}) && old.hash != f.known[seen.name].hash {
		s.left = append(s.left, left{seen.name, old.hash})
	}
}

// torrent plans for a file that is a torrent.
func (s *settling) torrent(seen *sight, old file) {
	now := file{stamp: s.c.keepable(seen.stamp), hash: seen.meta.InfoHash()}
	r := s.c.newRecord(seen.meta, seen.name, Directory).in(seen.name, now.stamp)
	e, err := s.plan.find(&r)
	if err == nil && e == nil {
		err = s.plan.room()
	}
	if err != nil {
		if !old.refused {
			s.c.o.Log.Warn("this torrent in the directory is not taken", "file", seen.name, "error", err)
		}
		s.c.files.known[seen.name] = file{stamp: now.stamp, refused: true}
		return
	}
	switch {
	case e == nil:
		s.plan.begin(r, nil)
	case e.record.Source == Upload || e.record.File != seen.name && s.c.has(e):
		if old.hash != now.hash {
			s.c.o.Log.Info("this torrent in the directory is there already", "file", seen.name, "as", e.record.File)
		}
		s.c.files.addCopy(now.hash, seen.name)
	default:
		s.restore(e, seen.name, now.stamp)
	}
	s.c.files.known[seen.name] = now
}

// restore plans that e has its torrent in this file of the directory.
func (s *settling) restore(e *entry, name string, at stamp) {
	r := e.snapshot().in(name, at)
	switch {
	case !r.Active() && !r.Held:
		s.plan.begin(r, nil)
	case r != e.snapshot():
		s.plan.keep(e, r)
	}
}

// leave plans for a torrent that a file no longer has: another file has it, or it is
// deactivated.
func (s *settling) leave(name string, h bittorrent.InfoHash) {
	f := &s.c.files
	f.dropCopy(h, name)
	e := s.plan.get(h)
	if e == nil || e.record.Source == Upload || e.record.File != name {
		return
	}
	if copies := f.copies[h]; len(copies) > 0 {
		other := copies[0]
		f.dropCopy(h, other)
		s.restore(e, other, f.known[other].stamp)
		return
	}
	if e.record.Active() {
		s.plan.end(e, Record.unstamped)
		return
	}
	s.plan.keep(e, e.snapshot().unstamped())
}
