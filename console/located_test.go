package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/locality"
	"waggle/swarm"
)

// subnets say where the peers of tests are: 10.1.2.x in ams1/r2.
const subnets = `10.1.1.0/24,ams1/r1
10.1.2.0/24,ams1/r2
10.1.3.0/24,ams1/r3
10.2.1.0/24,fra1/r1
2001:db8::/32,ams1/r2
`

// down is a source that does not answer.
type down struct{}

func (down) String() string { return "rest http://smdb.example" }

func (down) Locate(context.Context, netip.Addr) (string, error) {
	return "", errors.New("connection refused: start it")
}

// locatedWorld is a world that knows where peers are.
type locatedWorld struct {
	*world
	locator *locality.Locator
	policy  swarm.Policy
	now     time.Time
}

func newLocatedWorld(t *testing.T, change func(*console.Options)) *locatedWorld {
	t.Helper()
	tree, err := locality.NewTree(1000, "site", "rack")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "topology.csv")
	if err := os.WriteFile(file, []byte(subnets), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := locality.OpenSubnets(tree, file)
	if err != nil {
		t.Fatal(err)
	}
	w := &locatedWorld{now: time.Unix(1_700_000_000, 0)}
	if w.locator, err = locality.New(tree, locality.Options{Sources: []locality.Source{table, down{}}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.locator.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.policy, err = swarm.NewPolicy("strict", 15*time.Second, 300*time.Second); err != nil {
		t.Fatal(err)
	}
	w.world = newWorld(t, func(o *console.Options) {
		o.Locality = w.locator
		o.Policy = func() console.Policy { return console.Policy{Policy: w.policy, Profile: "strict"} }
		if change != nil {
			change(o)
		}
	})
	return w
}

// tell lets a peer announce, and returns what it is told.
func (w *locatedWorld) tell(t *testing.T, h bittorrent.InfoHash, from string, left, downloaded int64) *swarm.Reply {
	t.Helper()
	addr := netip.MustParseAddrPort(from)
	a := swarm.Announce{From: addr.Addr(), Now: w.now, Policy: &w.policy, Families: swarm.IPv4 | swarm.IPv6}
	a.Location, _ = w.locator.Cached(a.From, w.now)
	a.InfoHash, a.Port, a.Left, a.Downloaded, a.NumWant = h, addr.Port(), left, downloaded, 50
	ip := addr.Addr().As16()
	copy(a.PeerID[:], fmt.Sprintf("-TR3000-%x", ip[10:]))
	r := new(swarm.Reply)
	if err := w.store.Announce(t.Context(), &a, r); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	return r
}

// populate puts peers of a torrent of 1,000 bytes into three racks, of which one has
// the seeder.
func (w *locatedWorld) populate(t *testing.T, h bittorrent.InfoHash) {
	t.Helper()
	w.tell(t, h, "10.1.1.1:6881", 0, 0)
	for _, host := range []string{"10.1.2.1:6881", "10.1.2.2:6881", "[2001:db8::3]:6881", "10.2.1.1:6881"} {
		w.tell(t, h, host, 1000, 0)
	}
	w.tell(t, h, "10.1.2.1:6881", 600, 400)
}
