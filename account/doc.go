// Package account says who may do what at the console, and remembers what they did.
//
//	store, err := account.OpenSQLite(ctx, "accounts.db")
//	accounts, err := account.Open(ctx, account.Options{Store: store})
//	created, token, err := accounts.Create(ctx, account.New{Name: "anna", Role: account.Admin})
//	who, err := accounts.Token(ctx, address, token) // who.Role == account.Admin
//
// # Accounts
//
// An [Account] has a name, a [Role] and one secret: a token, which waggle makes, or a
// password. Of the secret a hash by argon2id is kept. Its parameters are read from the
// hash, so that they can rise: what was hashed at another [Cost] is hashed again when
// its owner is next let in. There is always an Admin that does not expire, where there
// are accounts at all, or else the token file.
//
// # Being let in
//
// By token ([Accounts.Token]), at each request: the first takes a hash, the others find
// the SHA-256 of the token in memory, until the account is changed. By a session
// ([Accounts.LogIn]), whose cookie is kept as its SHA-256: in memory alone, so that a
// restart ends all, or, where the store is [Shared], in the store. A session lasts 7 days
// at most, and 12 hours without a request; it ends with a log-out, and with a change or
// deletion of the account. [With] and [From] pass on who it is, as an [Identity].
//
// A name that nobody has takes as long as a wrong password. Who was wrong ten times, by
// address or by name, may be so once in 6 s from then on, and is refused before a hash
// is computed. Two hashes are computed at a time, and 64 wait.
//
// # The audit log
//
// [Accounts.Note] writes down who did what when, and returns when the store has it. The
// latest 100,000 entries are kept. Where the log cannot be written, what was done stands
// and the tracker's own log has the entry: on a full disk an admin must still be able to
// delete torrents and accounts.
//
// # Several trackers
//
// Where the store is [Shared], as one in documents is ([OpenDocuments]), several trackers
// have the same accounts, sessions and audit log. Each asks once a second which accounts
// others have changed, or when [Accounts.Fresh] is called, and decides changes on what is
// in the store then. A session that one began goes on at any: its cookie names the
// account, and what is known of it is asked for again when it is used a second later, so
// that a log-out anywhere ends it. Where the store is away, what is known goes on, and
// nothing new begins. Who was wrong too often is counted by each tracker for itself.
//
// # The parts
//
//	role.go     roles, and who makes a request
//	account.go  what an account is; Open, Get, List
//	edit.go     Create, Change, Delete; which account must stay
//	secret.go   tokens, names, passwords: what they may be
//	hash.go     argon2id and PHC strings; how many at a time
//	limit.go    who was wrong too often
//	login.go    what proves an account
//	session.go  sessions
//	cookie.go   LogIn, LogOut, Session: requests of browsers
//	audit.go    Note, NoteRefusal, Audit
//	store.go    what a store keeps; one that keeps nothing over a restart
//	sqlite.go   a store in a file; schema.go its tables, and how it is opened
//	shared.go   what others change: a store of several trackers, Fresh
//	saved.go    sessions in such a store
//	documents.go  such a store, in documents
package account
