package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// File is a file that [Kind.Take] opened.
type File struct {
	*sql.DB
	close func() error
}

// Take locks the file at path, opens it, checks the pages of some tables ("1": of all)
// and turns to a write-ahead log, which lets people read it meanwhile. prepare comes
// last, such as an upgrade; nil: nothing does. Whoever has the file closes it.
//
// Errors are those of [Kind.Lock], [Kind.Open], [Kind.CheckPages] or prepare; each names
// the path.
func (k *Kind) Take(ctx context.Context, path string, prepare func(context.Context, *sql.DB) error, tables ...string) (*File, error) {
	lock, err := k.Lock(path)
	if err != nil {
		return nil, err
	}
	db, err := k.take(ctx, path, prepare, tables)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), lock.Unlock())
	}
	return &File{DB: db, close: sync.OnceValue(func() error { return errors.Join(db.Close(), lock.Unlock()) })}, nil
}

func (k *Kind) take(ctx context.Context, path string, prepare func(context.Context, *sql.DB) error, tables []string) (*sql.DB, error) {
	db, err := k.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	err = k.CheckPages(ctx, db, tables...)
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	}
	if err == nil && prepare != nil {
		err = prepare(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close closes the file and lets others have it. It may be called again.
func (f *File) Close() error { return f.close() }
