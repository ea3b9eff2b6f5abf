package passkey

import (
	"net/url"

	"waggle/sqlitefile"
)

// fileKind is what marks a file as one of passkeys, and how it is opened.
var fileKind = sqlitefile.Kind{
	Name:          "file of passkeys",
	ApplicationID: 0x5761676b, // "Wagk"
	Version:       1,
	Schema:        schema,
	Parameters: url.Values{"_pragma": {
		"busy_timeout(5000)", "temp_store(MEMORY)",
		"synchronous(FULL)", // whoever changed something was told that it is kept
		"journal_size_limit(8388608)",
		"secure_delete(ON)", // secrets outlive their passkeys in the log alone, until that is written anew
	}},
	IfForeign: "give another path, or move the file away",
	IfNewer:   "upgrade waggle, or give another path",
	IfDamaged: "restore the file from a backup, or move it and its -wal file away to start without passkeys",
	IfInUse:   "stop that one, or give this one a file of its own",
}

// Times of passkeys are Unix nanoseconds, 0 is never; those of sessions are seconds.
const schema = `
CREATE TABLE passkeys (
	number      INTEGER PRIMARY KEY,
	id          TEXT    NOT NULL UNIQUE,
	key         TEXT    NOT NULL UNIQUE,
	name        TEXT    NOT NULL,
	note        TEXT    NOT NULL,
	created     INTEGER NOT NULL,
	expires     INTEGER NOT NULL,
	revoked     INTEGER NOT NULL,
	uploaded    INTEGER NOT NULL DEFAULT 0,
	downloaded  INTEGER NOT NULL DEFAULT 0,
	implausible INTEGER NOT NULL DEFAULT 0,
	torrents    INTEGER NOT NULL DEFAULT 0,
	seen        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE sessions (
	passkey    INTEGER NOT NULL,
	digest     INTEGER NOT NULL,
	torrent    INTEGER NOT NULL,
	began      INTEGER NOT NULL,
	marked     INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	uploaded   INTEGER NOT NULL,
	downloaded INTEGER NOT NULL,
	stopped    INTEGER NOT NULL,
	PRIMARY KEY (passkey, digest)
) WITHOUT ROWID, STRICT;
CREATE INDEX sessions_at ON sessions (at);
`
