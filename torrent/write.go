package torrent

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// WriteNew writes b to a new file at path. The name appears with the whole
// contents on disk, or not at all. If there is something at path already it is
// left alone, and the error is fs.ErrExist. Errors begin with the path.
func WriteNew(path string, b []byte) error {
	return write(path, b, 0o666, func(temporary string) error {
		err := os.Link(temporary, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return errors.Join(err, os.Remove(temporary))
		}
		// File systems such as FAT have no links. There, what another process
		// puts at path between this look and the renaming is lost.
		if _, err := os.Lstat(path); err == nil {
			return fs.ErrExist
		}
		return os.Rename(temporary, path)
	})
}

// Replace writes b to the file at path, in place of what is there, whose
// permissions it keeps. Whoever opens path finds the old contents or the new,
// both whole, also after a crash. A symbolic link at path is itself replaced.
// Errors begin with the path.
func Replace(path string, b []byte) error {
	mode := fs.FileMode(0o666)
	stat, err := os.Stat(path)
	if err == nil && stat.IsDir() {
		return fmt.Errorf("%s: is a folder", path)
	}
	if err == nil {
		mode = stat.Mode().Perm()
	}
	return write(path, b, mode, func(temporary string) error {
		if err == nil {
			// The umask may have taken bits that the old file had.
			if err := os.Chmod(temporary, mode); err != nil {
				return err
			}
		}
		return os.Rename(temporary, path)
	})
}

// write writes b to a temporary file beside path, lets place put it there, and
// removes it if anything fails.
func write(path string, b []byte, mode fs.FileMode, place func(temporary string) error) error {
	folder := filepath.Dir(path)
	temporary := filepath.Join(folder, fmt.Sprintf(".waggle-%016x.part", rand.Uint64()))
	err := writeSynced(temporary, b, mode)
	if err == nil {
		err = place(temporary)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return writeError(path, err)
	}
	// Without this a crash may forget the name. Some file systems cannot, and
	// the file is written all the same.
	if d, err := os.Open(folder); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

func writeSynced(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func writeError(path string, err error) error {
	folder := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: is there already, and was left as it is: %w", path, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no folder %s; make it first: %w", path, folder, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not write to %s: %w", path, folder, fs.ErrPermission)
	}
	return fmt.Errorf("%s: was not written: %w", path, withoutPath(err))
}
