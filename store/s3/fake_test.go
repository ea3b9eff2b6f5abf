package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeBucket is a [bucket] in memory with the conditions of S3, each request in one step.
type fakeBucket struct {
	// turn, where it is not nil, is called before each request; its error is the
	// request's, of which nothing is done. answered is called after it, and may lose the
	// answer.
	turn     func(ctx context.Context, verb, key string) error
	answered func(verb, key string) error

	mu      sync.Mutex
	objects map[string]fakeObject
}

type fakeObject struct {
	object
	modified time.Time
}

func newFake() *fakeBucket { return &fakeBucket{objects: map[string]fakeObject{}} }

// store returns a store in the bucket, of which there may be several.
func (b *fakeBucket) store(o Options) *Store {
	o = o.withDefaults()
	return newStore(newServer(b, &o), &o)
}

func (b *fakeBucket) do(ctx context.Context, verb, key string, what func() error) error {
	if b.turn != nil {
		if err := b.turn(ctx, verb, key); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	err := what()
	b.mu.Unlock()
	if b.answered != nil {
		if lost := b.answered(verb, key); lost != nil {
			return lost
		}
	}
	return err
}

func (b *fakeBucket) get(ctx context.Context, key, unless string) (o object, err error) {
	err = b.do(ctx, "get", key, func() error {
		was, has := b.objects[key]
		switch {
		case !has:
			return errNone
		case unless != "" && was.etag == unless:
			return errSame
		}
		o = object{slices.Clone(was.body), was.etag}
		return nil
	})
	return o, err
}

func (b *fakeBucket) put(ctx context.Context, key string, body []byte, was string) (etag string, err error) {
	err = b.do(ctx, "put", key, func() error {
		if b.objects[key].etag != was {
			return errChanged
		}
		sum := md5.Sum(body)
		etag = hex.EncodeToString(sum[:])
		b.objects[key] = fakeObject{object{slices.Clone(body), etag}, time.Now()}
		return nil
	})
	return etag, err
}

func (b *fakeBucket) remove(ctx context.Context, key, was string) error {
	return b.do(ctx, "delete", key, func() error {
		if o, has := b.objects[key]; has && was != "" && o.etag != was {
			return errChanged
		}
		delete(b.objects, key)
		return nil
	})
}

func (b *fakeBucket) list(ctx context.Context, prefix, after string) (some []listed, more bool, err error) {
	const page = 1000
	err = b.do(ctx, "list", prefix, func() error {
		for _, key := range slices.Sorted(maps.Keys(b.objects)) {
			if !strings.HasPrefix(key, prefix) || key <= after {
				continue
			}
			if len(some) == page {
				more = true
				break
			}
			o := b.objects[key]
			some = append(some, listed{key, o.etag, int64(len(o.body)), o.modified})
		}
		return nil
	})
	return some, more, err
}

// keys returns what is in the bucket below a prefix.
func (b *fakeBucket) keys(prefix string) (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// openFake returns a store of its own, which is closed with the test.
func openFake(t *testing.T, o Options) *Store {
	s := newFake().store(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
