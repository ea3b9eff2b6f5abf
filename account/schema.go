package account

import (
	"net/url"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as one of accounts, and how it is opened.
var fileKind = sqlitefile.Kind{
	Name:          "file of accounts",
	ApplicationID: 0x57616761, // "Waga"
	Version:       1,
	Schema:        schema,
	Parameters: url.Values{"_pragma": {
		"busy_timeout(5000)", "temp_store(MEMORY)",
		"synchronous(FULL)", // whoever changed something was told that it is kept
		"journal_size_limit(1048576)",
		"secure_delete(ON)", // hashes outlive their accounts in the log alone, until that is written anew
	}},
	IfForeign: "give another path, or move the file away",
	IfNewer:   "upgrade waggle, or give another path",
	IfDamaged: "restore the file from a backup, or move it and its -wal file away to start without accounts",
	IfInUse:   "stop that one, or give this one a file of its own",
}

// Times are Unix nanoseconds; an expiry of 0 is never. Text that came from outside is
// kept as the bytes that it was.
const schema = `
CREATE TABLE accounts (
	name     TEXT    NOT NULL PRIMARY KEY,
	role     TEXT    NOT NULL,
	secret   TEXT    NOT NULL,
	token_id TEXT    NOT NULL,
	hash     TEXT    NOT NULL,
	created  INTEGER NOT NULL,
	changed  INTEGER NOT NULL,
	expires  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE audit (
	number  INTEGER PRIMARY KEY,
	time    INTEGER NOT NULL,
	name    BLOB    NOT NULL,
	via     TEXT    NOT NULL,
	address TEXT    NOT NULL,
	what    TEXT    NOT NULL,
	target  BLOB    NOT NULL,
	outcome BLOB    NOT NULL
) STRICT;
`
