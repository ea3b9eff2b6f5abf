package wholefile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// halfWritten is what follows the name of a file that is to take the place of another: a pattern.
const halfWritten = ".*.new"

// Write puts b at path, for its owner's eyes only, in place of what is there. With an error what
// was there stays.
func Write(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+halfWritten) // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder has the name last, too. Windows does not know that.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Clean removes what a kill has left of calls of [Write] for a path. No call may be under way.
func Clean(path string) {
	left, _ := filepath.Glob(path + halfWritten) // a folder whose name is a pattern keeps them
	for _, one := range left {
		_ = os.Remove(one) // or the next start does
	}
}
