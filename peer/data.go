package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/anacrolix/torrent/metainfo"

	"waggle/sqlitefile"
	"waggle/torrent"
)

// Data is where the files of a torrent lie, and what is known of them: which
// pieces are whole, as the table beside them says. It belongs to one caller until
// [Client.Add], and to the client from then on.
type Data struct {
	meta   *torrent.Metainfo
	lib    *metainfo.MetaInfo
	files  *files
	final  string // name in the folder once all is whole; "" if it is there already
	port   uint16
	start  int64    // bytes that the table vouches for
	notes  []string // for the user
	verify bool     // refuse to go on if anything is missing
}

// Port is the TCP port that the torrent was last served on from here, for
// [Options.Prefer]; 0 if none is known. A tracker takes whoever comes back on the
// same address for the same peer, so that after a kill no ghost stays behind.
func (d *Data) Port() uint16 { return d.port }

// Metainfo returns what the torrent says.
func (d *Data) Metainfo() *torrent.Metainfo { return d.meta }

// Close gives the files back. It is for data that no client has taken.
func (d *Data) Close() error { return d.files.close() }

// OpenPart opens or makes the place for a download: NAME.part in folder, to be
// called NAME once it is whole, and beside it .NAME.waggle, the table of finished
// pieces, which nobody else may have open. If NAME is there already it is taken
// for the download itself, and nothing in it will be changed.
//
// Errors are [torrent.ErrMalformed], [sqlitefile.ErrInUse], [sqlitefile.ErrForeign],
// [sqlitefile.ErrNewer] and those of the file system; each says what to do.
func OpenPart(ctx context.Context, b []byte, folder string) (*Data, error) {
	d, l, err := newData(b)
	if err != nil {
		return nil, err
	}
	if err := fits(runtime.GOOS, d.meta); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("the folder to download to: %w", err)
	}
	dir, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("the folder to download to: %w", err)
	}
	d.files = newFiles(l, dir, d.meta.Name)
	if err := d.openTable(ctx, tablePath(folder, d.meta.Name)); err != nil {
		return nil, errors.Join(explainFolder(err, folder), dir.Close())
	}
	_, err = dir.Lstat(d.meta.Name)
	switch {
	case err == nil:
		d.verify = true
		err = d.take(ctx)
	case errors.Is(err, fs.ErrNotExist):
		d.final = d.meta.Name
		d.files.base = d.meta.Name + ".part"
		err = explainFolder(d.prepare(ctx, time.Now()), folder)
	}
	if err != nil {
		return nil, errors.Join(err, d.files.close())
	}
	return d, nil
}

// fits refuses a torrent with files that a system cannot have.
func fits(system string, m *torrent.Metainfo) error {
	if system != "windows" {
		return nil
	}
	if err := m.ForWindows(); err != nil {
		return fmt.Errorf("%w; fetch it on another system", err)
	}
	return nil
}

// OpenWhole opens data that are all there, to be seeded from where they are:
// path is the file or the folder, whatever it is called. It is only read. What
// the table beside it does not vouch for is hashed; where there can be no table,
// that is all of it.
func OpenWhole(ctx context.Context, b []byte, path string) (*Data, error) {
	d, err := openWhole(b, path)
	if err != nil {
		return nil, err
	}
	place, err := filepath.Abs(path)
	if err == nil {
		err = d.openTable(ctx, tablePath(filepath.Dir(place), filepath.Base(place)))
	}
	if errors.Is(err, sqlitefile.ErrInUse) {
		return nil, errors.Join(err, d.files.close())
	}
	if err != nil {
		d.note("no table of pieces is kept, so all is hashed at each start: %v", err)
	}
	if err := d.take(ctx); err != nil {
		return nil, errors.Join(err, d.files.close())
	}
	return d, nil
}

// OpenHashed is [OpenWhole] for data that the caller has just made the torrent
// of: nothing is hashed again, and no table is kept.
func OpenHashed(ctx context.Context, b []byte, path string) (*Data, error) {
	d, err := openWhole(b, path)
	if err != nil {
		return nil, err
	}
	if err := d.take(ctx); err != nil {
		return nil, errors.Join(err, d.files.close())
	}
	for i := range d.files.pieces {
		d.files.set(i, whole)
	}
	d.start = d.files.have
	return d, nil
}

func openWhole(b []byte, path string) (*Data, error) {
	d, l, err := newData(b)
	if err != nil {
		return nil, err
	}
	d.verify = true
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("the data of %q: %w", d.meta.Name, err)
	}
	folder, base := real, "."
	if !d.meta.Folder {
		folder, base = filepath.Dir(real), filepath.Base(real)
	}
	dir, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("the data of %q: %w", d.meta.Name, err)
	}
	d.files = newFiles(l, dir, base)
	return d, nil
}

func newData(b []byte) (*Data, layout, error) {
	m, err := torrent.Parse(b)
	if err != nil {
		return nil, layout{}, err
	}
	lib, err := metainfo.Load(bytes.NewReader(b))
	if err != nil {
		return nil, layout{}, fmt.Errorf("%w: %w", torrent.ErrMalformed, err)
	}
	info, err := lib.UnmarshalInfo()
	if err != nil {
		return nil, layout{}, fmt.Errorf("%w: %w", torrent.ErrMalformed, err)
	}
	l, err := newLayout(m, &info)
	if err != nil {
		return nil, layout{}, fmt.Errorf("%w: %w", torrent.ErrMalformed, err)
	}
	return &Data{meta: m, lib: lib}, l, nil
}

func (d *Data) note(format string, a ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, a...))
}

func (d *Data) openTable(ctx context.Context, path string) error {
	t, damaged, err := openTable(ctx, path, d.meta.InfoHash())
	if err != nil {
		return err
	}
	d.files.table = t
	if damaged {
		d.note("%s was damaged and is begun anew: what is there is hashed", path)
	}
	d.port, err = t.port(ctx)
	return err
}

// explainFolder says what to do about a folder that is not to be written to.
func explainFolder(err error, folder string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: this user may not write there: choose another folder with -o, or change its permissions: %w", folder, err)
	}
	return err
}

// recorded is what the table says.
func (d *Data) recorded(ctx context.Context) (map[string]left, map[int64]bool, error) {
	if d.files.table == nil {
		return nil, nil, nil
	}
	files, err := d.files.table.files(ctx)
	if err != nil {
		return nil, nil, err
	}
	chunks, err := d.files.table.chunks(ctx)
	return files, chunks, err
}

// take takes files that are there as they are. Those that the table knows
// otherwise are hashed.
func (d *Data) take(ctx context.Context) error {
	files, chunks, err := d.recorded(ctx)
	if err != nil {
		return err
	}
	f := d.files
	same := make([]bool, len(f.layout.spans))
	for i, s := range f.layout.spans {
		stat, err := f.dir.Stat(f.name(i))
		if err != nil {
			return fmt.Errorf("%s: %w: it belongs to the torrent %q", f.full(i), withoutPath(err), d.meta.Name)
		}
		if !stat.Mode().IsRegular() || stat.Size() != s.length {
			return fmt.Errorf("%s: is not the file of %d bytes that belongs to the torrent %q: move it away, or name another folder",
				f.full(i), s.length, d.meta.Name)
		}
		f.marks[i] = stat.ModTime()
		same[i] = d.asLeft(i, files, left{stat.Size(), stat.ModTime().UnixNano()})
	}
	d.trust(chunks, same, nil)
	return nil
}

// asLeft reports whether a file is as the table says, and notes it if it differs.
func (d *Data) asLeft(i int, files map[string]left, is left) bool {
	was, known := files[d.files.layout.spans[i].path]
	if known && was != is {
		d.note("%s has changed since it was left: its pieces are hashed again", d.files.full(i))
	}
	return known && was == is
}

// prepare makes the files of a download, or takes those of an earlier one.
func (d *Data) prepare(ctx context.Context, now time.Time) error {
	f := d.files
	if err := d.checkOwn(ctx); err != nil {
		return err
	}
	files, chunks, err := d.recorded(ctx)
	if err != nil {
		return err
	}
	// A time that every file system can keep, and that no write of others has.
	mark := now.Truncate(2 * time.Second).Add(-2 * time.Second)
	same, made := make([]bool, len(f.layout.spans)), make([]bool, len(f.layout.spans))
	for i := range f.layout.spans {
		stat, err := f.dir.Stat(f.name(i))
		switch {
		case err == nil:
			f.marks[i] = stat.ModTime()
			same[i] = d.asLeft(i, files, left{stat.Size(), stat.ModTime().UnixNano()})
		case errors.Is(err, fs.ErrNotExist):
			made[i], err = true, f.create(i)
		}
		if err == nil && !same[i] {
			f.marks[i] = mark
			err = f.adopt(i)
		}
		if err != nil {
			return f.explain(err, i)
		}
	}
	d.trust(chunks, same, made)
	if err := f.table.setFiles(ctx, f.asLeft()); err != nil {
		return fmt.Errorf("%s: %w", f.table.path, err)
	}
	return nil
}

// checkOwn refuses what is there of another torrent of the same name.
func (d *Data) checkOwn(ctx context.Context) error {
	f := d.files
	if _, err := f.dir.Lstat(f.base); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	other, err := f.table.other(ctx)
	if err == nil && other != "" {
		err = fmt.Errorf("%s: is the beginning of another torrent of this name, with info hash %s: finish that one or move it away, or choose another folder with -o",
			filepath.Join(f.dir.Name(), f.base), other)
	}
	return err
}

func (f *files) create(i int) error {
	name := f.name(i)
	if folder := path.Dir(filepath.ToSlash(name)); folder != "." {
		if err := f.dir.MkdirAll(filepath.FromSlash(folder), 0o777); err != nil {
			return err
		}
	}
	file, err := f.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	return file.Close()
}

// trust sets the pieces: whole where the table says so and the files are as they
// were left, missing where a file was made just now or nothing was written, and
// else to be hashed. Rows that are not trusted go.
func (d *Data) trust(chunks map[int64]bool, same, made []bool) {
	f := d.files
	for i := range f.pieces {
		listed := chunks[int64(i)*f.layout.pieceLength]
		s := whole
		if !listed {
			s = unknown
		}
		for p := range f.layout.piece(i) {
			if made != nil && (made[p.file] || !listed && f.isHole(p)) {
				s = missing
				break
			}
			if !same[p.file] {
				s = unknown
			}
		}
		f.set(i, s)
		if listed && s != whole {
			f.fresh[i] = true
		}
	}
	d.start = f.have
}

func (f *files) isHole(p part) bool {
	file, err := f.dir.Open(f.name(p.file))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	return isHole(file, p.from, p.length)
}

// withoutPath takes the path from an error of the file system, for where it is
// said already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// printable has a stranger's text without what would move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
