package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/document/documenttest"
	"waggle/document/table"
)

func TestSessionsBeyondWhatADocumentHoldsAreTheOldest(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	rules := Rules{Now: now, Lifetime: time.Hour, Forget: 24 * time.Hour}
	told := make([]Told, 10)
	for i := range told {
		told[i].Session = Session{Digest: uint64(10 - i), Torrent: uint32(i), At: uint32(now.Unix()) - uint32(i)}
	}
	var totals Totals
	kept := addAll(&totals, nil, told, rules, 4)
	if len(kept) != 4 || totals.Torrents != 4 {
		t.Fatalf("%+v, %+v", kept, totals)
	}
	for i, s := range kept {
		if s.Digest != uint64(7+i) {
			t.Errorf("number %d is %+v", i, s)
		}
	}
}

func TestDocumentHoldsAsManySessionsAsAreKept(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	sessions := make([]Session, mostShared)
	for i := range sessions {
		sessions[i] = Session{Digest: uint64(i)<<32 | 1, At: uint32(now.Unix())}
	}
	d := rowOf(&Record{Key: strings.Repeat("k", 40), Name: strings.Repeat("<", MaxName), Note: strings.Repeat("<", MaxNote)}, &Totals{Uploaded: 1 << 62})
	for i := range sessions {
		d.Counts.Sessions = appendSession(d.Counts.Sessions, &sessions[i])
	}
	value, err := json.Marshal(d)
	must(t, err)
	if len(value)+500 > table.MaxBatch {
		t.Errorf("%d bytes", len(value))
	}
}

func TestDamagedRowIsNamedAndNotItsSecret(t *testing.T) {
	key := strings.Repeat("s", 32)
	documents := documenttest.NewMemory()
	s, err := OpenDocuments(t.Context(), documents)
	must(t, err)
	w := newWorld(t, s, nil)
	p, err := w.Create(t.Context(), []New{{Key: key}})
	must(t, err)
	for name, change := range map[string]func(*rowDocument){
		"no passkey":     func(d *rowDocument) { d.Key = key + "!" },
		"half a session": func(d *rowDocument) { d.Counts = &countsDocument{Sessions: []byte{1}} },
		"sessions unsorted": func(d *rowDocument) {
			d.Counts = &countsDocument{Sessions: appendSession(appendSession(nil, &Session{Digest: 2}), &Session{Digest: 1})}
		},
	} {
		d := rowOf(&p[0].Record, nil)
		change(d)
		value, err := json.Marshal(d)
		must(t, err)
		_, _, err = countedIn(&Counted{ID: p[0].ID}, value, Rules{})
		if !errors.Is(err, table.ErrDamaged) || !strings.Contains(err.Error(), p[0].ID) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooMuchForOneChangeIsRefusedWhole(t *testing.T) {
	s, err := OpenDocuments(t.Context(), documenttest.NewMemory())
	must(t, err)
	w := newWorld(t, s, nil)
	wanted := make([]New, MaxMany)
	for i := range wanted {
		wanted[i] = New{Name: fmt.Sprintf("%03d", i), Note: strings.Repeat("<", MaxNote)}
	}
	if made, err := w.Create(t.Context(), wanted); !errors.Is(err, ErrTooMuch) && (err != nil || len(made) != MaxMany) {
		t.Errorf("%d, %v", len(made), err)
	}
	for i := range wanted {
		wanted[i].Note = ""
	}
	if _, err := w.Create(t.Context(), wanted); err != nil {
		t.Error(err)
	}
}

// FuzzSessions reads anything as sessions: what is taken is written again as it was.
func FuzzSessions(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendSession(nil, &Session{Digest: 1, Torrent: 2, Began: 3, Marked: 4, At: 5, Uploaded: 6, Downloaded: 7, Stopped: true}))
	f.Add(appendSession(appendSession(nil, &Session{Digest: 1}), &Session{Digest: 2, Uploaded: 1 << 62}))
	f.Fuzz(func(t *testing.T, b []byte) {
		sessions, err := parseSessions(b)
		if err != nil {
			return
		}
		var again []byte
		for i := range sessions {
			again = appendSession(again, &sessions[i])
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}

// FuzzRow reads anything as the value of a row: what is taken is a passkey that may be.
func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","name":"a","created":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","counts":{"uploaded":1,"sessions":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeRow("0123456789abcdef", b)
		if err != nil {
			return
		}
		r := d.record("0123456789abcdef")
		if err := r.check(); err != nil {
			t.Errorf("%s is taken: %v", b, err)
		}
		_, totals, err := countedIn(&Counted{ID: r.ID, Told: []Told{{Session: Session{Digest: 1, Uploaded: 5}}}}, b, Rules{})
		if err == nil && totals.Uploaded < 0 {
			t.Errorf("%s: %+v", b, totals)
		}
	})
}

func TestPasskeysOfAFileOutliveTheProcessAndAreReadBesideIt(t *testing.T) {
	path := t.TempDir() + "/passkeys.db"
	s, err := OpenSQLite(t.Context(), path)
	must(t, err)
	w := newWorld(t, s, nil)
	p := w.make(t, "anna")
	w.tell(t, p.Key, 1, bittorrent.EventStarted, 0, 0)
	w.tell(t, p.Key, 1, bittorrent.EventNone, 3, 4)
	beside, err := ReadSQLite(t.Context(), path)
	must(t, err)
	n := 0
	for got, err := range beside.Passkeys(t.Context()) {
		must(t, err)
		if n++; got.Key != p.Key || got.Uploaded != 3 || got.Downloaded != 4 {
			t.Errorf("%+v", got)
		}
	}
	if n != 1 {
		t.Errorf("%d were read", n)
	}
	if err := beside.Apply(t.Context(), []Change{{Record: p.Record, Delete: true}}); err == nil {
		t.Error("what is read beside can be written")
	}
	must(t, beside.Close())
}
