package dynamodb

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"waggle/swarm"
)

// openTime bounds how long Open takes.
const openTime = 10 * time.Second

// Open looks whether the table can be used, and returns its store. It makes nothing but
// the mark of a table that has none. Errors name the remedy: the server
// cannot be reached, refuses the credentials, or has no such table in its region; the
// table has another shape, is another program's or a newer waggle's.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	s, err := newServer(ctx, &o)
	if err != nil {
		return nil, err
	}
	m, err := s.look(ctx, o.Heads)
	if err != nil {
		s.close()
		return nil, err
	}
	s.key = m.key
	return newStore(&o, s, m), nil
}

// look checks the table and reads its mark, both at once. Only a table that is as it
// should be is marked.
func (s *server) look(ctx context.Context, heads int) (mark, error) {
	var there item
	var wrong error
	var both errgroup.Group
	both.Go(func() error { return s.checkTable(ctx) })
	both.Go(func() error {
		there, wrong = s.get(ctx, markKey)
		return nil
	})
	if err := both.Wait(); err != nil { // which says more than what is wrong with reading it
		return mark{}, err
	}
	if wrong != nil {
		return mark{}, s.why(wrong)
	}
	if len(there) > 0 {
		return markOf(there)
	}
	m, err := s.readMark(ctx, heads)
	return m, s.why(err)
}

// why returns what is known to be wrong in place of swarm.ErrBusy.
func (s *server) why(err error) error {
	if !errors.Is(err, swarm.ErrBusy) {
		return err
	}
	if wrong := s.health.Healthy(); wrong != nil {
		return wrong
	}
	return errors.New("the server does not answer in time, or refuses because too much is asked of it: try again later")
}
