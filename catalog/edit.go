package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"waggle/bittorrent"
	"waggle/torrent"
)

// Add registers an uploaded torrent and makes it active. file is what to call the
// .torrent, as [CheckName] wants it; several torrents may have one name. metainfo
// is kept in the store.
//
// Errors are [ErrName], [ErrTooLarge], [torrent.ErrMalformed], [ErrDuplicate],
// [ErrFull], or one of the store. Then nothing was changed. A torrent whose file is
// gone from the directory is no duplicate: the upload takes its place, and it is
// active again.
func (c *Catalog) Add(ctx context.Context, file string, metainfo []byte) (Transfer, error) {
	return c.AddWithProfile(ctx, file, metainfo, "")
}

// AddWithProfile adds a torrent that has one of Options.Profiles for itself; "": none,
// or the one that it had when it takes its own place. Any other is [ErrProfile].
func (c *Catalog) AddWithProfile(ctx context.Context, file string, metainfo []byte, profile string) (Transfer, error) {
	if err := CheckName(file); err != nil {
		return Transfer{}, err
	}
	if err := c.checkProfile(profile); err != nil {
		return Transfer{}, fmt.Errorf("%s: %w", file, err)
	}
	if n := int64(len(metainfo)); n > c.o.MaxBytes {
		return Transfer{}, fmt.Errorf("%s: %w: it has %d bytes, and the limit is %d; make it with larger pieces", file, ErrTooLarge, n, c.o.MaxBytes)
	}
	m, err := torrent.Parse(metainfo)
	if err != nil {
		return Transfer{}, fmt.Errorf("%s: %w", file, err)
	}
	return c.changeOne(ctx, func(p *plan) (bittorrent.InfoHash, error) {
		r := c.newRecord(m, file, Upload)
		r.Profile = profile
		switch e, err := p.find(&r); {
		case err != nil:
			return r.InfoHash, fmt.Errorf("%s: %w", file, err)
		case e == nil:
			if err := p.room(); err != nil {
				return r.InfoHash, fmt.Errorf("%s: %w", file, err)
			}
		case c.has(e):
			return r.InfoHash, duplicate(file, &e.record.Transfer)
		default:
			r.Registered, r.Profile = e.record.Registered, cmp.Or(profile, e.record.Profile)
		}
		p.begin(r, metainfo)
		return r.InfoHash, nil
	})
}

func duplicate(file string, t *Transfer) error {
	if t.Active() {
		return fmt.Errorf("%s: %w, as %s", file, ErrDuplicate, t.File)
	}
	return fmt.Errorf("%s: %w, as %s, and not active: activate %v", file, ErrDuplicate, t.File, t.InfoHash)
}

// has reports whether the .torrent is where it should be: perhaps in a directory that
// another tracker watches. c.edit is held.
func (c *Catalog) has(e *entry) bool {
	return e.record.Source == Upload || c.files.have(e.record.File, e.record.InfoHash) || c.shared != nil && e.record.Active() || c.elsewhere(e)
}

// elsewhere reports whether the .torrent is in a directory that another tracker watches,
// and this one does not.
func (c *Catalog) elsewhere(e *entry) bool { return c.leavesFiles() && e.record.filed() }

// Deactivate ends the distribution of a torrent, and keeps the period in the
// history. It holds until [Catalog.Activate], also where the file stays in the
// directory or is put there again. A transfer that is not active stays as it is.
// The error is [ErrUnknown], or one of the store; then nothing was changed.
func (c *Catalog) Deactivate(ctx context.Context, h bittorrent.InfoHash) (Transfer, error) {
	return c.changeKnown(ctx, h, func(p *plan, e *entry) error {
		switch {
		case e.record.Active():
			p.end(e, Record.held)
		case !e.record.Held:
			p.keep(e, e.snapshot().held())
		}
		return nil
	})
}

// Activate begins the distribution of a torrent again: a new period, of which
// nothing has started or completed yet. A transfer that is active stays as it is.
// The error is [ErrUnknown], [ErrGone] where there is no .torrent to distribute, or
// one of the store; then nothing was changed.
func (c *Catalog) Activate(ctx context.Context, h bittorrent.InfoHash) (Transfer, error) {
	return c.changeKnown(ctx, h, func(p *plan, e *entry) error {
		if e.record.Active() {
			return nil
		}
		if !c.has(e) {
			return fmt.Errorf("%s: %w: put it back, or upload it", e.record.File, ErrGone)
		}
		p.begin(e.snapshot(), nil)
		return nil
	})
}

// Delete forgets a torrent and removes its .torrent: what was uploaded from the
// store, and each file that holds it from the directory. If it was active, the
// period is kept in the history. The error is [ErrUnknown], [ErrElsewhere], or one of the
// store or the file system; then the torrent is still known.
func (c *Catalog) Delete(ctx context.Context, h bittorrent.InfoHash) error {
	c.edit.Lock()
	defer c.edit.Unlock()
	var e *entry
	err := c.change(ctx, func(p *plan) error {
		if e = c.index.get(&h); e == nil {
			return unknown(h)
		}
		if c.elsewhere(e) {
			return fmt.Errorf("%s: %w: delete it at that one, or remove the file", e.record.File, ErrElsewhere)
		}
		// Files first: a torrent that is forgotten, and whose file is there, would come
		// back by itself.
		if err := c.removeFiles(e); err != nil {
			return err
		}
		p.remove(e)
		return nil
	})
	if err != nil {
		return err
	}
	c.files.forget(e.record.InfoHash, e.record.File)
	c.o.Log.Info("torrent deleted", "name", e.record.Name, "info_hash", e.record.InfoHash, "file", e.record.File)
	return nil
}

// removeFiles removes each file of a torrent from the directory.
func (c *Catalog) removeFiles(e *entry) error {
	for _, name := range c.files.holders(e.record.InfoHash, e.record.File) {
		err := os.Remove(filepath.Join(c.o.Directory, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the file in the directory cannot be removed: %w: remove it, then delete the torrent again", err)
		}
	}
	return nil
}
