// Package sqlitefile opens the SQLite files that waggle keeps, and refuses others: a
// file of another program, of another part of waggle, of a newer waggle, a damaged
// one, one in use. What is refused is left as it is.
//
//	var fileKind = sqlitefile.Kind{Name: "catalogue", ApplicationID: 0x57616763, Version: 1, Schema: schema}
//	lock, err := fileKind.Lock(path)     // keeps a second process out
//	db, err := fileKind.Open(ctx, path)  // made, where it is not there
//	err = fileKind.CheckPages(ctx, db, "1")
//
// # What marks a file
//
// SQLite keeps an application id and a number for the user in the first hundred
// bytes of a file (https://www.sqlite.org/fileformat.html, 1.3). Each kind of file has
// an application id of its own, and the number is the version of its schema. They are
// read before SQLite opens the file, because opening alone may replay or checkpoint a
// log.
//
// # Keeping others out
//
// [Kind.Lock] takes a lock beside the file, so that people may look into it with sqlite3
// meanwhile. A kind that wants nothing beside its file has SQLite lock it instead, with
// the parameters that are with [Kind].
//
// # The parts
//
//	kind.go   what a kind is; errors and their words
//	open.go   looking at a file, locking, opening and checking it
package sqlitefile
