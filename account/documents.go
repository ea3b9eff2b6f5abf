package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"waggle/document"
	"waggle/document/table"
)

// Documents is a [Shared] store: in documents, where several trackers have the same
// accounts, sessions and audit log. Use [OpenDocuments].
type Documents struct {
	store    document.Store
	accounts *table.Table
	audit    *table.Table
}

var _ Shared = (*Documents)(nil)

// What names of its documents begin with.
const (
	accountsPrefix = "accounts"
	auditPrefix    = "audit"
	sessionsPrefix = "sessions/"
)

// OpenDocuments opens the accounts that lie in documents, or begins them there. Whoever
// closes them closes the documents. Errors are [table.ErrNewer], [table.ErrDamaged], or
// one of the store.
func OpenDocuments(ctx context.Context, store document.Store) (*Documents, error) {
	return openDocuments(ctx, store, MaxEntries)
}

func openDocuments(ctx context.Context, store document.Store, maxEntries int64) (*Documents, error) {
	s := &Documents{store: store}
	var err error
	if s.accounts, err = table.Open(ctx, store, table.Options{Prefix: accountsPrefix, Serial: true}); err != nil {
		return nil, fmt.Errorf("the accounts cannot be opened: %w", err)
	}
	if s.audit, err = table.Open(ctx, store, table.Options{Prefix: auditPrefix, MaxLines: maxEntries}); err != nil {
		return nil, fmt.Errorf("the audit log cannot be opened: %w", err)
	}
	return s, nil
}

// Close closes the documents.
func (s *Documents) Close() error { return s.store.Close() }

// keyOf is what an account's documents are named by: a name may have any characters.
func keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// accountDocument is a record as it is written into a document.
type accountDocument struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Secret  Secret    `json:"secret"`
	TokenID string    `json:"tokenId,omitempty"`
	Hash    string    `json:"hash"`
	Created time.Time `json:"created,omitzero"`
	Changed time.Time `json:"changed,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// Accounts reads the documents of all rows.
func (s *Documents) Accounts(ctx context.Context) ([]Record, error) {
	var all []Record
	for row, err := range s.accounts.Load(ctx) {
		if err != nil {
			return nil, err
		}
		r, err := decodeRecord(row.Key, row.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func decodeRecord(key string, value json.RawMessage) (Record, error) {
	var d accountDocument
	err := json.Unmarshal(value, &d)
	if err == nil && keyOf(d.Name) != key {
		err = fmt.Errorf("it is that of %.80q", d.Name)
	}
	if err == nil && (d.Role < Viewer || d.Role > Admin) {
		err = fmt.Errorf("its role is %v", d.Role)
	}
	if err == nil {
		_, _, _, err = parseHash(d.Hash)
	}
	if err != nil {
		return Record{}, fmt.Errorf("the account %s %w (%w)", key, table.ErrDamaged, err)
	}
	return Record{
		Account: Account{
			Name: d.Name, Role: d.Role, Secret: d.Secret,
			Created: d.Created.UTC(), Changed: d.Changed.UTC(), Expires: d.Expires.UTC(),
		},
		TokenID: d.TokenID, Hash: d.Hash,
	}, nil
}

// Put commits a change of one row.
func (s *Documents) Put(ctx context.Context, r Record) error {
	value, err := json.Marshal(accountDocument{
		Name: r.Name, Role: r.Role, Secret: r.Secret, TokenID: r.TokenID, Hash: r.Hash,
		Created: r.Created.UTC(), Changed: r.Changed.UTC(), Expires: r.Expires.UTC(),
	})
	if err != nil {
		return err
	}
	return s.commit(ctx, table.Change{Key: keyOf(r.Name), Value: value})
}

// Remove commits the removal of a row, and then forgets the sessions, which nobody would
// go on with.
func (s *Documents) Remove(ctx context.Context, name string) error {
	removed, err := json.Marshal(accountDocument{Name: name})
	if err != nil {
		return err
	}
	key := keyOf(name)
	if err := s.commit(ctx, table.Change{Key: key, Delete: true}, table.Row{Key: key, Value: removed}); err != nil {
		return err
	}
	_ = s.ChangeSessions(ctx, name, func([]SavedSession) []SavedSession { return nil })
	return nil
}

func (s *Documents) commit(ctx context.Context, c table.Change, notes ...table.Row) error {
	err := s.accounts.Commit(ctx, table.Batch{Changes: []table.Change{c}, Notes: notes})
	if errors.Is(err, table.ErrConflict) {
		return ErrConflict
	}
	return err
}

// News reads the changes of others.
func (s *Documents) News(ctx context.Context) (news []News, whole bool, err error) {
	told, whole, err := s.accounts.News(ctx)
	if err != nil || whole {
		return nil, whole, err
	}
	for i := range told {
		if told[i].Delete {
			continue // a note says who it was
		}
		next, ok := newsOf(&told[i])
		if !ok {
			return nil, true, nil // Accounts says what is wrong, and who else was removed is not missed
		}
		news = append(news, next)
	}
	return news, false, nil
}

// newsOf returns what a table tells; false: that is damaged.
func newsOf(n *table.News) (news News, ok bool) {
	if n.Note != nil {
		var removed accountDocument
		err := json.Unmarshal(n.Note, &removed)
		return News{Name: removed.Name, Removed: true}, err == nil
	}
	r, err := decodeRecord(n.Key, n.Value)
	return News{Name: r.Name, Record: r}, err == nil
}

// sessionsDocument has the sessions of one account.
type sessionsDocument struct {
	Sessions []SavedSession `json:"sessions"`
}

func (s *Documents) sessions(ctx context.Context, name string) (found sessionsDocument, version string, err error) {
	d, err := s.store.Get(ctx, sessionsPrefix+keyOf(name))
	if errors.Is(err, document.ErrNone) {
		return sessionsDocument{}, "", nil
	}
	if err != nil {
		return sessionsDocument{}, "", err
	}
	if err := json.Unmarshal(d.Value, &found); err != nil {
		return sessionsDocument{}, "", fmt.Errorf("the document %s %w (%w)", d.Name, table.ErrDamaged, err)
	}
	return found, d.Version, nil
}

// Sessions reads one document.
func (s *Documents) Sessions(ctx context.Context, name string) ([]SavedSession, error) {
	found, _, err := s.sessions(ctx, name)
	return found.Sessions, err
}

// ChangeSessions writes one document, or deletes it.
func (s *Documents) ChangeSessions(ctx context.Context, name string, change func([]SavedSession) []SavedSession) error {
	for tries := 1; ; tries++ {
		found, version, err := s.sessions(ctx, name)
		if err != nil {
			return err
		}
		found.Sessions = change(found.Sessions)
		switch {
		case len(found.Sessions) > 0:
			err = s.putSessions(ctx, name, found, version)
		case version != "":
			err = s.store.Delete(ctx, sessionsPrefix+keyOf(name), version)
		}
		if !errors.Is(err, document.ErrChanged) {
			return err
		}
		if tries == maxSessionTries {
			return fmt.Errorf("%w (%w)", ErrConflict, err)
		}
	}
}

// maxSessionTries is how many others may change sessions of one account first, one after
// the other.
const maxSessionTries = 64

func (s *Documents) putSessions(ctx context.Context, name string, all sessionsDocument, version string) error {
	b, err := json.Marshal(all)
	if err == nil {
		_, err = s.store.Put(ctx, sessionsPrefix+keyOf(name), b, version)
	}
	return err
}

// entryDocument is an entry as it is written into a document.
type entryDocument struct {
	Time    time.Time `json:"time,omitzero"`
	Name    text      `json:"name,omitzero"`
	Via     Via       `json:"via,omitempty"`
	Address string    `json:"address,omitempty"`
	What    text      `json:"what,omitzero"`
	Target  text      `json:"target,omitzero"`
	Outcome text      `json:"outcome,omitzero"`
}

// text is as it came. In JSON it is a string, or an object with its bytes where they are
// not UTF-8.
type text string

type textBytes struct {
	Bytes []byte `json:"bytes"`
}

// MarshalJSON never fails.
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{[]byte(t)})
}

// UnmarshalJSON takes either.
func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var bytes textBytes
	err := json.Unmarshal(b, &bytes)
	*t = text(bytes.Bytes)
	return err
}

// Append adds a line to the audit log, a table without rows.
func (s *Documents) Append(ctx context.Context, e Entry) error {
	d := entryDocument{
		Time: e.Time.UTC(), Name: text(e.Name), Via: e.Via,
		What: text(e.What), Target: text(e.Target), Outcome: text(e.Outcome),
	}
	if e.Address.IsValid() {
		d.Address = e.Address.String()
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.audit.Commit(ctx, table.Batch{Lines: []json.RawMessage{line}})
}

// Entries reads a page of lines.
func (s *Documents) Entries(ctx context.Context, before int64, limit int) (page []Entry, more bool, err error) {
	lines, more, err := s.audit.Lines(ctx, before, limit)
	if err != nil {
		return nil, false, err
	}
	for _, l := range lines {
		e, err := decodeEntry(l)
		if err != nil {
			return nil, false, fmt.Errorf("entry %d %w (%w)", l.Number, table.ErrDamaged, err)
		}
		page = append(page, e)
	}
	return page, more, nil
}

func decodeEntry(l table.Line) (Entry, error) {
	var d entryDocument
	if err := json.Unmarshal(l.Value, &d); err != nil {
		return Entry{}, err
	}
	e := Entry{
		Number: l.Number, Time: d.Time.UTC(), Name: string(d.Name), Via: d.Via,
		What: string(d.What), Target: string(d.Target), Outcome: string(d.Outcome),
	}
	if d.Address != "" {
		var err error
		if e.Address, err = netip.ParseAddr(d.Address); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}
