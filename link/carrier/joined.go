package carrier

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const joinedRemedy = "delete it, ask the hub's owner for a new invitation, and join again"

func joinedPath(dir string) string { return filepath.Join(dir, "hub.json") }

// Join keeps in dir, for this user's eyes only, what a line that invites says. It is an
// error to have joined already: see [Part].
func Join(dir, line string) (*Invitation, error) {
	in, err := ParseInvitation(line)
	if err != nil {
		return nil, err
	}
	err = locked(dir, func() error {
		if _, err := os.Stat(joinedPath(dir)); err == nil {
			return fmt.Errorf("%s is there: this tracker has joined a hub already; part from that one first", joinedPath(dir))
		}
		return writeJSON(joinedPath(dir), in.onLine())
	})
	return in, err
}

// Joined returns the invitation that was kept in dir, or nil where there is none. A
// damaged file is an error that says what to do.
func Joined(dir string) (*Invitation, error) {
	var in onLine
	found, err := readJSON(joinedPath(dir), joinedRemedy, &in)
	if !found || err != nil {
		return nil, err
	}
	joined, err := in.check()
	if err != nil {
		return nil, damaged(joinedPath(dir), joinedRemedy)
	}
	return joined, nil
}

// Part forgets the hub that dir has joined. To have joined none is no error.
func Part(dir string) error {
	return locked(dir, func() error {
		if err := os.Remove(joinedPath(dir)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
