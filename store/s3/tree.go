package s3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Why an object of a swarm is not changed.
var (
	errSplit = errors.New("the object was split")
	errShut  = errors.New("the object is being put together with others")
	errGone  = errors.New("the object was put together with others") // see goneError
	errHeld  = errors.New("the object is being split")
)

// goneError is errGone of an object.
type goneError string

func (e goneError) Error() string      { return errGone.Error() + ": " + string(e) }
func (goneError) Is(target error) bool { return target == errGone }

// absentNode is what a key without an object holds: nothing, where it is the one of a
// swarm. A part is never written anew.
func absentNode(key string) (*node, error) {
	if depthOf(key) > 0 {
		return nil, goneError(key)
	}
	return &node{}, nil
}

func refuseNode(n *node) error {
	switch {
	case n.branches != nil:
		return errSplit
	case n.closed:
		return errShut
	case n.hold > 0 && n.held(time.Now()):
		return errHeld
	}
	return nil
}

// held reports whether others should let an object be now. A time that is too far away
// is of a clock that is wrong.
func (n *node) held(now time.Time) bool {
	left := n.hold - now.UnixMilli()
	return left > 0 && left <= holdFor.Milliseconds()
}

// sums has what objects of swarms held, without their peers.
type sums struct {
	mu  sync.Mutex
	all *simplelru.LRU[string, *summed]
}

type summed struct {
	sum
	etag  string // "": there is no object
	asked time.Time
}

func newSums(bytes int) *sums {
	const each = 320
	s := &sums{}
	s.all, _ = simplelru.NewLRU[string, *summed](max(bytes/each, 1), nil) // it fails where there is no room
	return s
}

// saw is told of each object that was read or written.
func (s *sums) saw(key string, k *kept[*node]) {
	now := &summed{sum: k.value.sum(), etag: k.etag, asked: k.asked}
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, has := s.all.Peek(key); has && had.asked.After(now.asked) {
		return
	}
	if now.etag == "" {
		s.all.Remove(key)
		return
	}
	s.all.Add(key, now)
}

func (s *sums) get(key string) *summed {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, _ := s.all.Get(key)
	return k
}

func (s *sums) drop(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.all.Remove(key)
	}
}

// find returns the object that a hash belongs to, as far as is remembered, and those
// above it, the swarm's first.
func (s *Store) find(h *bittorrent.InfoHash, hash uint64) (key string, above []string) {
	key = swarmKey(*h)
	for depth := 0; depth < maxDepth; depth++ {
		k := s.sums.get(key)
		if k == nil || k.branches == nil {
			break
		}
		above = append(above, key)
		key = partsOf(*h) + k.branches[branch(hash, depth)]
	}
	return key, above
}

// chase follows a swarm that is split or put together while something is asked of it.
type chase struct {
	*Store
	moves int
	gone  map[goneError]int // how often objects were not there
}

// Bounds of a chase: of all that may come between, and of how often an object may not be
// there that others name. Names go before objects do, so once more is a slow answer of
// another goroutine's.
const (
	moves    = 64
	mostGone = 4
)

// goesOn counts moves, and reports whether there may be one more.
func (c *chase) goesOn() bool {
	c.moves++
	return c.moves <= moves
}

// lost is told of an object that was not there; the error says that it should be.
func (c *chase) lost(err error) error {
	key, _ := errors.AsType[goneError](err)
	if c.gone == nil {
		c.gone = map[goneError]int{}
	}
	if c.gone[key]++; c.gone[key] >= mostGone {
		return fmt.Errorf("object %s is missing, which another one names: %w", string(key), errDamaged)
	}
	return nil
}

// changeOne changes the object that a peer belongs to, and returns it. Alone is one that has
// all of a swarm.
func (s *Store) changeOne(ctx context.Context, h bittorrent.InfoHash, at *place, apply func(n *node, alone bool) bool) (key string, n *node, err error) {
	hash := at.hash(&h)
	for c := (chase{Store: s}); c.goesOn(); {
		key, above := s.find(&h, hash)
		n, err := s.swarms.change(ctx, key, func(n *node) bool { return apply(n, len(above) == 0) })
		if again, err := c.follow(ctx, key, above, err); !again {
			return key, n, err
		}
	}
	return "", nil, swarm.ErrBusy
}

// follow does what must be done before a change that was refused is tried again.
func (c *chase) follow(ctx context.Context, key string, above []string, err error) (again bool, _ error) {
	switch {
	case errors.Is(err, errSplit):
		return true, nil // where to is remembered now
	case errors.Is(err, errGone):
		c.sums.drop(append(above, key)...)
		err = c.lost(err)
		return err == nil, err
	case errors.Is(err, errShut):
		if len(above) == 0 {
			return false, errDamaged
		}
		if err := c.join(ctx, above[len(above)-1]); err != nil {
			return false, err
		}
		c.sums.drop(append(above, key)...)
		return true, nil
	}
	return false, err
}

// part is an object of a swarm that has peers.
type part struct {
	key string
	summed
}

// look is what of what is remembered of objects will do.
type look struct {
	will   func(key string, k *summed) bool
	shared bool // so will what somebody else is asking for already
}

// asItIs is a [look] for which the server is asked each time.
var asItIs = look{will: func(string, *summed) bool { return false }}

// noOlder is a [look] for which the server is asked where what is remembered is older.
func noOlder(age time.Duration) look {
	return look{func(_ string, k *summed) bool { return time.Since(k.asked) < age }, age > 0}
}

// asListed is a [look] for which the server is asked where it listed another ETag than
// that of what is remembered, or did not list the object.
func asListed(etags map[string]string) look {
	return look{will: func(key string, k *summed) bool { return k.etag == etags[key] }}
}

// recall returns what is remembered of an object, if that will do; nil: the server must be
// asked.
func (s *Store) recall(key string, how look) *summed {
	if k := s.sums.get(key); k != nil && how.will(key, k) {
		return k
	}
	return nil
}

// ask returns what an object holds, from the server where what is remembered will not do.
func (s *Store) ask(ctx context.Context, key string, how look) (*summed, error) {
	if k := s.recall(key, how); k != nil {
		return k, nil
	}
	read := func(ctx context.Context) (*summed, error) {
		k, err := s.swarms.read(ctx, key)
		if err != nil {
			return nil, err
		}
		return &summed{k.value.sum(), k.etag, k.asked}, nil
	}
	if !how.shared {
		return read(ctx)
	}
	k, err, _ := s.asking.Do(key, func() (any, error) {
		if k := s.recall(key, how); k != nil { // somebody had asked just now
			return k, nil
		}
		ctx, cancel := s.server.bounded(context.WithoutCancel(ctx)) // others wait for it, too
		defer cancel()
		return read(ctx)
	})
	if err != nil {
		return nil, err
	}
	return k.(*summed), nil
}

// readAtOnce is how many parts of a swarm are asked for at once.
const readAtOnce = 16

// parts returns the parts of a swarm, in the order of what they have. What says where
// they are is taken as it is remembered, unless it turns out to be wrong.
func (s *Store) parts(ctx context.Context, h bittorrent.InfoHash, how look) ([]part, error) {
	for c := (chase{Store: s}); c.goesOn(); {
		parts, err := s.below(ctx, h, swarmKey(h), how, c.moves > 1)
		switch {
		case errors.Is(err, errGone):
			if err := c.lost(err); err != nil {
				return nil, err
			}
		case errors.Is(err, errShut):
		default:
			return parts, err
		}
	}
	return nil, swarm.ErrBusy
}

// below returns the parts at and below an object. Where sure, whatever says where parts
// are is asked for: then parts that are shut are as they are.
func (s *Store) below(ctx context.Context, h bittorrent.InfoHash, key string, how look, sure bool) ([]part, error) {
	k := s.sums.get(key)
	if sure || k == nil || k.branches == nil {
		var err error
		if sure {
			how = asItIs
		}
		if k, err = s.ask(ctx, key, how); err != nil {
			return nil, err
		}
	}
	switch {
	case k.closed && !sure:
		return nil, errShut
	case k.branches == nil:
		return []part{{key, *k}}, nil
	}
	if depthOf(k.branches[0]) != depthOf(key)+1 {
		return nil, fmt.Errorf("object %s: %w", key, errDamaged)
	}
	lists := make([][]part, fan)
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(readAtOnce)
	for i, name := range k.branches {
		key := partsOf(h) + name
		if k := s.recall(key, how); !sure && k != nil && k.branches == nil && !k.closed {
			lists[i] = []part{{key, *k}}
			continue
		}
		asking.Go(func() (err error) {
			lists[i], err = s.below(ctx, h, key, how, sure)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	var all []part
	for _, list := range lists {
		all = append(all, list...)
	}
	return all, nil
}

// whole returns what all parts of a swarm have together.
func (s *Store) whole(ctx context.Context, h bittorrent.InfoHash, how look) (all sum, err error) {
	parts, err := s.parts(ctx, h, how)
	for i := range parts {
		all.add(&parts[i].sum)
	}
	return all, err
}

// ageOf is how old what is known of other parts may be. Together they are asked for at a
// bounded rate.
func (s *Store) ageOf(parts int) time.Duration {
	age := s.options.PartAge
	if parts > fan && age < math.MaxInt64/time.Duration(parts) {
		age = age * time.Duration(parts) / fan
	}
	return age
}

// view returns what an announce sees of a swarm, of which it has changed a part.
func (s *Store) view(ctx context.Context, h bittorrent.InfoHash, key string, n *node) (*view, error) {
	if n.branches == nil && depthOf(key) == 0 {
		return newView(ctx, s, []part{{key, summed{sum: n.sum()}}}, key, n), nil
	}
	age := s.ageOf(s.remembered(swarmKey(h), h))
	parts, err := s.parts(ctx, h, noOlder(age))
	if err != nil {
		return nil, err
	}
	return newView(ctx, s, parts, key, n), nil
}

// remembered returns how many parts there are below an object, as far as is remembered.
func (s *Store) remembered(key string, h bittorrent.InfoHash) (all int) {
	k := s.sums.get(key)
	if k == nil || k.branches == nil {
		return 1
	}
	for _, name := range k.branches {
		if depthOf(name) <= depthOf(key) {
			return all // it is damaged
		}
		all += s.remembered(partsOf(h)+name, h)
	}
	return all
}
