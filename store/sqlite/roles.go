package sqlite

import (
	"time"

	"waggle/bittorrent"
	"waggle/roster"
)

// flushRoles writes the roles that changed in the shards of a lane: some of each shard
// whatever the time, and the others until it is over. They are written after the peers
// of the lane: most who have a role in the file are there.
func (s *Store) flushRoles(lane int, began time.Time, limit time.Duration) error {
	for shard := lane * laneShards; shard < (lane+1)*laneShards; shard++ {
		if s.rolesLost[shard] {
			if err := s.writeShardRoles(shard); err != nil {
				return err
			}
			continue
		}
		for more := true; more; more = more && time.Since(began) < limit {
			var err error
			if more, err = s.flushSomeRoles(shard); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTorrentRoles makes the file hold the roles of torrents that memory holds. The
// memory of what changed goes with a torrent that is forgotten, though it may come
// again at once.
func (s *Store) writeTorrentRoles(hashes []bittorrent.InfoHash) error {
	for _, h := range hashes {
		if err := s.writer.members.replace(h[:], above(h[:]), s.appendRoles(nil, h)); err != nil {
			return err
		}
	}
	return nil
}

// flushSomeRoles writes some of the roles of a shard that changed, and reports whether
// there are more.
func (s *Store) flushSomeRoles(shard int) (more bool, err error) {
	rows := s.members[:0]
	var lost []bittorrent.InfoHash
	s.records, more = s.RoleChanges(shard, s.records, func(h bittorrent.InfoHash, records []roster.Record, whole bool) {
		if whole {
			lost = append(lost, h)
		}
		rows = appendMembers(rows, &h, records)
	})
	s.members = rows
	if err := s.writer.members.write(rows); err != nil {
		return false, err
	}
	return more, s.writeTorrentRoles(lost)
}

func appendMembers(rows []memberRow, h *bittorrent.InfoHash, records []roster.Record) []memberRow {
	for i := range records {
		rows = append(rows, newMemberRow(h, &records[i]))
	}
	return rows
}

// appendRoles appends the rows of all members of a torrent.
func (s *Store) appendRoles(rows []memberRow, h bittorrent.InfoHash) []memberRow {
	s.records = s.Roles(h, s.records, func(records []roster.Record) {
		rows = appendMembers(rows, &h, records)
		s.writer.pace.step()
	})
	return rows
}

// writeShardRoles makes the file hold of a shard the roles that memory holds, a piece
// or a torrent at a time. What changes meanwhile is written after.
func (s *Store) writeShardRoles(shard int) error {
	s.rolesLost[shard] = false // if this fails, the whole shard is lost
	from, end := shardPlaces(shard)
	var rows []memberRow
	for _, h := range s.WithRoles(shard) {
		if rows = s.appendRoles(rows, h); len(rows) < piece {
			continue
		}
		to := above(h[:])
		if err := s.writer.members.replace(from, to, rows); err != nil {
			return err
		}
		from, rows = to, nil
	}
	return s.writer.members.replace(from, end, rows)
}
