package locality

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Finding is where an address is, and why.
type Finding struct {
	Address    netip.Addr
	Group      *Group        // where announces from it are taken to come from; nil: unlocated
	Source     string        // which source said so; "" if none did
	Remembered bool          // it is from the cache: what the sources say now may differ
	Age        time.Duration // how long ago the source said so, or how old what a table has is
	Answers    []Answer      // what each source says now, in the order of the chain
}

// Answer is what one source says of an address.
type Answer struct {
	Source string        // kind and what it asks
	Group  *Group        // nil: it does not know, or Err is set
	Why    string        // what a table has of the address, as in "line 17: 10.1.2.0/24"; of other sources the name of its host, as in "host h1.example"; or ""
	Err    error         // why it could not be asked, or what was wrong with its answer; of a table, with its last reading
	Took   time.Duration // how long it took; zero for a table
	Age    time.Duration // how old what a table has is; zero for other sources
}

// Explain asks every source for an address, also those after one that knows, and says what they
// answered. It waits until ctx ends, or 2 s at most (Options.LookupTimeout). What is remembered of
// the address stays as it is.
func (l *Locator) Explain(ctx context.Context, ip netip.Addr) Finding {
	ip = plain(ip)
	f := Finding{Address: ip, Answers: make([]Answer, len(l.chain))}
	ctx, cancel := context.WithTimeout(ctx, l.o.LookupTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i, s := range l.chain {
		all.Go(func() { f.Answers[i] = l.answer(ctx, s, ip) })
	}
	all.Wait()
	l.conclude(&f)
	return f
}

func (l *Locator) answer(ctx context.Context, s *asked, ip netip.Addr) Answer {
	a := Answer{Source: s.source.String()}
	if s.table == nil {
		now, took, err := s.ask(ctx, l.tree, ip, l.o.Now)
		if a.Group, a.Took, a.Err = now.group, took, err; now.host != nil {
			a.Why = "host " + *now.host
		}
		return a
	}
	a.Group, a.Why = s.find(ip), s.table.Why(ip)
	at, err := s.table.Dated()
	if a.Err = err; !at.IsZero() {
		a.Age = l.o.Now().Sub(at)
	}
	return a
}

// conclude says which answer is in force: for remote sources the one that is remembered, if there
// is one.
func (l *Locator) conclude(f *Finding) {
	now := l.o.Now()
	e, remembered := l.cache.peek(f.Address.As16())
	for i, s := range l.chain {
		group, age := f.Answers[i].Group, f.Answers[i].Age
		held := remembered && s.table == nil && i < int(e.walked)
		if held {
			group, age = nil, since(e.asked, now)
			if int(e.source) == i {
				group = e.group
			}
			f.Remembered, f.Age = true, age
		}
		if group != nil {
			f.Group, f.Source, f.Age, f.Remembered = group, f.Answers[i].Source, age, held
			return
		}
	}
}
