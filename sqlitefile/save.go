package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// anyKind explains what is wrong with a file of whatever kind.
var anyKind = Kind{
	IfDamaged: "it cannot be saved; take it from an older backup",
	IfInUse:   "it cannot be read just now; try again",
}

// Save writes what the file at path has at one moment into a new file at to, for its
// owner's eyes only. Another process may have the file, and goes on writing meanwhile. With
// an error nothing is left at to, unless there was something before.
//
// Errors are [os.ErrNotExist], [os.ErrExist], [ErrDamaged], or one of the operating system
// or of SQLite; each names the path.
func Save(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // SQLite fills a file that is empty
	if err != nil {
		return err
	}
	if err := errors.Join(save(ctx, path, to), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(to))
	}
	return nil
}

func save(ctx context.Context, path, to string) error {
	db, err := OpenToRead(path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	err = errors.Join(anyKind.explain(err), db.Close())
	if err != nil {
		f, cannot := os.Open(path) // SQLite does not say why it cannot
		if cannot != nil {
			return cannot
		}
		_ = f.Close()
	}
	return err
}
