// Package sqlitefile opens the SQLite files that waggle keeps, and refuses others: a
// file of another program, of another part of waggle, of a newer waggle, a damaged
// one, one in use. What is refused is left as it is.
//
//	var fileKind = sqlitefile.Kind{Name: "catalogue", ApplicationID: 0x57616763, Version: 1, Schema: schema}
//	f, err := fileKind.Take(ctx, path, nil, "1")  // made, where it is not there; locked and checked
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
//	file.go   all of that at once
//	read.go   opening a file to read alone, whoever has it
//	save.go   copying a file that another process may be writing
package sqlitefile
