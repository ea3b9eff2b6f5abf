package catalog

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long changes are gathered before the files are looked at: a file
// that is being written changes with every block.
const settleTime = 100 * time.Millisecond

// maxChanged is how many changed files are noted one by one; when there are more,
// the whole directory is looked at.
const maxChanged = 4096

// notify begins to tell of changes in a folder.
type notify func(directory string) (*fsnotify.Watcher, error)

func newWatcher(directory string) (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(directory); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// startWatcher returns nil where the system does not tell of changes; then the
// directory is only looked at every Poll.
func (c *Catalog) startWatcher() *fsnotify.Watcher {
	if c.o.Directory == "" {
		return nil
	}
	w, err := c.o.notify(c.o.Directory)
	if err != nil {
		c.o.Log.Warn("the system does not tell of changes in the directory of torrents; it is looked at from time to time",
			"directory", c.o.Directory, "every", c.o.Poll, "error", err)
		return nil
	}
	return w
}

// watching is the state of watch.
type watching struct {
	c       *Catalog
	watcher *fsnotify.Watcher // nil: none
	folder  os.FileInfo       // that it watches
	changed map[string]struct{}
	all     bool // everything may have changed
	soon    *time.Timer
	failing bool
}

// watch looks at the directory when it changes, and every Poll, until ctx ends.
func (c *Catalog) watch(ctx context.Context, watcher *fsnotify.Watcher) {
	w := &watching{c: c, watcher: watcher, changed: map[string]struct{}{}, soon: time.NewTimer(time.Hour)}
	w.soon.Stop()
	defer w.soon.Stop()
	w.folder, _ = os.Stat(c.o.Directory)
	defer func() { w.closeWatcher() }()
	poll := time.NewTicker(c.o.Poll)
	defer poll.Stop()
	for {
		var events chan fsnotify.Event
		var errs chan error
		if w.watcher != nil {
			events, errs = w.watcher.Events, w.watcher.Errors
		}
		select {
		case <-ctx.Done():
			return
		case event, ok := <-events:
			if !ok {
				w.watcher, w.folder = nil, nil // the next poll tries another
				continue
			}
			w.note(filepath.Base(event.Name))
		case err := <-errs: // events were lost, for one because there were too many
			w.c.o.Log.Debug("notifications of the directory of torrents failed; all of it is looked at", "error", err)
			w.noteAll()
		case <-w.soon.C:
			w.look(ctx)
		case <-poll.C:
			w.checkWatcher()
			w.all = true
			w.look(ctx)
		}
	}
}

func (w *watching) note(name string) {
	if !isTorrentFile(name) || w.all {
		return
	}
	if len(w.changed) == 0 {
		w.soon.Reset(settleTime)
	}
	if w.changed[name] = struct{}{}; len(w.changed) > maxChanged {
		w.noteAll()
	}
}

func (w *watching) noteAll() {
	if !w.all {
		w.all = true
		w.soon.Reset(settleTime)
	}
}

// look looks at what changed.
func (w *watching) look(ctx context.Context) {
	names := make([]string, 0, len(w.changed))
	for name := range w.changed {
		names = append(names, name)
	}
	slices.Sort(names)
	w.c.edit.Lock()
	w.c.files.suspect(names)
	w.c.edit.Unlock()
	var err error
	if w.all {
		err = w.c.scan(ctx)
	} else {
		err = w.c.look(ctx, names)
	}
	clear(w.changed)
	w.all = false
	w.soon.Stop()
	w.report(ctx, err)
	w.c.o.looked()
}

// report logs the first of several failures, and their end.
func (w *watching) report(ctx context.Context, err error) {
	switch {
	case err == nil && w.failing:
		w.c.o.Log.Info("the directory of torrents is followed again", "directory", w.c.o.Directory)
		w.failing = false
	case err != nil && !w.failing && ctx.Err() == nil:
		w.c.o.Log.Error("the directory of torrents cannot be followed; torrents stay as they are until it can", "directory", w.c.o.Directory, "error", err)
		w.failing = true
	}
}

// checkWatcher watches anew where another folder is in the directory's place.
func (w *watching) checkWatcher() {
	folder, err := os.Stat(w.c.o.Directory)
	if err != nil {
		return // the scan says so
	}
	if w.folder != nil && os.SameFile(folder, w.folder) {
		return
	}
	w.closeWatcher()
	w.watcher = w.c.startWatcher()
	w.folder = folder
}

func (w *watching) closeWatcher() {
	if w.watcher != nil {
		_ = w.watcher.Close()
		w.watcher = nil
	}
}
