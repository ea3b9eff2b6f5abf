package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as a journal, and how it is opened to be written.
var fileKind = sqlitefile.Kind{
	Name:          "database",
	ApplicationID: 0x57616767, // "Wagg"
	Version:       2,
	Schema:        schema + views + schemaRoles + viewRoles,
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

// schema is the table of swarms; views.go shows it in words. row.go lays out what is
// in its columns.
const schema = `
CREATE TABLE swarms (
	place BLOB NOT NULL PRIMARY KEY,
	state BLOB NOT NULL
) WITHOUT ROWID, STRICT;
`

// schemaRoles is the table of the members of rosters, since version 2. location is a
// path, or NULL of one that is unlocated; member.go lays out a role.
const schemaRoles = `
CREATE TABLE members (
	place BLOB NOT NULL PRIMARY KEY,
	location TEXT,
	role BLOB NOT NULL
) WITHOUT ROWID, STRICT;
`

// versionRoles is the first version of the schema with members.
const versionRoles = 2

// openToWrite opens the file, creates it where it is fresh, and brings one of an older
// version up to this one. The caller has one connection.
func openToWrite(ctx context.Context, path string) (*sql.DB, error) {
	db, err := fileKind.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := upgrade(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// version returns that of the schema, which an upgrade may have left in the log.
func version(ctx context.Context, db *sql.DB) (v int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

// upgrade makes in an older file what is new, in one transaction. What was there
// stays as it is.
func upgrade(ctx context.Context, db *sql.DB) error {
	if v, err := version(ctx, db); err != nil || v >= versionRoles {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	mark := fmt.Sprintf("PRAGMA user_version = %d;", versionRoles)
	if _, err := tx.ExecContext(ctx, schemaRoles+viewRoles+mark); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	// An older waggle looks at the file before it looks at the log. If somebody reads
	// the file now, the mark gets there later.
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}
