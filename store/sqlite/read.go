package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"waggle/store/memory"
)

// Read returns what is in the file at path, in memory and with details, and changes
// nothing: another process may keep the file meanwhile, of whose last second some may
// be missing. Located peers have no roles. log hears of how far it is; nil: nobody does.
//
// Errors are those of [Open], without [sqlitefile.ErrInUse]. The caller closes the store.
func Read(ctx context.Context, path string, log *slog.Logger) (*memory.Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // which a fresh file is not
	}
	if _, err := fileKind.Check(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := newStore(Options{Memory: memory.Options{Details: true}, Log: log})
	if err := s.restore(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Store.Close())
	}
	return s.Store, nil
}
