package redis_test

import (
	"context"
	"flag"
	"strings"
	"testing"

	"waggle/document"
	"waggle/document/documenttest"
	"waggle/locality"
	"waggle/store/redis"
	"waggle/store/shared"
	"waggle/store/shared/maptest"
	"waggle/store/storetest"
	"waggle/swarm"
)

// deployments are what every behaviour is tried on.
var deployments = []struct {
	name  string
	url   func() string
	split int    // peers
	tries string // random histories, enough for a quick run
}{
	{"Alone", func() string { return alone.url() }, 0, "40"},
	{"AloneAndSplit", func() string { return alone.url() }, 4, "20"},
	{"Cluster", func() string { return urlOf(cluster) }, 0, "12"},
	{"ClusterAndSplit", func() string { return urlOf(cluster) }, 4, "12"},
}

func eachDeployment(t *testing.T, test func(t *testing.T, o func() redis.Options)) {
	for _, d := range deployments {
		t.Run(d.name, func(t *testing.T) {
			if err := flag.Set("rapid.checks", histories(d.tries)); err != nil {
				t.Fatal(err)
			}
			test(t, func() redis.Options {
				o := options(t, d.url(), newPrefix())
				o.SplitPeers = d.split
				return o
			})
		})
	}
}

func TestStoreConforms(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		storetest.Run(t, func(t *testing.T) swarm.Store {
			o := o()
			if o.SplitPeers > 0 && strings.Contains(t.Name(), "BigSwarms") {
				o.SplitPeers = 1000 // or each of thousands would ask all of 64 parts
			}
			return open(t, o)
		})
	})
}

func TestStoreConformsWhereItIsCopiedInto(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		storetest.RunRestore(t, func(t *testing.T) swarm.Store { return open(t, o()) })
	})
}

func TestStoreConformsAtItsLimitOfTorrents(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		storetest.RunTorrentLimit(t, func(t *testing.T) swarm.Store {
			o := o()
			o.MaxTorrents = storetest.TorrentLimit
			return open(t, o)
		})
	})
}

func TestStoreConformsWhereItLocates(t *testing.T) {
	eachDeployment(t, func(t *testing.T, o func() redis.Options) {
		storetest.RunLocated(t, func(t *testing.T) swarm.Store {
			o := o()
			return relocated{open(t, o), o.Group}
		})
	})
}

// relocated is a store whose announces are in the groups of its own tree: the suite has
// another one, where a tracker has one for all.
type relocated struct {
	*redis.Store
	group func(string) (*locality.Group, error)
}

func (s relocated) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if a.Location == nil {
		return s.Store.Announce(ctx, a, r)
	}
	own := *a
	var err error
	if own.Location, err = s.group(a.Location.Path()); err != nil {
		return err
	}
	return s.Store.Announce(ctx, &own, r)
}

func TestMapConforms(t *testing.T) {
	for _, url := range []string{alone.url(), urlOf(cluster)} {
		o := options(t, url, newPrefix())
		maptest.Run(t, func(t *testing.T) shared.Map { return opened(t, o).Map() })
	}
}

func TestDocumentsConform(t *testing.T) {
	for _, url := range []string{alone.url(), urlOf(cluster)} {
		documenttest.Run(t, func(t *testing.T) document.Store { return opened(t, options(t, url, newPrefix())).Documents() })
		documenttest.RunTogether(t, func(t *testing.T) (a, b document.Store) {
			o := options(t, url, newPrefix())
			return opened(t, o).Documents(), opened(t, o).Documents()
		})
	}
}
