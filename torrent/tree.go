package torrent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// tree is the files to be shared, as they were found. Offsets count the bytes of
// all files laid end to end, as the pieces of version 1 do (BEP 3).
type tree struct {
	path  string   // as the user named it
	root  *os.Root // the folder, out of which no link leads; nil if path is a file
	files []source // in the torrent's order
	total int64    // bytes of all files, at least 1
}

// source is one file of a tree.
type source struct {
	path  string // below the folder, parts joined by "/"; "" if the tree is that one file
	start int64  // offset of its first byte
	stat  fs.FileInfo
}

// openTree finds the files under path. The caller closes the tree.
func openTree(ctx context.Context, path string) (*tree, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, sourceError(path, err)
	}
	t := &tree{path: path}
	switch {
	case stat.IsDir():
		if t.root, err = os.OpenRoot(path); err != nil {
			return nil, sourceError(path, err)
		}
		err = t.walk(ctx)
	case stat.Mode().IsRegular():
		err = t.add("", stat)
	default:
		err = notAFile(path, stat.Mode())
	}
	if err == nil && t.total == 0 {
		err = t.nothing()
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// nothing says why there is nothing to share.
func (t *tree) nothing() error {
	switch {
	case !t.isFolder():
		return fmt.Errorf("%s: the file is empty, there is nothing to share", t.path)
	case len(t.files) == 0:
		return fmt.Errorf("%s: there is no file in the folder, there is nothing to share", t.path)
	}
	return fmt.Errorf("%s: all files in the folder are empty, there is nothing to share", t.path)
}

// walk adds the files of the folder. fs.WalkDir comes by in the order of
// comparePaths, and follows no links.
func (t *tree) walk(ctx context.Context) error {
	return fs.WalkDir(t.root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return sourceError(t.show(path), err)
		}
		if path == "." {
			return nil
		}
		if err := checkName(entry.Name()); err != nil {
			return fmt.Errorf("%s: %w", t.show(path), err)
		}
		switch entry.Type() {
		case fs.ModeDir:
			return nil
		case fs.ModeSymlink:
			return t.addLink(path)
		case 0:
			stat, err := t.root.Stat(path)
			if err != nil {
				return sourceError(t.show(path), err)
			}
			return t.add(path, stat)
		}
		return notAFile(t.show(path), entry.Type())
	})
}

func (t *tree) addLink(path string) error {
	stat, err := t.root.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: is a symbolic link that leads nowhere, in a circle or out of the folder; "+
			"put the file in its place, or remove it: %w", t.show(path), withoutPath(err))
	}
	if stat.IsDir() {
		return fmt.Errorf("%s: is a symbolic link to a folder; put the folder in its place, or remove it", t.show(path))
	}
	if !stat.Mode().IsRegular() {
		return notAFile(t.show(path), stat.Mode())
	}
	return t.add(path, stat)
}

func (t *tree) add(path string, stat fs.FileInfo) error {
	t.files = append(t.files, source{path: path, start: t.total, stat: stat})
	t.total += stat.Size()
	if t.total < 0 {
		return fmt.Errorf("%s: the sizes of all files together do not fit 64 bits", t.path)
	}
	return nil
}

// Close lets go of the folder.
func (t *tree) Close() {
	if t.root != nil {
		_ = t.root.Close()
	}
}

func (t *tree) isFolder() bool { return t.root != nil }

// show returns the path of a file as the user would write it.
func (t *tree) show(path string) string { return filepath.Join(t.path, filepath.FromSlash(path)) }

// at returns the index of the file that the byte at offset belongs to.
func (t *tree) at(offset int64) int {
	return sort.Search(len(t.files), func(i int) bool { return t.files[i].start > offset }) - 1
}

func (t *tree) open(i int) (*os.File, error) {
	if t.root == nil {
		return os.Open(t.path)
	}
	return t.root.Open(t.files[i].path)
}

func (t *tree) stat(i int) (fs.FileInfo, error) {
	if t.root == nil {
		return os.Stat(t.path)
	}
	return t.root.Stat(t.files[i].path)
}

// checkUnchanged compares the files with what they were when they were found.
// Done after the last of them was read, it tells that the hashes are of one
// state of the files, as far as sizes and times of modification can tell.
func (t *tree) checkUnchanged(ctx context.Context) error {
	for i, f := range t.files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		stat, err := t.stat(i)
		if err != nil || !os.SameFile(stat, f.stat) || stat.Size() != f.stat.Size() || !stat.ModTime().Equal(f.stat.ModTime()) {
			return t.changed(i)
		}
	}
	return nil
}

func (t *tree) changed(i int) error {
	return fmt.Errorf("%s: has changed while it was read; try again when nothing writes to it", t.show(t.files[i].path))
}

func notAFile(path string, mode fs.FileMode) error {
	kind := "neither a file nor a folder"
	switch {
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeDevice != 0:
		kind = "a device"
	}
	return fmt.Errorf("%s: is %s, and only files can be shared; remove it from what is shared", path, kind)
}

// sourceError says of a file or folder why it cannot be read.
func sourceError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not read it; change its permissions, or remove it from what is shared: %w", path, withoutPath(err))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file or folder: %w", path, withoutPath(err))
	}
	return fmt.Errorf("%s: cannot be read: %w", path, withoutPath(err))
}

// withoutPath strips an error of the name of the call and the path, which our
// own words have told.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
