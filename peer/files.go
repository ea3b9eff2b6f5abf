package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"waggle/errno"
	"waggle/torrent"
)

// pieceState is what is known of a piece.
type pieceState uint8

const (
	unknown pieceState = iota // there may be data; it has to be hashed
	missing
	whole
)

// files is a torrent's files on disk, and which pieces of them are whole.
//
// To tell its own writes from those of others it gives every file a time of
// modification of its own choice, and sets it again after each write. So a file
// that has another one, or another size than the table says, was changed by
// somebody else, or by a kill between a write and that: its pieces are hashed.
type files struct {
	layout layout
	table  *table // nil: none is kept

	place sync.RWMutex // of dir and base: written to while the files are moved
	dir   *os.Root     // nothing outside of it is touched, whatever links say
	base  string       // the file, or the folder of the files, in dir
	marks []time.Time  // the time of modification of each file
	locks []sync.Mutex // of each file, from a look at its time until that is set again

	state   sync.Mutex
	pieces  []pieceState
	unknown int          // pieces
	have    int64        // bytes
	fresh   map[int]bool // pieces whose row is to be written
	written map[int]bool // files that are to be synced before
	suspect map[int]bool // files that somebody else has written to
	failure error        // the first

	news chan struct{} // has one where something has changed; see look
}

func newFiles(l layout, dir *os.Root, base string) *files {
	return &files{
		layout: l, dir: dir, base: base,
		marks: make([]time.Time, len(l.spans)), locks: make([]sync.Mutex, len(l.spans)),
		pieces: make([]pieceState, l.pieces), unknown: l.pieces,
		fresh: map[int]bool{}, written: map[int]bool{}, suspect: map[int]bool{},
		news: make(chan struct{}, 1),
	}
}

// name is the path of a file in dir.
func (f *files) name(file int) string {
	return filepath.FromSlash(path.Join(f.base, f.layout.spans[file].path))
}

// full is the path of a file, for people.
func (f *files) full(file int) string { return filepath.Join(f.dir.Name(), f.name(file)) }

// set changes the state of a piece. The caller has the lock.
func (f *files) set(piece int, s pieceState) {
	old := f.pieces[piece]
	if old == s {
		return
	}
	f.pieces[piece] = s
	n := f.layout.bytes(piece)
	switch old {
	case unknown:
		f.unknown--
	case whole:
		f.have -= n
	case missing:
	}
	switch s {
	case unknown:
		f.unknown++
	case whole:
		f.have += n
	case missing:
	}
}

// mark notes what hashing has shown of a piece, for the table too.
func (f *files) mark(piece int, s pieceState) {
	f.state.Lock()
	f.set(piece, s)
	f.fresh[piece] = true
	f.state.Unlock()
	f.tell()
}

func (f *files) tell() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *files) pieceState(piece int) pieceState {
	f.state.Lock()
	defer f.state.Unlock()
	return f.pieces[piece]
}

// look returns the bytes that are whole, the pieces that are yet to be hashed,
// and the error that the files have failed with.
func (f *files) look() (have int64, unknown int, failure error) {
	f.state.Lock()
	defer f.state.Unlock()
	return f.have, f.unknown, f.failure
}

// fail notes why the files cannot be used any more.
func (f *files) fail(err error) {
	f.state.Lock()
	if f.failure == nil {
		f.failure = err
	}
	f.state.Unlock()
	f.tell()
}

// readAt reads a run of bytes. Where a file is shorter than it should be the
// error is io.EOF.
func (f *files) readAt(b []byte, offset int64) (n int, err error) {
	clear(b)
	for p := range f.layout.within(offset, int64(len(b))) {
		if err := f.readPart(b[p.skip:p.skip+p.length], p); err != nil {
			return int(p.skip), err
		}
	}
	return len(b), nil
}

func (f *files) readPart(b []byte, p part) error {
	f.place.RLock()
	defer f.place.RUnlock()
	file, err := f.dir.Open(f.name(p.file))
	if errors.Is(err, fs.ErrNotExist) {
		return io.EOF
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = file.ReadAt(b, p.from)
	return err
}

// writeAt writes a run of bytes. An error is the end: see fail.
func (f *files) writeAt(b []byte, offset int64) (n int, err error) {
	for p := range f.layout.within(offset, int64(len(b))) {
		if err := f.writePart(b[p.skip:p.skip+p.length], p); err != nil {
			err = f.explain(err, p.file)
			f.fail(err)
			return int(p.skip), err
		}
	}
	return len(b), nil
}

func (f *files) writePart(b []byte, p part) error {
	f.place.RLock()
	defer f.place.RUnlock()
	f.locks[p.file].Lock()
	defer f.locks[p.file].Unlock()
	name := f.name(p.file)
	file, err := f.dir.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.watch(file, p.file)
	if err == nil {
		_, err = file.WriteAt(b, p.from)
	}
	if err == nil {
		err = f.dir.Chtimes(name, time.Time{}, f.marks[p.file])
	}
	f.state.Lock()
	f.written[p.file] = true
	f.state.Unlock()
	return errors.Join(err, file.Close())
}

// watch notes whether somebody else has written to a file, before a write of our
// own hides it. The table is told at once, for the case of a kill.
func (f *files) watch(file *os.File, i int) error {
	stat, err := file.Stat()
	if err != nil || stat.ModTime().Equal(f.marks[i]) {
		return err
	}
	f.state.Lock()
	known := f.suspect[i]
	f.suspect[i] = true
	f.state.Unlock()
	if known || f.table == nil {
		return nil
	}
	return f.table.setFiles(context.Background(), map[string]left{f.layout.spans[i].path: {-1, 0}})
}

// explain says what to do about an error of writing.
func (f *files) explain(err error, file int) error {
	kept := "what was fetched stays in " + filepath.Join(f.dir.Name(), f.base)
	switch {
	case errno.Is(err, syscall.ENOSPC, syscall.EDQUOT):
		return fmt.Errorf("%s: the disk is full: make room and start again; %s: %w", f.full(file), kept, err)
	case errors.Is(err, fs.ErrPermission), errno.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: this user may not write there: change that and start again; %s: %w", f.full(file), kept, err)
	}
	return fmt.Errorf("%s: cannot be written; %s: %w", f.full(file), kept, err)
}

// save writes the rows of pieces that have become whole or missing. Their data
// go to disk before, so that a row is true whatever happens.
func (f *files) save(ctx context.Context) error {
	f.state.Lock()
	fresh, written := f.fresh, f.written
	f.fresh, f.written = map[int]bool{}, map[int]bool{}
	chunks := make(map[int64]bool, len(fresh))
	for piece := range fresh {
		chunks[int64(piece)*f.layout.pieceLength] = f.pieces[piece] == whole
	}
	f.state.Unlock()
	if len(chunks) == 0 && len(written) == 0 || f.table == nil {
		return nil
	}
	err := f.sync(written)
	if err == nil && len(chunks) > 0 {
		err = f.table.setChunks(ctx, chunks)
	}
	if err == nil {
		return nil
	}
	f.state.Lock()
	defer f.state.Unlock()
	for piece := range fresh {
		f.fresh[piece] = true
	}
	for file := range written {
		f.written[file] = true
	}
	return err
}

func (f *files) sync(written map[int]bool) error {
	f.place.RLock()
	defer f.place.RUnlock()
	for i := range written {
		file, err := f.dir.OpenFile(f.name(i), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		err = errors.Join(file.Sync(), file.Close())
		if err != nil {
			return f.explain(err, i)
		}
	}
	return nil
}

// foreign returns the files that others have changed, makes their pieces unknown
// and takes the files as they are now.
func (f *files) foreign() (changed []int, err error) {
	for i := range f.layout.spans {
		f.state.Lock()
		suspect := f.suspect[i]
		f.state.Unlock()
		stat, err := f.dir.Stat(f.name(i))
		if err == nil && !suspect && stat.Size() == f.layout.spans[i].length && stat.ModTime().Equal(f.marks[i]) {
			continue
		}
		if err == nil {
			err = f.adopt(i)
		}
		if err != nil {
			return nil, f.explain(err, i)
		}
		changed = append(changed, i)
	}
	f.state.Lock()
	defer f.state.Unlock()
	for _, i := range changed {
		delete(f.suspect, i)
		first, end := f.layout.piecesOf(i)
		for piece := first; piece < end; piece++ {
			f.set(piece, unknown)
		}
	}
	return changed, nil
}

// adopt gives a file its length and its mark.
func (f *files) adopt(i int) error {
	file, err := f.dir.OpenFile(f.name(i), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(f.layout.spans[i].length), file.Close()); err != nil {
		return err
	}
	return f.setMark(i, f.marks[i])
}

// setMark sets the time of a file, which its system may keep less exactly.
func (f *files) setMark(i int, t time.Time) error {
	if err := f.dir.Chtimes(f.name(i), time.Time{}, t); err != nil {
		return err
	}
	stat, err := f.dir.Stat(f.name(i))
	if err != nil {
		return err
	}
	f.marks[i] = stat.ModTime()
	return nil
}

// record notes files that were only read in the table, unless they have changed
// meanwhile.
func (f *files) record(ctx context.Context) error {
	for i := range f.layout.spans {
		stat, err := f.dir.Stat(f.name(i))
		if err != nil {
			return err
		}
		if stat.Size() != f.layout.spans[i].length || !stat.ModTime().Equal(f.marks[i]) {
			return fmt.Errorf("%s: was changed while it was hashed: start again once nobody writes to it", f.full(i))
		}
	}
	if f.table == nil {
		return nil
	}
	if err := f.table.setFiles(ctx, f.asLeft()); err != nil {
		return fmt.Errorf("%s: %w", f.table.path, err)
	}
	return nil
}

// asLeft is how all files are, for the table.
func (f *files) asLeft() map[string]left {
	all := make(map[string]left, len(f.layout.spans))
	for i, s := range f.layout.spans {
		all[s.path] = left{s.length, f.marks[i].UnixNano()}
	}
	return all
}

// move puts the files in place under their final name, which must be free. All
// pieces are whole and saved.
func (f *files) move(ctx context.Context, name string, now time.Time) error {
	f.place.Lock()
	defer f.place.Unlock()
	for i := range f.layout.spans {
		if err := f.setMark(i, now); err != nil {
			return f.explain(err, i)
		}
	}
	if f.table != nil {
		if err := f.table.setFiles(ctx, f.asLeft()); err != nil {
			return fmt.Errorf("%s: %w", f.table.path, err)
		}
	}
	if err := f.rename(name); err != nil {
		return fmt.Errorf("%s: is whole, but cannot be called %s: move what is there away, then start again: %w",
			filepath.Join(f.dir.Name(), f.base), name, err)
	}
	f.base = name
	// Without this a crash may forget the name. Some systems cannot, and the
	// files are in place all the same.
	if d, err := f.dir.Open("."); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

func (f *files) rename(name string) error {
	if stat, err := f.dir.Stat(f.base); err == nil && !stat.IsDir() {
		// A link, unlike a renaming, replaces nothing.
		err := f.dir.Link(f.base, name)
		if err == nil {
			return f.dir.Remove(f.base)
		}
		if errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if _, err := f.dir.Lstat(name); err == nil {
		return fs.ErrExist
	}
	return f.dir.Rename(f.base, name)
}

// close gives the folder and the table back.
func (f *files) close() error {
	err := f.dir.Close()
	if f.table != nil {
		err = errors.Join(err, f.table.close())
	}
	return err
}

// lacking says what the data at a path lack of a torrent.
func (f *files) lacking(m *torrent.Metainfo) error {
	have, _, _ := f.look()
	return fmt.Errorf("%s: %d of the %d bytes of the torrent %q are not there, or are others",
		filepath.Join(f.dir.Name(), f.base), m.Length-have, m.Length, m.Name)
}
