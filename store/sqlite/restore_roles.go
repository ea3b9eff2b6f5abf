package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"
	"sync"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/memory"
)

// restoreRoles gives the peers that are in memory their roles and leases back, once
// all of them are.
func (r *restoring) restoreRoles(ctx context.Context) error {
	if v, err := version(ctx, r.db); err != nil || v < versionRoles {
		return fileKind.ReadError(ctx, err)
	}
	if err := r.inParts(ctx, partsRoles, r.readRoles); err != nil {
		return err
	}
	if n := r.strays.count; n > 0 {
		r.store.log.Warn("peers have lost their roles, for nobody knows their locations any more", "peers", n, "error", r.strays.reason)
	}
	return nil
}

// strays are the members whose locations are not known any more.
type strays struct {
	mu     sync.Mutex
	count  int
	reason error // of the first
}

func (s *strays) add(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count++; s.reason == nil {
		s.reason = reason
	}
}

// readRoles reads the members of a part, and holds those of one torrent at a time.
func (r *restoring) readRoles(ctx context.Context, c driver.QueryerContext, from, to []byte) error {
	const text = "SELECT place, location, role FROM members WHERE place >= ? AND place < ? ORDER BY place"
	var t torrentRoles
	err := query(ctx, c, text, from, to, 3, func(values []driver.Value) error {
		place, _ := values[0].([]byte)
		location, located := values[1].(string)
		role, _ := values[2].([]byte)
		h, record, err := readMember(place, located, role)
		if err != nil {
			return err
		}
		if h != t.hash {
			r.giveRoles(&t)
			t = torrentRoles{hash: h, records: t.records[:0]}
		}
		t.read++
		if located {
			if record.Location, err = r.store.group(location); err != nil {
				r.strays.add(err)
				return nil
			}
		}
		t.records = append(t.records, record)
		return nil
	})
	if err == nil {
		r.giveRoles(&t)
	}
	return err
}

// torrentRoles are what was read of a torrent.
type torrentRoles struct {
	hash    bittorrent.InfoHash
	read    int             // rows
	records []roster.Record // of those that have a location still, or had none
}

// giveRoles restores what was read of a torrent. If that is not what memory makes of
// it, the shard is written whole.
func (r *restoring) giveRoles(t *torrentRoles) {
	if t.read == 0 {
		return
	}
	s := r.store
	var want, got []memberRow
	if len(t.records) > 0 {
		s.RestoreRoles(t.hash, t.records, r.now)
		want = appendMembers(nil, &t.hash, t.records)
		s.Roles(t.hash, nil, func(records []roster.Record) { got = appendMembers(got, &t.hash, records) })
		slices.SortFunc(got, compareMembers)
	}
	if t.read != len(got) || !slices.EqualFunc(got, want, sameMembers) {
		s.rolesLost[memory.ShardOf(t.hash)] = true
	}
}
