package account

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Store keeps accounts and the audit log. What a method returned without error is kept
// when the process is killed, but in [Memory]. Methods may be called concurrently.
type Store interface {
	// Accounts returns all of them, in no order.
	Accounts(ctx context.Context) ([]Record, error)

	// Put keeps an account, in place of one of the same name.
	Put(ctx context.Context, r Record) error

	// Remove forgets an account. One that is not there is no error.
	Remove(ctx context.Context, name string) error

	// Append adds an entry to the audit log and gives it a number, higher than those
	// before. The latest MaxEntries are kept.
	Append(ctx context.Context, e Entry) error

	// Entries returns at most limit entries with numbers below before, the latest first,
	// and whether there are more. before 0 is the beginning.
	Entries(ctx context.Context, before int64, limit int) (page []Entry, more bool, err error)

	Close() error
}

// Record is what a store keeps of an account. Times are to the nanosecond, within the
// years 1678 to 2262.
type Record struct {
	Account
	TokenID string // by which a token is found; "": the secret is a password
	Hash    string // of the secret, by argon2id, as a PHC string
}

// Entry is one line of the audit log. Text that came from outside is as it came, up to
// the bounds that [Accounts.Note] has: whoever shows it must escape it.
type Entry struct {
	Number  int64
	Time    time.Time // UTC
	Name    string    // who; "" where that is not known
	Via     Via
	Address netip.Addr // of the client; not valid where it is not known
	What    string     // id of an operation of the API, or one of the constants below
	Target  string     // what it was done to
	Outcome string     // Done, or status and reason
}

// What there is beside operations of the API.
const (
	LogIn  = "log-in"
	LogOut = "log-out"
)

// Done is the outcome of what was done.
const Done = "done"

// MaxEntries is how many entries of the audit log a store keeps; older ones go.
const MaxEntries = 100_000

// Memory is a [Store] that keeps nothing over a restart. Use [NewMemory].
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
	entries []Entry // by number
	last    int64
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{records: map[string]Record{}} }

// Accounts returns a copy.
func (m *Memory) Accounts(context.Context) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Record, 0, len(m.records))
	for _, r := range m.records {
		all = append(all, r)
	}
	return all, nil
}

// Put never fails.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[r.Name] = r
	return nil
}

// Remove never fails.
func (m *Memory) Remove(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, name)
	return nil
}

// Append never fails.
func (m *Memory) Append(_ context.Context, e Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	e.Number = m.last
	if len(m.entries) >= 2*MaxEntries { // moved seldom, not at each call
		m.entries = slices.Delete(m.entries, 0, len(m.entries)-MaxEntries)
	}
	m.entries = append(m.entries, e)
	return nil
}

// Entries returns a page.
func (m *Memory) Entries(_ context.Context, before int64, limit int) (page []Entry, more bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.entries[max(0, len(m.entries)-MaxEntries):]
	for i := len(kept) - 1; i >= 0; i-- {
		if before > 0 && kept[i].Number >= before {
			continue
		}
		if len(page) == limit {
			return page, true, nil
		}
		page = append(page, kept[i])
	}
	return page, false, nil
}

// Close does nothing.
func (*Memory) Close() error { return nil }
