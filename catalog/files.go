package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

// files is what is known of the .torrent files in the directory.
type files struct {
	known  map[string]file
	copies map[bittorrent.InfoHash][]string // files whose torrent another file, or an upload, is
}

// file is one of them as it was looked at last.
type file struct {
	stamp    stamp
	hash     bittorrent.InfoHash // of the torrent that it is, or was before it was broken; zero: of none
	troubled bool                // it is no torrent, which was logged
	refused  bool                // there was no room for it
}

// stamp tells whether a file may have changed. The zero stamp is of no file.
type stamp struct{ size, time int64 } // bytes, Unix nanoseconds

// leavesFiles reports whether this tracker watches no directory, and others, which have the
// same catalogue, may.
func (c *Catalog) leavesFiles() bool { return c.shared != nil && c.o.Directory == "" }

// resetFiles forgets all of the files but what the records say. c.edit is held, or nobody
// else has c yet.
func (c *Catalog) resetFiles() {
	c.files = files{known: map[string]file{}, copies: map[bittorrent.InfoHash][]string{}}
	if c.leavesFiles() {
		return
	}
	for _, e := range c.order.entries {
		if r := &e.record; r.filed() {
			c.files.known[r.File] = file{stamp: stamp{r.FileSize, r.FileTime}, hash: r.InfoHash}
		}
	}
}

// have reports whether the file has this torrent.
func (f *files) have(name string, h bittorrent.InfoHash) bool {
	known, ok := f.known[name]
	return ok && known.hash == h
}

// suspect has files read again, though their stamps be the same.
func (f *files) suspect(names []string) {
	for _, name := range names {
		if known, ok := f.known[name]; ok {
			known.stamp = stamp{}
			f.known[name] = known
		}
	}
}

// holders returns the files that have the torrent h, of which file may be one.
func (f *files) holders(h bittorrent.InfoHash, file string) []string {
	holders := slices.Clone(f.copies[h])
	if f.have(file, h) && !slices.Contains(holders, file) {
		holders = append(holders, file)
	}
	return holders
}

// forget forgets the files of a torrent that was deleted.
func (f *files) forget(h bittorrent.InfoHash, file string) {
	for _, name := range f.holders(h, file) {
		delete(f.known, name)
	}
	delete(f.copies, h)
	f.retry()
}

// retry has those files read again for which there was no room.
func (f *files) retry() {
	for name, known := range f.known {
		if known.refused {
			known.stamp = stamp{}
			f.known[name] = known
		}
	}
}

func (f *files) addCopy(h bittorrent.InfoHash, name string) {
	if !slices.Contains(f.copies[h], name) {
		f.copies[h] = append(f.copies[h], name)
	}
}

func (f *files) dropCopy(h bittorrent.InfoHash, name string) {
	left := slices.DeleteFunc(f.copies[h], func(other string) bool { return other == name })
	if f.copies[h] = left; len(left) == 0 {
		delete(f.copies, h)
	}
}

// sight is what a look at a file found.
type sight struct {
	name  string
	stamp stamp
	meta  *torrent.Metainfo // nil: it is no torrent
	err   error             // why; fs.ErrNotExist: it is gone
}

// see looks at files, and returns what it found of those that changed. No lock is
// held.
func (c *Catalog) see(names []string) []sight {
	c.edit.Lock()
	known := make([]file, len(names))
	for i, name := range names {
		known[i] = c.files.known[name]
	}
	c.edit.Unlock()
	var seen []sight
	for i, name := range names {
		s := sight{name: name}
		s.stamp, s.err = c.stat(name)
		if s.err == nil && s.stamp == known[i].stamp {
			continue
		}
		if s.err == nil {
			s.meta, s.err = c.readTorrent(name)
		}
		seen = append(seen, s)
	}
	return seen
}

// stat returns the stamp of a regular file, or of one that a link leads to.
func (c *Catalog) stat(name string) (stamp, error) {
	if c.o.Directory == "" {
		return stamp{}, fs.ErrNotExist // not in the folder that waggle runs in
	}
	info, err := os.Stat(filepath.Join(c.o.Directory, name))
	if err != nil {
		return stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return stamp{}, errors.New("is not a regular file")
	}
	return stamp{info.Size(), info.ModTime().UnixNano()}, nil
}

// keepable returns the stamp if the file, had it been written to since it was read,
// would have another: clocks of file systems step by up to two seconds.
func (c *Catalog) keepable(s stamp) stamp {
	if time.Duration(c.now().UnixNano()-s.time) <= 2*time.Second {
		return stamp{}
	}
	return s
}

func (c *Catalog) readTorrent(name string) (*torrent.Metainfo, error) {
	b, err := c.readFile(name)
	if err != nil {
		return nil, err
	}
	return torrent.Parse(b)
}

// readFile reads a file of the directory. What is not there is ErrGone.
func (c *Catalog) readFile(name string) ([]byte, error) {
	switch {
	case c.leavesFiles():
		return nil, fmt.Errorf("%w: ask that one for it", ErrElsewhere)
	case c.o.Directory == "":
		return nil, fmt.Errorf("%w: no directory is watched any more", ErrGone)
	}
	// Opening a named pipe would wait for its writer, so look first.
	s, err := c.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: put it back, or upload it", ErrGone)
	}
	if err != nil {
		return nil, err
	}
	if s.size > c.o.MaxBytes {
		return nil, c.tooLarge()
	}
	f, err := os.Open(filepath.Join(c.o.Directory, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, c.o.MaxBytes+1))
	if err == nil && int64(len(b)) > c.o.MaxBytes {
		err = c.tooLarge()
	}
	return b, err
}

func (c *Catalog) tooLarge() error {
	return fmt.Errorf("%w: the limit is %d bytes; make it with larger pieces", ErrTooLarge, c.o.MaxBytes)
}
