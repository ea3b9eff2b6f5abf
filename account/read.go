package account

import "context"

// ReadSQLite opens the file at path to read alone, also while another process has it.
// Put, Remove and Append fail. Errors are those of [sqlitefile.Kind.Read].
func ReadSQLite(ctx context.Context, path string) (*SQLite, error) {
	db, err := fileKind.Read(ctx, path, "accounts", "audit")
	if err != nil {
		return nil, err
	}
	return &SQLite{db: db, maxEntries: MaxEntries}, nil
}
