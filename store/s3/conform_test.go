package s3

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/document"
	"waggle/document/documenttest"
	"waggle/locality"
	"waggle/store/shared"
	"waggle/store/shared/maptest"
	"waggle/store/storetest"
	"waggle/swarm"
)

// but opens a store in memory for the behaviours that take some ten thousand requests,
// where another test has them on a real server.
func but(open func(t *testing.T) *Store, memory Options, long ...string) storetest.Open {
	return func(t *testing.T) swarm.Store {
		if inMemory && isOne(t, long...) {
			return openFake(t, memory)
		}
		return open(t)
	}
}

// isOne reports whether a test is of one of some behaviours.
func isOne(t *testing.T, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(t.Name(), "/"+name) })
}

const (
	big     = "BigSwarmsGrowAndShrinkAndStayWhole" // 10,000 requests
	uniform = "EveryPeerIsAsLikelyAsAnother"       // 4,000 requests
	many    = "ConcurrentAnnouncesLoseNobody"

	hundred = "NobodyIsToldOfItself"   // a hundred peers, of whom each asks for all parts
	wanted  = "NumWantBoundsTheAnswer" // the same
)

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	storetest.RunOfSize(t, but(func(t *testing.T) *Store { return open(t, versitygw.newPrefix()) }, Options{}, big), size)
}

func TestStoreConformsOnMinio(t *testing.T) {
	t.Parallel()
	storetest.RunOfSize(t, but(func(t *testing.T) *Store { return open(t, minio.newPrefix()) }, Options{SplitBytes: 8 << 10}, big, uniform), size)
}

// split has swarms split at a dozen peers, those of a hundred at forty, and those of many
// peers at some hundred.
func split(t *testing.T, o Options) Options {
	o.SplitBytes = 700
	if isOne(t, hundred, wanted) {
		o.SplitBytes = 2 << 10
	}
	if isOne(t, many) {
		o.SplitBytes = 8 << 10
	}
	if isOne(t, big) {
		o.SplitBytes, o.PartAge = 8<<10, 0
	}
	return o
}

func TestStoreWithSplitSwarmsConforms(t *testing.T) {
	t.Parallel()
	storetest.RunOfSize(t, but(func(t *testing.T) *Store {
		return open(t, split(t, versitygw.newPrefix()))
	}, Options{SplitBytes: 700, PartAge: -1}, uniform), size)
}

// TestTwoStoresAreOne has every other announce go to another tracker.
func TestTwoStoresAreOne(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]func(t *testing.T) Options{
		"whole": func(*testing.T) Options { return versitygw.newPrefix() },
		"split": func(t *testing.T) Options { return split(t, versitygw.newPrefix()) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunOfSize(t, func(t *testing.T) swarm.Store {
				if inMemory && isOne(t, big, uniform) {
					b, memory := newFake(), Options{SplitBytes: 8 << 10}
					return &inTurn{Store: b.store(memory), other: b.store(memory)}
				}
				o := o(t)
				return &inTurn{Store: open(t, o), other: open(t, o)}
			}, size)
		})
	}
}

// inTurn is two stores, of which each does every other thing.
type inTurn struct {
	*Store
	other *Store
	n     atomic.Int64
}

func (s *inTurn) next() *Store {
	if s.n.Add(1)%2 == 0 {
		return s.other
	}
	return s.Store
}

func (s *inTurn) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	return s.next().Announce(ctx, a, r)
}

func (s *inTurn) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	return s.next().Scrape(ctx, hashes, counts)
}

func (s *inTurn) Expire(ctx context.Context, before time.Time) (int, error) {
	return s.next().Expire(ctx, before)
}

func (s *inTurn) Totals(ctx context.Context) (swarm.Totals, error) { return s.next().Totals(ctx) }

func (s *inTurn) Close() error { return errors.Join(s.Store.Close(), s.other.Close()) }

func located(t *testing.T, o Options) Options {
	t.Helper()
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	o.Group = tree.Group
	return o
}

func TestStoreWithLocatedPeersConforms(t *testing.T) {
	t.Parallel()
	for _, server := range []*testServer{versitygw, minio} {
		t.Run(server.name, func(t *testing.T) {
			storetest.RunLocated(t, func(t *testing.T) swarm.Store { return open(t, located(t, server.newPrefix())) })
		})
	}
}

func TestRestoreConforms(t *testing.T) {
	t.Parallel()
	for _, server := range []*testServer{versitygw, minio} {
		t.Run(server.name, func(t *testing.T) {
			storetest.RunRestore(t, func(t *testing.T) swarm.Store { return open(t, server.newPrefix()) })
		})
	}
	t.Run("split", func(t *testing.T) {
		storetest.RunRestore(t, func(t *testing.T) swarm.Store { return open(t, split(t, versitygw.newPrefix())) })
	})
}

func TestMapConforms(t *testing.T) {
	t.Parallel()
	o := versitygw.newPrefix()
	maptest.Run(t, func(t *testing.T) shared.Map { return open(t, o).Map() })
}

func TestMapConformsOnMinio(t *testing.T) {
	t.Parallel()
	o := minio.newPrefix()
	maptest.RunMembers(t, func(t *testing.T) shared.Map { return open(t, o).Map() }, membersOnMinio)
}

func TestDocumentsConform(t *testing.T) {
	t.Parallel()
	for _, server := range []*testServer{versitygw, minio} {
		t.Run(server.name, func(t *testing.T) {
			documenttest.Run(t, func(t *testing.T) document.Store { return open(t, server.newPrefix()).Documents() })
			documenttest.RunTogether(t, func(t *testing.T) (a, b document.Store) {
				o := server.newPrefix()
				return open(t, o).Documents(), open(t, o).Documents()
			})
		})
	}
}

// TestDocumentsThatAreRemovedConform has an endpoint that removes on condition, in one
// step, which none of the servers does.
func TestDocumentsThatAreRemovedConform(t *testing.T) {
	t.Parallel()
	o := Options{Deletes: DeletesConditional}
	documenttest.Run(t, func(t *testing.T) document.Store { return openFake(t, o).Documents() })
	documenttest.RunTogether(t, func(*testing.T) (a, b document.Store) {
		bucket := newFake()
		return bucket.store(o).Documents(), bucket.store(o).Documents()
	})
}
