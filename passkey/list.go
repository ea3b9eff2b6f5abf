package passkey

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Query says which passkeys are wanted.
type Query struct {
	Text  string // that name, note or id have, whatever the case; "": any
	State State  // "": any
	After string // cursor of the page before; "": the first page
	Limit int    // from 1
}

// List returns a page of passkeys, by name and id, and the cursor of the next, "" after the
// last. One that is there all the while is listed once. The error is [ErrCursor].
func (b *Book) List(q Query) (page []Passkey, next string, err error) {
	name, id, err := parseCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	text, now := strings.ToLower(q.Text), b.Now()
	b.mu.RLock()
	defer b.mu.RUnlock()
	at, found := b.place(name, id)
	if found {
		at++
	}
	for _, e := range b.ordered[at:] {
		r := e.record()
		if q.State != "" && r.State(now) != q.State || !r.has(text) {
			continue
		}
		if len(page) == q.Limit {
			last := &page[q.Limit-1]
			return page, cursor(last.Name, last.ID), nil
		}
		page = append(page, b.shown(e, now))
	}
	return page, "", nil
}

// shown returns an entry as it is: who has been silent for a lifetime is at no torrent.
func (b *Book) shown(e *entry, now time.Time) Passkey {
	p := e.passkey()
	if now.Sub(p.Seen) > time.Duration(b.lifetime.Load()) {
		p.Torrents = 0
	}
	return p
}

// has reports whether name, note or id have a text, which is in lower case.
func (r *Record) has(text string) bool {
	return text == "" || strings.Contains(strings.ToLower(r.Name), text) || strings.Contains(strings.ToLower(r.Note), text) || strings.Contains(r.ID, text)
}

func cursor(name, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id + name))
}

func parseCursor(text string) (name, id string, err error) {
	if text == "" {
		return "", "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 2*idBytes || len(b) > 2*idBytes+4*MaxName || !isID(string(b[:2*idBytes])) {
		return "", "", fmt.Errorf("%.80q: %w: begin with the first page", text, ErrCursor)
	}
	return string(b[2*idBytes:]), string(b[:2*idBytes]), nil
}
