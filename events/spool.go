package events

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"waggle/wholefile"
)

// Bounds of a spool.
const (
	maxSegment  = 8 << 20 // bytes; or an eighth of the limit
	minSegment  = 64 << 10
	mostBatches = 500_000 // that wait, some 100 bytes of memory each
	sayAgain    = 10 * time.Minute
)

// batch is one that waits.
type batch struct {
	sequence uint64
	first    uint64 // number of its first event
	count    int
	at       int64  // when that came, Unix nanoseconds
	run      string // that made it
	before   uint64 // events of the batches before it, since some time
	body     []byte // nil: it is in a segment
	segment  *segment
	place    int64 // in the segment
	size     int
}

// end is the number after that of its last event.
func (b *batch) end() uint64 { return b.first + uint64(b.count) }

// id is what a receiver knows the batch by.
func (b *batch) id() string { return fmt.Sprintf("%s-%d", b.run, b.sequence) }

// cursor is how far one end is.
type cursor struct {
	name   string
	next   uint64 // number of the event that it expects
	passed uint64 // number of the event up to which it has refused what it has not; not above next: nothing
	lost   uint64 // events that it will never have, since the start
	news   chan struct{}
}

// at returns the number of the next event that it is to be told.
func (c *cursor) at() uint64 { return max(c.next, c.passed) }

// spool keeps batches until all ends have them: in files, or in memory where there is no
// folder, or it cannot be written.
type spool struct {
	directory string // "": none
	lock      *flock.Flock
	log       *slog.Logger
	now       func() time.Time
	run       [8]byte

	current *segment // that is appended to; nil: none yet. It and frame are the appender's
	frame   []byte
	told    time.Time // when it was logged that the disk fails

	mu        sync.Mutex
	limit     int64 // bytes on disk
	memory    int64 // bytes in memory
	sequence  uint64
	event     uint64 // number of the next
	batches   []batch
	segments  []*segment // the oldest first
	onDisk    int64
	inMemory  int64
	cursors   []*cursor
	rolled    []*segment // to be closed
	delivered []*segment // to be removed, once it is written who has what
	changed   bool       // since that was written
	broken    error      // why the last batch could not be written to disk
}

// state is what a spool writes down beside the batches.
type state struct {
	Sequence uint64            `json:"sequence"` // of the next batch
	Event    uint64            `json:"event"`    // number of the next
	Expected map[string]uint64 `json:"expected"` // by each end: the number of the event
}

// openSpool opens the spool of a folder, which it makes, or one in memory alone, for ends of some
// names. Those that were not there before are told all that waits.
func openSpool(directory string, limit, memory int64, ends []string, log *slog.Logger, now func() time.Time) (*spool, error) {
	s := &spool{directory: directory, limit: limit, memory: memory, sequence: 1, event: 1, log: log, now: now}
	_, _ = rand.Read(s.run[:]) // never fails
	var known state
	if directory != "" {
		var err error
		if known, err = s.readBack(); err != nil {
			if s.lock != nil {
				err = errors.Join(err, s.lock.Close())
			}
			return nil, fmt.Errorf("the folder of events %s: %w", directory, err)
		}
	}
	for _, name := range ends {
		c := &cursor{name: name, next: s.event, news: make(chan struct{}, 1)}
		if len(s.batches) > 0 {
			c.next = s.batches[0].first
		}
		if next, ok := known.Expected[name]; ok {
			c.next = min(next, s.event)
		}
		s.cursors = append(s.cursors, c)
	}
	s.trim()
	s.bound()
	s.changed = true
	if err := s.sync(); err != nil { // or what begins as a file that is to be removed could not be written
		return nil, fmt.Errorf("the folder of events %s: %w", directory, errors.Join(cause(err), s.lock.Close()))
	}
	return s, nil
}

// readBack reads what an earlier run has left.
func (s *spool) readBack() (known state, err error) {
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return known, cause(err)
	}
	s.lock = flock.New(filepath.Join(s.directory, "lock"), flock.SetPermissions(0o600))
	if ok, err := s.lock.TryLock(); err != nil || !ok {
		s.lock = nil
		if err != nil {
			return known, cause(err)
		}
		return known, errors.New("another tracker uses it: give each one of its own, events.directory")
	}
	if known, err = s.readState(); err != nil {
		return known, err
	}
	s.sequence, s.event = max(known.Sequence, 1), max(known.Event, 1)
	paths, err := segmentsIn(s.directory)
	if err != nil {
		return known, cause(err)
	}
	for _, path := range paths {
		if err := s.readSegment(path); err != nil {
			return known, fmt.Errorf("%s: %w", filepath.Base(path), cause(err))
		}
	}
	s.sortBatches()
	return known, nil
}

func (s *spool) statePath() string { return filepath.Join(s.directory, "state.json") }

func (s *spool) readState() (known state, err error) {
	wholefile.Clean(s.statePath())
	text, err := os.ReadFile(s.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil {
		return known, fmt.Errorf("state.json: %w: put it back, or remove it, and what was delivered of what is kept is delivered again", cause(err))
	}
	return known, nil
}

func (s *spool) readSegment(path string) error {
	g, notice, err := openSegment(path, func(g *segment, r *record, at int64, size int) {
		s.batches = append(s.batches, batch{
			sequence: r.sequence, first: r.first, count: int(r.count), at: r.at, segment: g, place: at, size: size,
		})
		g.left++
		s.sequence, s.event = max(s.sequence, r.sequence+1), max(s.event, r.first+uint64(r.count))
	})
	if err != nil {
		return err
	}
	if g.run == "" {
		s.log.Warn("a file of events cannot be read: it is put aside", "path", path+".damaged", "error", notice)
		return os.Rename(path, path+".damaged")
	}
	if notice != nil { // as a power failure leaves it, or a disk that is ill
		s.log.Warn("the end of a file of events cannot be read: what was in it is lost", "path", path, "bytes", g.size-int64(g.good), "error", notice)
	}
	s.segments = append(s.segments, g)
	s.onDisk += g.size
	return nil
}

// sortBatches brings batches into the order in which they were made: one that was kept in
// memory for a while was written later. What comes twice is left out.
func (s *spool) sortBatches() {
	slices.SortStableFunc(s.batches, func(a, b batch) int { return cmp.Compare(a.sequence, b.sequence) })
	end := uint64(0)
	s.batches = slices.DeleteFunc(s.batches, func(b batch) bool {
		if b.first < end {
			b.segment.left--
			return true
		}
		end = b.end()
		return false
	})
	sum := uint64(0)
	for i := range s.batches {
		b := &s.batches[i]
		b.run, b.before = b.segment.run, sum
		sum += uint64(b.count)
	}
	for _, g := range slices.Clone(s.segments) {
		if g.left == 0 {
			s.discard(g)
		}
	}
}

// append adds a batch, which begins with an event that came at a time. Events that were lost before it
// have numbers, too. It is for one goroutine.
func (s *spool) append(body []byte, count int, at time.Time, lost uint64) {
	s.mu.Lock()
	b := batch{sequence: s.sequence, first: s.event + lost, count: count, at: at.UnixNano(), run: hex.EncodeToString(s.run[:])}
	s.mu.Unlock()
	err := s.write(&b, body)
	if err != nil || s.directory == "" {
		b.body, b.size = slices.Clone(body), len(body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequence++
	s.event = b.end()
	s.broken = err
	if n := len(s.batches); n > 0 {
		b.before = s.batches[n-1].before + uint64(s.batches[n-1].count)
	}
	s.inMemory += int64(len(b.body))
	s.batches = append(s.batches, b)
	s.changed = true
	for _, c := range s.cursors {
		c.lost += lost
		c.tell()
	}
	s.bound()
}

func (c *cursor) tell() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// write writes a batch to disk, if there is a folder.
func (s *spool) write(b *batch, body []byte) error {
	if s.directory == "" {
		return nil
	}
	s.frame = appendRecord(s.frame[:0], &record{b.sequence, b.first, b.at, uint32(b.count), body})
	err := s.room(b.sequence)
	if err == nil {
		b.segment = s.current
		b.place, err = s.current.append(s.frame)
	}
	if err != nil {
		b.segment = nil
		if now := s.now(); now.Sub(s.told) >= sayAgain {
			s.told = now
			s.log.Error("events cannot be written to disk: they are kept in memory, and do not survive a kill", "directory", s.directory, "error", cause(err))
		}
		return fmt.Errorf("the folder of events %s: %w", s.directory, cause(err))
	}
	b.size = len(s.frame)
	s.mu.Lock()
	s.current.left++
	s.onDisk += int64(len(s.frame))
	s.mu.Unlock()
	return nil
}

// room makes a segment that has room for the frame the current one.
func (s *spool) room(sequence uint64) error {
	s.mu.Lock()
	most := min(max(s.limit/8, minSegment), maxSegment)
	s.mu.Unlock()
	if c := s.current; c != nil && (c.size+int64(len(s.frame)) <= most || c.size == int64(segmentHead)) {
		return nil
	}
	made, err := createSegment(s.directory, sequence, s.run)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire()
	s.current = made
	s.segments = append(s.segments, made)
	s.onDisk += made.size
	return nil
}

// retire has the current segment closed, and removed where nothing of it waits.
func (s *spool) retire() {
	c := s.current
	if c == nil {
		return
	}
	s.current = nil
	s.rolled = append(s.rolled, c)
	if c.left == 0 {
		s.discard(c)
	}
}

// discard has a segment removed of which nothing waits.
func (s *spool) discard(g *segment) {
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == g })
	s.delivered = append(s.delivered, g)
	s.onDisk -= g.size
	s.changed = true
}

// release forgets what a batch takes.
func (s *spool) release(b *batch) {
	s.inMemory -= int64(len(b.body))
	b.body = nil
	if g := b.segment; g != nil {
		if g.left--; g.left == 0 && g != s.current {
			s.discard(g)
		}
	}
}

// bound drops the oldest batches beyond what may be kept.
func (s *spool) bound() {
	for s.onDisk > s.limit && len(s.segments) > 1 {
		oldest := s.segments[0]
		s.drop(func(b *batch) bool { return b.segment == oldest })
		if len(s.segments) > 0 && s.segments[0] == oldest { // nothing of it waited
			s.discard(oldest)
		}
	}
	for s.inMemory > s.memory {
		i := slices.IndexFunc(s.batches, func(b batch) bool { return b.body != nil })
		first := s.batches[i].first
		s.drop(func(b *batch) bool { return b.first == first })
	}
	if n := len(s.batches) - mostBatches; n > 0 {
		before := s.batches[n].first
		s.drop(func(b *batch) bool { return b.first < before })
	}
}

// drop forgets batches that not all have.
func (s *spool) drop(which func(*batch) bool) {
	gone := uint64(0)
	s.batches = slices.DeleteFunc(s.batches, func(b batch) bool {
		if !which(&b) {
			return false
		}
		for _, c := range s.cursors {
			if from := max(c.at(), b.first); from < b.end() {
				c.lost += b.end() - from
			}
		}
		gone += uint64(b.count)
		s.release(&b)
		return true
	})
	sum := uint64(0)
	for i := range s.batches {
		s.batches[i].before = sum
		sum += uint64(s.batches[i].count)
	}
	s.changed = s.changed || gone > 0
}

// next returns the batch that an end lacks, from which of its events on, and how many events it has
// lost before that; false: there is none.
func (s *spool) next(c *cursor) (b batch, from int, lost uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.firstOf(c)
	if i == len(s.batches) {
		return batch{}, 0, 0, false
	}
	b = s.batches[i]
	first := max(b.first, c.at())
	return b, int(first - b.first), first - min(c.next, first), true
}

func (s *spool) firstOf(c *cursor) int {
	return sort.Search(len(s.batches), func(i int) bool { return s.batches[i].end() > c.at() })
}

// body returns the events of a batch.
func (s *spool) body(b *batch) ([]byte, error) {
	if b.segment == nil {
		return b.body, nil
	}
	return b.segment.read(b.place, b.size)
}

// done notes that an end has a piece of a batch.
func (s *spool) done(c *cursor, p *piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.waits(c, p) {
		c.lost -= min(c.lost, uint64(p.count())) // it was dropped, and yet it is there
	}
	c.next = max(c.next, p.end())
	s.changed = true
	s.trim()
}

// waits reports whether a piece is still to be delivered, and was not dropped meanwhile.
func (s *spool) waits(c *cursor, p *piece) bool {
	i := s.firstOf(c)
	return i < len(s.batches) && s.batches[i].first == p.first
}

// pass notes that an end will never have a piece of a batch. It is kept until the end has something
// that comes after it: the next start tries it again.
func (s *spool) pass(c *cursor, p *piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits(c, p) {
		c.lost += uint64(p.count())
	}
	c.passed = max(c.passed, p.end())
}

// away reports whether the folder cannot be looked into at the moment.
func (s *spool) away() bool {
	_, err := os.Stat(s.directory)
	return err != nil
}

// unreadable drops a batch that cannot be read any more.
func (s *spool) unreadable(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(other *batch) bool { return other.first == b.first })
}

// trim forgets what all ends have.
func (s *spool) trim() {
	least := s.event
	for _, c := range s.cursors {
		least = min(least, c.next)
	}
	n := 0
	for n < len(s.batches) && s.batches[n].end() <= least {
		s.release(&s.batches[n])
		n++
	}
	s.batches = s.batches[n:]
	if len(s.batches) == 0 {
		s.batches = nil // or it would keep its memory
	}
}

// waiting is what an end lacks.
type waiting struct {
	events uint64
	oldest time.Time // when the oldest came; zero: there is none
	lost   uint64    // since the start
}

func (s *spool) waiting(c *cursor) (w waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.lost = c.lost
	if i := s.firstOf(c); i < len(s.batches) {
		b, last := &s.batches[i], &s.batches[len(s.batches)-1]
		w.events = last.before + uint64(last.count) - b.before - (max(b.first, c.at()) - b.first)
		w.oldest = time.Unix(0, b.at)
	}
	return w
}

// use is what a spool takes.
type use struct {
	onDisk, inMemory int64 // bytes
	broken           error // why it cannot be written; nil: it can
}

func (s *spool) use() use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return use{s.onDisk, s.inMemory, s.broken}
}

// bounds changes what may be kept.
func (s *spool) bounds(limit, memory int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.memory = limit, memory
	s.bound()
}

// sync has the disk keep what was appended, writes down who has what, and removes what all have. It
// is for one goroutine, beside that which appends.
func (s *spool) sync() error {
	if s.directory == "" {
		return nil
	}
	s.mu.Lock()
	changed, current, rolled, delivered := s.changed, s.current, s.rolled, s.delivered
	known := state{Sequence: s.sequence, Event: s.event, Expected: map[string]uint64{}}
	for _, c := range s.cursors {
		known.Expected[c.name] = c.next
	}
	s.changed, s.rolled, s.delivered = false, nil, nil
	s.mu.Unlock()
	var err error
	for _, g := range rolled {
		err = errors.Join(err, g.file.Sync(), g.file.Close())
	}
	if !changed {
		return err
	}
	if current != nil && !slices.Contains(rolled, current) {
		err = errors.Join(err, current.file.Sync())
	}
	text, _ := json.Marshal(&known) // numbers and names
	if failed := wholefile.Write(s.statePath(), append(text, '\n')); failed != nil {
		s.mu.Lock()
		s.changed, s.delivered = true, append(delivered, s.delivered...)
		s.mu.Unlock()
		return errors.Join(err, failed)
	}
	for _, g := range delivered {
		err = errors.Join(err, os.Remove(g.path))
	}
	return err
}

// close writes down what is left, and returns how many events are lost because they cannot be kept.
func (s *spool) close() (lost uint64, err error) {
	for i := range s.batches {
		b := &s.batches[i]
		if b.segment != nil {
			continue
		}
		if s.directory == "" || s.write(b, b.body) != nil {
			lost += uint64(b.count)
		}
	}
	s.mu.Lock()
	s.retire()
	s.changed = true
	s.mu.Unlock()
	err = s.sync()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	if err != nil {
		err = fmt.Errorf("the folder of events %s: %w", s.directory, err)
	}
	return lost, err
}

// cause is an error without the path, which the message has.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
