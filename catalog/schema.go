package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as a catalogue, and how it is opened.
var fileKind = sqlitefile.Kind{
	Name:          "catalogue",
	ApplicationID: 0x57616763, // "Wagc"
	Version:       2,
	Schema:        schema,
	Parameters: url.Values{"_pragma": {
		"busy_timeout(5000)", "temp_store(MEMORY)",
		"synchronous(FULL)",           // edits are rare, and whoever made one was told that it is kept
		"journal_size_limit(8388608)", // a large .torrent would leave its size in the log for ever
	}},
	IfForeign: "give another path, or move the file away",
	IfNewer:   "upgrade waggle, or give another path",
	IfDamaged: "restore the file from a backup, or move it and its -wal file away to start empty",
	IfInUse:   "stop that one, or give this one a catalogue of its own",
}

// transferColumns are the same in both tables. Times are Unix nanoseconds, 0 is not
// yet.
const transferColumns = `
	info_hash       BLOB    NOT NULL,
	info_hash_v2    BLOB,
	name            BLOB    NOT NULL,
	size            INTEGER NOT NULL,
	private         INTEGER NOT NULL,
	version         INTEGER NOT NULL,
	file            TEXT    NOT NULL,
	source          INTEGER NOT NULL,
	profile         TEXT    NOT NULL,
	registered      INTEGER NOT NULL,
	first_started   INTEGER NOT NULL,
	last_started    INTEGER NOT NULL,
	first_completed INTEGER NOT NULL,
	last_completed  INTEGER NOT NULL,
	deactivated     INTEGER NOT NULL`

const schema = `
CREATE TABLE transfers (` + transferColumns + `,
	held      INTEGER NOT NULL,
	file_size INTEGER NOT NULL,
	file_time INTEGER NOT NULL,
	PRIMARY KEY (info_hash)
) WITHOUT ROWID, STRICT;
CREATE TABLE torrents (
	info_hash BLOB NOT NULL PRIMARY KEY,
	metainfo  BLOB NOT NULL
) STRICT;
CREATE TABLE history (
	number INTEGER PRIMARY KEY,` + transferColumns + `
) STRICT;
`

// upgrade makes a file of version 1, which had no profiles, one of version 2. It is
// done in one transaction, so that a kill leaves the one or the other.
const upgrade = `
ALTER TABLE transfers ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE history   ADD COLUMN profile TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 2;
`

// checkedTables are all but that of .torrents, whose pages may be gigabytes; what is wrong
// with one shows when it is fetched, since its hash is checked.
var checkedTables = []string{"transfers", "history"}

// upgradeFile makes a file that an earlier waggle wrote one of today's.
func upgradeFile(ctx context.Context, db *sql.DB) error {
	var version uint32
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fileKind.ReadError(ctx, err)
	}
	if version == fileKind.Version {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, upgrade); err != nil {
		return fmt.Errorf("the %s cannot be upgraded from version %d: %w", fileKind.Name, version, err)
	}
	return tx.Commit()
}
