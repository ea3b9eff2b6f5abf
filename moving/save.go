package moving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"waggle/sqlitefile"
)

// Part is a file, or a folder of files, of those that a tracker keeps on its own machine.
type Part struct {
	Path     string
	As       string // where it is in the copy, such as "link"
	Database bool   // it is a file of SQLite, which may change while it is copied
}

// Save copies those of some parts that are there into a new folder at to, for its owner's
// eyes only, while the tracker goes on. It returns which were, and how many bytes their copies
// have together. The folder is there when all of it is: with an error there is none, unless
// it was there before, which is [fs.ErrExist].
//
// Each file is copied as it is at one moment, and the moments differ. Of folders the files are
// copied, without those of other parts, and no folders in them.
func Save(ctx context.Context, parts []Part, to string) (saved []Part, size int64, err error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s: %w: name a folder that is not there yet", to, fs.ErrExist)
		}
		return nil, 0, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, 0, err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(to), filepath.Base(to)+".unfinished-*") // 0700
	if err != nil {
		return nil, 0, err
	}
	s := saving{ctx: ctx, parts: parts, to: unfinished, folders: map[string]bool{unfinished: true}}
	for _, p := range parts {
		switch err := s.part(p); {
		case err == nil:
			saved = append(saved, p)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, 0, errors.Join(err, os.RemoveAll(unfinished))
		}
	}
	if err := errors.Join(s.settle(), os.Rename(unfinished, to)); err != nil {
		return nil, 0, errors.Join(err, os.RemoveAll(unfinished))
	}
	return saved, s.size, nil
}

type saving struct {
	ctx     context.Context //nolint:containedctx // of one call
	parts   []Part
	to      string
	folders map[string]bool // that were made
	size    int64
}

// part copies a part. The error is [fs.ErrNotExist] where there is none.
func (s *saving) part(p Part) error {
	if p.Database {
		return s.file(p.Path, p.As, func(path, to string) error { return sqlitefile.Save(s.ctx, path, to) })
	}
	stat, err := os.Stat(p.Path)
	if err != nil {
		return err
	}
	if !stat.IsDir() {
		return s.file(p.Path, p.As, copyFile)
	}
	entries, err := os.ReadDir(p.Path)
	for _, e := range entries {
		if err != nil || !e.Type().IsRegular() || s.skipped(filepath.Join(p.Path, e.Name())) {
			continue
		}
		if err = s.file(filepath.Join(p.Path, e.Name()), filepath.Join(p.As, e.Name()), copyFile); errors.Is(err, fs.ErrNotExist) {
			err = nil // it has gone since the folder was read
		}
	}
	return err
}

// skipped reports whether a file of a folder is left out: it belongs to another part, is a lock,
// or is being written.
func (s *saving) skipped(path string) bool {
	for _, p := range s.parts {
		other := filepath.Clean(p.Path)
		if strings.HasPrefix(path, other) && filepath.Dir(path) == filepath.Dir(other) { // what SQLite has beside it, too
			return true
		}
	}
	return filepath.Base(path) == "lock" || filepath.Ext(path) == ".new"
}

// file copies a file by copyTo, and counts its bytes.
func (s *saving) file(path, as string, copyTo func(path, to string) error) error {
	to := filepath.Join(s.to, filepath.FromSlash(as))
	if dir := filepath.Dir(to); !s.folders[dir] {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		s.folders[dir] = true
	}
	if err := copyTo(path, to); err != nil {
		return err
	}
	stat, err := os.Stat(to)
	if err == nil {
		s.size += stat.Size()
	}
	return err
}

func copyFile(path, to string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}

// settle has the names of what was copied last, too. Windows does not know that.
func (s *saving) settle() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	for path := range s.folders {
		dir, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return err
		}
	}
	return nil
}
