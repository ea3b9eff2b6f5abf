package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as a journal, and how it is opened to be written.
var fileKind = sqlitefile.Kind{
	Name:          "database",
	ApplicationID: 0x57616767, // "Wagg"
	Version:       1,
	Schema:        schema + views,
	Parameters: url.Values{"_pragma": {
		"busy_timeout(5000)", "synchronous(NORMAL)", "temp_store(MEMORY)",
		"cache_size(-32768)",      // 32 MiB, for rows that are written all over the table
		"wal_autocheckpoint(512)", // 2 MiB: what is carried over at once takes a commit some milliseconds
	}},
	IfForeign: "give another path, or move the file away",
	IfNewer:   "upgrade waggle, or give another path",
	IfDamaged: "nothing was changed; restore the file from a backup, or move it and its -wal file away to start empty",
	IfInUse:   "stop that one, or give this one a store of its own",
}

// schema is the one table; views.go shows it in words. row.go lays out what is in
// its columns.
const schema = `
CREATE TABLE swarms (
	place BLOB NOT NULL PRIMARY KEY,
	state BLOB NOT NULL
) WITHOUT ROWID, STRICT;
`

// openToWrite opens the file, and creates it where it is fresh. The caller has
// one connection.
func openToWrite(ctx context.Context, path string) (*sql.DB, error) {
	db, err := fileKind.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
