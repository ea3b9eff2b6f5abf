package certificate

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch looks at the files when something changes about them, and once in a while, until ctx ends.
func (c *Certificates) watch(ctx context.Context) {
	watcher, err := c.options.watch()
	var events chan fsnotify.Event
	var faults chan error
	if err != nil {
		c.options.Log.Warn("the system does not tell of changes of certificates: they are looked at now and then", "every", c.options.Look, "error", err)
	} else {
		defer func() { _ = watcher.Close() }()
		events, faults = watcher.Events, watcher.Errors
	}
	look := time.NewTicker(c.options.Look)
	defer look.Stop()
	quiet := time.NewTimer(0) // what has changed between Open and now
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			quiet.Reset(c.options.Quiet)
			continue
		case err := <-faults: // something was not told, as there was too much
			c.options.Log.Debug("notifications of certificates failed; all are looked at", "error", err)
			quiet.Reset(c.options.Quiet)
			continue
		case <-quiet.C:
		case <-look.C:
		}
		if watcher != nil {
			follow(watcher, c.files())
		}
		if !c.look() {
			quiet.Reset(c.options.Quiet)
		}
		c.warn()
	}
}

// follow watches the folders of files, and of what they are links to, and no others: those are
// others after a change.
func follow(watcher *fsnotify.Watcher, files []string) {
	wanted := map[string]bool{}
	for _, file := range files {
		wanted[filepath.Dir(file)] = true
		if target, err := filepath.EvalSymlinks(file); err == nil {
			wanted[filepath.Dir(target)] = true
		}
	}
	for _, folder := range watcher.WatchList() {
		if !wanted[folder] {
			_ = watcher.Remove(folder) // it is gone already, where that fails
		}
	}
	for folder := range wanted {
		_ = watcher.Add(folder) // a folder that is not there: the next look tells
	}
}
