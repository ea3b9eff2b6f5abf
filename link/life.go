package link

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/link/core"
	"waggle/wholefile"
)

// keepEvery is how often counters are written, where any has changed. A kill loses at
// most as much of those that nobody else was told of.
const keepEvery = time.Minute

// formerLives is how many origins of lives before are remembered.
const formerLives = 8

// stateFile is in the directory of links: a line of JSON, then counters of 32 bytes, then
// a checksum of both.
const (
	stateFile    = "state"
	stateVersion = 1
	counterSize  = 20 + 8 + 4
	maxHeader    = 1 << 20
	maxState     = 1 << 30
)

// life is what a node is from one start to the next.
type life struct {
	path    string
	origin  core.Origin
	counter core.Origin
	base    core.Origin // under which downloads count of before there were links
	former  []core.Origin
	exact   bool   // the store counted no download that the node did not, at the start
	was     *state // nil: there is nothing from a life before, or it cannot be read
}

// state is what is kept of a life.
type state struct {
	Version  int            `json:"version"`
	Origin   core.Origin    `json:"origin"`
	Counter  core.Origin    `json:"counter"`
	Base     core.Origin    `json:"base"`
	Former   []core.Origin  `json:"former,omitempty"`
	Came     []string       `json:"came,omitempty"` // neighbours that were linked once
	Clean    bool           `json:"clean"`
	Exact    bool           `json:"exact"`
	Ended    int64          `json:"ended,omitempty"` // when the end was clean: then, in Unix seconds
	Counters []core.Counter `json:"-"`

	// Of .torrent files; all times in Unix seconds.
	Agreed  map[string]int64 `json:"agreed,omitempty"`  // when a neighbour and this tracker agreed last on what that one has
	Removed map[string]int64 `json:"removed,omitempty"` // when a torrent was deleted or deactivated here
	Again   map[string]int64 `json:"again,omitempty"`   // when one of those became active again
}

func newOrigin() core.Origin {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return core.Origin(max(binary.BigEndian.Uint64(b[:]), 1))
}

// heardUntil returns until when a life before has heard of peers, but for what may have been
// on its way then; zero: nobody knows.
func (f *life) heardUntil() time.Time {
	if f.was == nil || !f.was.Clean || f.was.Ended == 0 {
		return time.Time{}
	}
	return time.Unix(f.was.Ended, 0).Add(-settled)
}

// openLife begins another life. What cannot be read of the one before is set aside, and
// said.
func openLife(dir string, log *slog.Logger) (*life, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("link.directory: %w", err)
	}
	wholefile.Clean(filepath.Join(dir, stateFile))
	f := &life{path: filepath.Join(dir, stateFile), origin: newOrigin(), base: newOrigin(), exact: true}
	f.counter = f.origin
	was, err := readState(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		log.Error("what links knew before cannot be read, and they begin anew; other trackers have most of it. The file is set aside",
			"file", f.path, "kept", f.path+".damaged", "error", err)
		if err := os.Rename(f.path, f.path+".damaged"); err != nil {
			return nil, err
		}
		f.base, f.exact = 0, false
		return f, nil
	}
	f.was, f.base, f.exact = was, was.Base, was.Exact && was.Clean
	f.former = append([]core.Origin{was.Origin}, was.Former...)
	f.former = f.former[:min(len(f.former), formerLives)]
	if was.Clean {
		f.counter = was.Counter
	}
	return f, nil
}

// state returns what is to be kept.
func (l *Links) state(clean bool) *state {
	f := l.life
	s := &state{Version: stateVersion, Origin: f.origin, Counter: f.counter, Base: f.base, Former: f.former, Clean: clean, Exact: f.exact}
	for name, k := range l.known {
		if k.came {
			s.Came = append(s.Came, name)
		}
		if !k.agreed.IsZero() {
			s.agree(name, k.agreed)
		}
	}
	slices.Sort(s.Came)
	l.sharing.keep(s)
	for c := range l.node.Counters() {
		s.Counters = append(s.Counters, c)
	}
	return s
}

func (s *state) agree(name string, at time.Time) {
	if s.Agreed == nil {
		s.Agreed = map[string]int64{}
	}
	s.Agreed[name] = at.Unix() + 1 // no less than it is
}

func (s *state) encode() []byte {
	head, _ := json.Marshal(s) // numbers can always be written
	b := make([]byte, 0, len(head)+1+len(s.Counters)*counterSize+4)
	b = append(append(b, head...), '\n')
	for i := range s.Counters {
		c := &s.Counters[i]
		b = append(b, c.Hash[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(c.Origin))
		b = binary.BigEndian.AppendUint32(b, c.Count)
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// errState is that a file is none of ours, or not all of one.
var errState = errors.New("it is damaged, or of another version of waggle")

func decodeState(b []byte) (*state, error) {
	end := bytes.IndexByte(b[:min(len(b), maxHeader)], '\n')
	if end < 0 || len(b) < end+1+4 || (len(b)-end-1-4)%counterSize != 0 {
		return nil, errState
	}
	sum := len(b) - 4
	if crc32.ChecksumIEEE(b[:sum]) != binary.BigEndian.Uint32(b[sum:]) {
		return nil, errState
	}
	s := &state{}
	if json.Unmarshal(b[:end], s) != nil || s.Version != stateVersion || s.Origin == 0 || s.Counter == 0 || len(s.Former) > formerLives {
		return nil, errState
	}
	for rest := b[end+1 : sum]; len(rest) > 0; rest = rest[counterSize:] {
		s.Counters = append(s.Counters, core.Counter{
			Hash:   bittorrent.InfoHash(rest[:20]),
			Origin: core.Origin(binary.BigEndian.Uint64(rest[20:])),
			Count:  binary.BigEndian.Uint32(rest[28:]),
		})
	}
	return s, nil
}

func readState(path string) (*state, error) {
	stat, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case stat.Size() > maxState:
		return nil, errState
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decodeState(b)
}

// keep writes the counters beside the loop, if any has changed.
func (l *Links) keep(now time.Time) {
	l.keptAt = now
	select {
	case err := <-l.keeping:
		l.isKeeping = false
		l.reportKeeping(err)
	default:
	}
	if !l.changed || l.isKeeping {
		return
	}
	l.changed, l.isKeeping = false, true
	s, path := l.state(false), l.life.path
	go func() { l.keeping <- wholefile.Write(path, s.encode()) }()
}

func (l *Links) reportKeeping(err error) {
	if err != nil {
		l.changed = true
		l.o.Log.Error("what links know cannot be written: a kill would lose completed downloads that no other tracker was told of", "error", err)
	}
}

// keepAtEnd writes all of it, and that the end was clean.
func (l *Links) keepAtEnd() error {
	if l.isKeeping {
		l.reportKeeping(<-l.keeping)
	}
	if l.node == nil {
		return nil
	}
	last := l.state(true)
	last.Ended = time.Now().Unix()
	if err := wholefile.Write(l.life.path, last.encode()); err != nil {
		return fmt.Errorf("keeping what links know: %w", err)
	}
	return nil
}
