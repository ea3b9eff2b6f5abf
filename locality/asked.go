package locality

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// enough failures in a row have a source left out.
	enoughFailures = 5

	// leftOutFor is how long it is left out. Then one look-up tries it again.
	leftOutFor = 30 * time.Second
)

// errLeftOut says that a source was not asked, because it failed lately.
var errLeftOut = errors.New("left out for a while, because it failed several times in a row")

// SourceFigures tell how a source of a Locator does. The numbers count from the start.
type SourceFigures struct {
	Source   string // kind and what it asks, as in "rest http://smdb.example"
	Asked    int64  // how often it was asked: the sum of the next five
	Known    int64  // it said where the address is
	Unknown  int64  // it does not know the address
	Failed   int64  // it could not be asked, or said that something is wrong with itself
	TimedOut int64  // it did not answer in time
	Rubbish  int64  // it answered what is no location
	LeftOut  int64  // how often it was not asked, because it had failed several times in a row
	Resting  bool   // whether that is so now

	LastError    string        // of the last failure, late answer or rubbish; "" if there was none
	LastErrorAt  time.Time     // zero for a table, whose error lasts until it is read again
	LastDuration time.Duration // how long its last answer took; zero for a table
}

// asked is a source in a chain, with how it does.
type asked struct {
	source Source
	table  Table // the same, if it answers from memory; otherwise nil

	// Of a table, which is counted on the announce path.
	known, unknown atomic.Int64

	mu       sync.Mutex
	figures  SourceFigures
	failures int       // in a row
	resting  time.Time // until when it is left out, once there were enough of them
}

// find asks a table.
func (s *asked) find(ip netip.Addr) *Group {
	g := s.table.Group(ip)
	if g == nil {
		s.unknown.Add(1)
	} else {
		s.known.Add(1)
	}
	return g
}

// admit says whether a remote source is to be asked, or is left out.
func (s *asked) admit(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures < enoughFailures {
		return true
	}
	if now.Before(s.resting) {
		s.figures.LeftOut++
		return false
	}
	s.resting = now.Add(leftOutFor) // one tries it; the others keep away until that has an answer
	return true
}

// said is what a remote source says of an address.
type said struct {
	group *Group  // nil: it does not know the address
	host  *string // what the host is called; nil: it does not say
}

// ask asks a remote source. A nil group without an error is an address that it does not know.
func (s *asked) ask(ctx context.Context, tree *Tree, ip netip.Addr, now func() time.Time) (a said, took time.Duration, err error) {
	begun := now()
	path, host, err := s.locate(ctx, ip)
	took = now().Sub(begun)
	if err == nil && path != "" {
		if a.group, err = tree.Group(path); err != nil {
			err = rubbishError{err}
		} else {
			a.host = hostName(host)
		}
	}
	s.note(outcomeOf(ctx, a.group, err), err, begun.Add(took), took)
	return a, took, err
}

func (s *asked) locate(ctx context.Context, ip netip.Addr) (path, host string, err error) {
	if namer, ok := s.source.(Namer); ok {
		return namer.LocateNamed(ctx, ip)
	}
	path, err = s.source.Locate(ctx, ip)
	return path, "", err
}

// outcome is how asking a source went.
type outcome string

const (
	knew       outcome = "known"     // it said where the address is
	knewNot    outcome = "unknown"   // it does not know the address
	gotRubbish outcome = "rubbish"   // it answered what is no location
	tooLate    outcome = "timed out" // it did not answer in time
	cutShort   outcome = "cut short" // nobody wants to know any more, which says nothing of the source
	failed     outcome = "failed"    // it could not be asked, or said that something is wrong with itself
	leftOut    outcome = "left out"  // it was not asked, because it failed lately
)

// outcomeOf is how asking a source went that was given ctx.
func outcomeOf(ctx context.Context, g *Group, err error) outcome {
	switch {
	case err == nil && g != nil:
		return knew
	case err == nil:
		return knewNot
	case isRubbish(err):
		return gotRubbish
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return tooLate
	case errors.Is(ctx.Err(), context.Canceled):
		return cutShort
	}
	return failed
}

// note counts an answer.
func (s *asked) note(how outcome, err error, now time.Time, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.figures
	f.LastDuration = took
	if err != nil {
		f.LastError, f.LastErrorAt = err.Error(), now
	}
	switch how {
	case knew:
		f.Known++
	case knewNot:
		f.Unknown++
	case gotRubbish:
		f.Rubbish++
	case tooLate:
		f.TimedOut++
	case cutShort:
		return
	default:
		f.Failed++
	}
	if err == nil || isRubbish(err) {
		s.failures = 0
		return
	}
	s.failures++
	s.resting = now.Add(leftOutFor)
}

// tell is how the source does.
func (s *asked) tell(now time.Time) SourceFigures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.figures
	f.Source = s.source.String()
	f.Resting = s.failures >= enoughFailures && now.Before(s.resting)
	if s.table != nil {
		f.Known, f.Unknown = s.known.Load(), s.unknown.Load()
		if _, err := s.table.Dated(); err != nil {
			f.LastError = err.Error()
		}
	}
	f.Asked = f.Known + f.Unknown + f.Failed + f.TimedOut + f.Rubbish
	return f
}
