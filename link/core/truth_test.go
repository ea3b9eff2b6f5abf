package core_test

import (
	"net/netip"
	"slices"
	"time"

	"waggle/link/core"
)

// check compares what trackers have with the truth.
func (s *scene) check() {
	s.t.Helper()
	for _, tr := range s.trackers {
		tr.finish()
	}
	known := make([][]map[netip.AddrPort]core.Held, len(s.trackers))
	for i, tr := range s.trackers {
		for _, h := range hashes {
			known[i] = append(known[i], tr.has(h))
		}
	}
	for _, c := range s.clients {
		if !c.sure || s.elapsed-c.last >= s.lifetime {
			continue
		}
		for _, tr := range s.trackers {
			if !tr.holds(c.hash) {
				continue
			}
			p, ok := known[tr.at][c.hash][c.peer.Addr]
			stored, inStore := tr.store[place{hash: hashes[c.hash], addr: c.peer.Addr}]
			switch {
			case ok != c.running:
				s.t.Fatalf("%v of torrent %d: running %v at %d, tracker %d has it: %v", c.peer.Addr, c.hash, c.running, c.tracker, tr.at, ok)
			case inStore != ok:
				s.t.Fatalf("%v of torrent %d: tracker %d has it: %v, its store: %v", c.peer.Addr, c.hash, tr.at, ok, inStore)
			case ok && (p.ID != c.peer.ID || p.Key != c.peer.Key || p.Kind != c.peer.Kind || p.Left != c.peer.Left || stored.ID != p.ID):
				s.t.Fatalf("tracker %d has %+v, in truth it is %+v", tr.at, p.Peer, c.peer)
			}
		}
	}
	s.checkCounts()
}

func (s *scene) checkCounts() {
	s.t.Helper()
	for i, h := range hashes {
		want := uint32(0)
		for _, of := range s.counts {
			want += of[h]
		}
		for _, tr := range s.trackers {
			if tr.holds(i) && (tr.node.Total(h) != want || tr.counted[h] != want) {
				s.t.Fatalf("torrent %d: tracker %d counts %d downloads, its store %d, want %d", i, tr.at, tr.node.Total(h), tr.counted[h], want)
			}
		}
	}
}

// outlive lets all clients die without a word: in the end no tracker has any.
func (s *scene) outlive() {
	s.run(s.lifetime + 75*time.Second)
	for _, tr := range s.trackers {
		if f := tr.node.Figures(); f.Peers != 0 || len(tr.store) != 0 {
			s.t.Fatalf("tracker %d: %d peers live on, and %d in its store", tr.at, f.Peers, len(tr.store))
		}
	}
	s.run(3 * time.Minute)
	for _, tr := range s.trackers {
		if f := tr.node.Figures(); f.Departed != 0 {
			s.t.Fatalf("tracker %d remembers %d that left", tr.at, f.Departed)
		}
		if live := slices.ContainsFunc(tr.node.Links(), func(l core.LinkFigures) bool { return l.Peers != 0 }); live {
			s.t.Fatalf("tracker %d counts peers of links", tr.at)
		}
	}
}
