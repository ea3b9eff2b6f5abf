package maptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/shared"
	"waggle/swarm"
)

// reader is a tracker: what it knows of a torrent from the answers that it got.
type reader struct {
	t      *testing.T
	m      shared.Map
	h      bittorrent.InfoHash
	known  shared.Version
	answer shared.Answer
	values [kinds]map[netip.AddrPort]string
}

func newReader(t *testing.T, m shared.Map, h bittorrent.InfoHash) *reader {
	return &reader{t: t, m: m, h: h, values: [kinds]map[netip.AddrPort]string{{}, {}}}
}

func randomHash() (h bittorrent.InfoHash) {
	for i := range h {
		h[i] = byte(rand.Uint32())
	}
	return h
}

func peer(n int) netip.AddrPort {
	if n%8 == 7 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}), 6881)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), uint16(6881+n%3))
}

func put(n int, value string) shared.Entry { return shared.Entry{Peer: peer(n), Value: []byte(value)} }

func removed(n int) shared.Entry { return shared.Entry{Peer: peer(n)} }

// try does a step, and reports whether a commit was written.
func (r *reader) try(ctx context.Context, announcements, commit []shared.Entry) (written bool, err error) {
	u := shared.Update{InfoHash: r.h, Known: r.known, Announced: announcements, Commit: commit}
	was := bytes.Clone(r.known)
	err = r.m.Update(ctx, &u, &r.answer)
	if !bytes.Equal(was, r.known) {
		return false, fmt.Errorf("the Known that was given changed from %x to %x", was, r.known)
	}
	if err != nil {
		r.known = nil
		return false, err
	}
	if n := len(r.answer.Version); n == 0 || n > shared.MaxVersion {
		return false, fmt.Errorf("a version of %d bytes", n)
	}
	if u.Known == nil && !r.answer.Whole {
		return false, errors.New("who knows nothing was not told all")
	}
	r.take(&u)
	return !r.answer.Conflict, nil
}

// take takes in what a step wrote, and the answer to it.
func (r *reader) take(u *shared.Update) {
	if r.answer.Whole {
		r.values = [kinds]map[netip.AddrPort]string{{}, {}}
	} else {
		apply(r.values[announced], u.Announced)
		if !r.answer.Conflict {
			apply(r.values[records], u.Commit)
		}
	}
	apply(r.values[announced], r.answer.Announced)
	apply(r.values[records], r.answer.Records)
	r.known = r.answer.Version
}

func apply(values map[netip.AddrPort]string, entries []shared.Entry) {
	for _, e := range entries {
		if e.Value == nil {
			delete(values, e.Peer)
		} else {
			values[e.Peer] = string(e.Value)
		}
	}
}

// persist does a step again while the server is busy, unless it has a commit.
func (r *reader) persist(announcements, commit []shared.Entry) (written bool, err error) {
	written, err = r.try(r.t.Context(), announcements, commit)
	for n := 0; errors.Is(err, swarm.ErrBusy) && n < busyTries && len(commit) == 0; n++ {
		r.pause(n)
		written, err = r.try(r.t.Context(), announcements, nil)
	}
	return written, err
}

// step does a step that must succeed in the end.
func (r *reader) step(announcements, commit []shared.Entry) (written bool) {
	r.t.Helper()
	written, err := r.persist(announcements, commit)
	if err != nil {
		r.t.Fatal(err)
	}
	return written
}

// busyTries is how often a step is tried again.
const busyTries = 20

// pause waits for a server, longer each time.
func (r *reader) pause(n int) {
	select {
	case <-time.After(time.Duration(rand.Float64() * float64(min(n+1, 10)) * float64(20*time.Millisecond))):
	case <-r.t.Context().Done():
	}
}

// announce puts values of peers.
func (r *reader) announce(entries ...shared.Entry) { r.t.Helper(); r.step(entries, nil) }

// look asks what is new.
func (r *reader) look() { r.t.Helper(); r.step(nil, nil) }

// commit commits records, which must be written.
func (r *reader) commit(entries ...shared.Entry) {
	r.t.Helper()
	if !r.step(nil, entries) {
		r.t.Fatal("a commit was refused although no other one came")
	}
}

// wantAnnounced checks what is known of announced values: of peers of numbers.
func (r *reader) wantAnnounced(want map[int]string) { r.t.Helper(); r.want(announced, want) }

// wantRecords checks what is known of records.
func (r *reader) wantRecords(want map[int]string) { r.t.Helper(); r.want(records, want) }

func (r *reader) want(kind int, want map[int]string) {
	r.t.Helper()
	addrs := map[netip.AddrPort]string{}
	for n, v := range want {
		addrs[peer(n)] = v
	}
	if !maps.Equal(r.values[kind], addrs) {
		r.t.Fatalf("known of %s is %v; want %v", [...]string{"announced values", "records"}[kind], r.values[kind], addrs)
	}
}

// same checks that two trackers know the same.
func same(t *testing.T, a, b *reader) {
	t.Helper()
	for kind := range kinds {
		if !maps.Equal(a.values[kind], b.values[kind]) {
			t.Fatalf("kind %d: one tracker knows %d values, another one %d, or others", kind, len(a.values[kind]), len(b.values[kind]))
		}
	}
}
