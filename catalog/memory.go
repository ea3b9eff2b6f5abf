package catalog

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"waggle/bittorrent"
)

// Memory is a [Store] that is empty at each start. Use [NewMemory].
type Memory struct {
	maxBytes int64
	maxEnded int // MaxHistory

	mu       sync.Mutex
	records  map[bittorrent.InfoHash]Record
	torrents map[bittorrent.InfoHash][]byte
	bytes    int64    // of torrents
	history  []Period // the latest last
	ended    int64    // periods, with those that are forgotten
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store that keeps .torrents of maxBytes together, and
// refuses more with [ErrFull]. 0: 256 MiB.
func NewMemory(maxBytes int64) *Memory {
	if maxBytes <= 0 {
		maxBytes = 256 << 20
	}
	return &Memory{
		maxBytes: maxBytes,
		maxEnded: MaxHistory,
		records:  map[bittorrent.InfoHash]Record{},
		torrents: map[bittorrent.InfoHash][]byte{},
	}
}

// Records yields a copy.
func (s *Memory) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s.mu.Lock()
		records := slices.Collect(maps.Values(s.records))
		s.mu.Unlock()
		for _, r := range records {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Apply changes the maps, unless the torrents would be too large together.
func (s *Memory) Apply(ctx context.Context, changes []Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := s.growth(changes); more > 0 && s.bytes+more > s.maxBytes {
		return fmt.Errorf("%w: there is memory for %d bytes of .torrents: delete some, or keep the catalogue in a file", ErrFull, s.maxBytes)
	}
	for _, c := range changes {
		s.apply(&c)
	}
	return nil
}

// growth returns how many bytes of torrents the changes add, which are at most one
// for each hash but for a removal before it.
func (s *Memory) growth(changes []Change) (more int64) {
	sizes := map[bittorrent.InfoHash]int64{}
	for _, c := range changes {
		h := c.Record.InfoHash
		old, changed := sizes[h]
		if !changed {
			old = int64(len(s.torrents[h]))
		}
		size := old
		switch {
		case c.Delete:
			size = 0
		case c.Metainfo != nil:
			size = int64(len(c.Metainfo))
		}
		sizes[h] = size
		more += size - old
	}
	return more
}

func (s *Memory) apply(c *Change) {
	h := c.Record.InfoHash
	if c.Delete {
		delete(s.records, h)
	} else {
		s.records[h] = c.Record
	}
	if c.Delete || c.Metainfo != nil {
		s.bytes += int64(len(c.Metainfo)) - int64(len(s.torrents[h]))
		delete(s.torrents, h)
	}
	if c.Metainfo != nil {
		s.torrents[h] = bytes.Clone(c.Metainfo)
	}
	if c.Ended == nil {
		return
	}
	s.ended++
	if s.history = append(s.history, *c.Ended); len(s.history) > s.maxEnded {
		s.history = s.history[len(s.history)-s.maxEnded:] // append moves it when there is no room behind
	}
}

// Torrent returns a copy.
func (s *Memory) Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	b := s.torrents[h] // is replaced, never written to
	s.mu.Unlock()
	if b == nil {
		return nil, ErrUnknown
	}
	return bytes.Clone(b), nil
}

// History numbers the periods from 1.
func (s *Memory) History(ctx context.Context, before int64, limit int) (page []Period, last int64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.ended - int64(len(s.history)) + 1
	n := s.ended
	if before > 0 {
		n = min(n, before-1)
	}
	for ; n >= first; n-- {
		if len(page) == limit {
			return page, n + 1, nil
		}
		page = append(page, s.history[n-first])
	}
	return page, 0, nil
}

// Close does nothing.
func (s *Memory) Close() error { return nil }
