package carrier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"waggle/wholefile"
)

// maxFile is the most bytes of a file of ours: a full book has about 90 MB of rights
// at the very most, and usually a few KB.
const maxFile = 128 << 20

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return wholefile.Write(path, append(b, '\n'))
}

// readFile returns what is at path. The error wraps fs.ErrNotExist where there is
// nothing.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes, so it is none of waggle's", path, maxFile)
	}
	return b, err
}

// damaged is the error for a file that cannot be read, with the remedy. It does not
// wrap the cause, which may quote the file, and so a secret.
func damaged(path, remedy string) error {
	return fmt.Errorf("%s is damaged: restore it from a backup, or %s", path, remedy)
}

// readJSON reads what is at path into v. Where nothing is there it leaves v alone and
// returns false.
func readJSON(path, remedy string, v any) (found bool, err error) {
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if decoder.Decode(v) != nil || decoder.Decode(new(any)) != io.EOF {
		return false, damaged(path, remedy)
	}
	return true, nil
}

// locked calls do while no other process changes the files in dir, which it makes
// where it is missing.
func locked(dir string, do func() error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("%s cannot be locked: %w", lock.Path(), err)
	}
	defer lock.Unlock() //nolint:errcheck // closing the file unlocks it in any case
	return do()
}
