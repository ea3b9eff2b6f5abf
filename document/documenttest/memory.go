package documenttest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"waggle/document"
)

// Memory is a [document.Store] that lives as long as the test. Use [NewMemory]. Several
// users of one Memory are as several processes on one server.
type Memory struct {
	mu        sync.Mutex
	documents map[string]document.Document
	names     []string // sorted
	writes    uint64   // so far; the latest one's is the version that it gave
}

var _ document.Store = (*Memory)(nil)

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{documents: map[string]document.Document{}} }

// Get returns a copy.
func (m *Memory) Get(ctx context.Context, name string) (document.Document, error) {
	if err := ctx.Err(); err != nil {
		return document.Document{}, fmt.Errorf("%q: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.documents[name]
	if !ok {
		return document.Document{}, fmt.Errorf("%q: %w", name, document.ErrNone)
	}
	d.Value = copied(d.Value)
	return d, nil
}

// copied is a copy that is not nil.
func copied(value []byte) []byte { return append([]byte{}, value...) }

// Put keeps a copy.
func (m *Memory) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	if err := document.Check(name, value); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.documents[name]
	if old.Version != version {
		return "", fmt.Errorf("%q: %w", name, document.ErrChanged)
	}
	if !ok {
		at, _ := slices.BinarySearch(m.names, name)
		m.names = slices.Insert(m.names, at, name)
	}
	m.writes++
	d := document.Document{Name: name, Value: copied(value), Version: strconv.FormatUint(m.writes, 10)}
	m.documents[name] = d
	return d.Version, nil
}

// Delete removes a document.
func (m *Memory) Delete(ctx context.Context, name, version string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.documents[name]
	switch {
	case !ok:
		return nil
	case old.Version != version:
		return fmt.Errorf("%q: %w", name, document.ErrChanged)
	}
	delete(m.documents, name)
	at, _ := slices.BinarySearch(m.names, name)
	m.names = slices.Delete(m.names, at, at+1)
	return nil
}

// List yields copies, and lets others change what comes after the one that it yields.
func (m *Memory) List(ctx context.Context, prefix, after string, values bool) iter.Seq2[document.Document, error] {
	return func(yield func(document.Document, error) bool) {
		for last := after; ; {
			if err := ctx.Err(); err != nil {
				yield(document.Document{}, fmt.Errorf("%q: %w", prefix, err))
				return
			}
			d, ok := m.next(prefix, last)
			if !ok {
				return
			}
			last = d.Name
			if !values {
				d.Value = nil
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// next returns a copy of the first document that begins with prefix and comes after a
// name.
func (m *Memory) next(prefix, after string) (document.Document, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, found := slices.BinarySearch(m.names, max(prefix, after))
	if found && after >= prefix {
		at++
	}
	if at == len(m.names) || !strings.HasPrefix(m.names[at], prefix) {
		return document.Document{}, false
	}
	d := m.documents[m.names[at]]
	d.Value = copied(d.Value)
	return d, true
}

// Len returns how many documents there are.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.names)
}

// Copy returns another Memory with the same documents.
func (m *Memory) Copy() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	other := NewMemory()
	other.names, other.writes = slices.Clone(m.names), m.writes
	for name, d := range m.documents {
		d.Value = bytes.Clone(d.Value)
		other.documents[name] = d
	}
	return other
}

// Close does nothing: it may be closed by each of its users.
func (*Memory) Close() error { return nil }
