package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// ErrOlder says that a file must be brought up to date before it can be read.
var ErrOlder = errors.New("written by an older waggle")

// Read opens the file at path without changing it, whoever has it, and checks the pages
// of some tables as Take does. Whoever has the file closes it.
//
// Errors are [os.ErrNotExist], [ErrOlder], or those of [Kind.Check] and
// [Kind.CheckPages]; each names the path.
func (k *Kind) Read(ctx context.Context, path string, tables ...string) (*File, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if _, err := k.Check(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	db, err := OpenToRead(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var version uint32
	err = k.ReadError(ctx, db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version))
	if err == nil && version < k.Version {
		err = fmt.Errorf("%w (schema %d, this one knows %d): start waggle with it once", ErrOlder, version, k.Version)
	}
	if err == nil {
		err = k.CheckPages(ctx, db, tables...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, db.Close()))
	}
	return &File{DB: db, close: db.Close}, nil
}
