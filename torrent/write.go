package torrent

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// WriteNew writes b to a new file at path. The name appears with the whole
// contents on disk, or not at all. If there is something at path already it is
// left alone, and the error is fs.ErrExist. Errors begin with the path.
func WriteNew(path string, b []byte) error {
	return write(path, b, 0o666, func(temporary string) error { return placeNew(temporary, path) })
}

// placeNew gives a file the name path, unless something has it.
func placeNew(temporary, path string) error {
	err := os.Link(temporary, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return errors.Join(err, os.Remove(temporary))
	}
	// File systems such as FAT have no links. There, what another process puts at
	// path between this look and the renaming is lost.
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	return os.Rename(temporary, path)
}

// Replace writes b to the file at path, in place of what is there, whose
// permissions it keeps, and whose owner and group where this user may. Whoever
// opens path finds the old contents or the new, both whole, also after a crash. A
// symbolic link at path is itself replaced. Errors begin with the path.
func Replace(path string, b []byte) error {
	stat, err := os.Stat(path)
	if err == nil && stat.IsDir() {
		return fmt.Errorf("%s: is a folder", path)
	}
	if err != nil {
		return write(path, b, 0o666, func(temporary string) error { return os.Rename(temporary, path) })
	}
	return write(path, b, stat.Mode().Perm(), func(temporary string) error {
		if err := keepAttributes(temporary, stat); err != nil {
			return err
		}
		return os.Rename(temporary, path)
	})
}

// Backup writes b, which is what the file at path holds, to a new file beside it,
// with its permissions and owner, and returns the name of that: path and ".bak",
// or ".bak1", ".bak2" and so on where there is one already. It appears whole or
// not at all. Errors begin with a path.
func Backup(path string, b []byte) (string, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	for i := 0; ; i++ {
		name := path + ".bak"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		err := write(name, b, stat.Mode().Perm(), func(temporary string) error {
			if err := keepAttributes(temporary, stat); err != nil {
				return err
			}
			return placeNew(temporary, name)
		})
		if !errors.Is(err, fs.ErrExist) { // else someone was quicker
			return name, err
		}
	}
}

// keepAttributes gives a file the owner, if that is allowed, and the permissions
// of another, of which the umask may have taken some.
func keepAttributes(path string, of fs.FileInfo) error {
	keepOwner(path, of)
	return os.Chmod(path, of.Mode().Perm())
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
