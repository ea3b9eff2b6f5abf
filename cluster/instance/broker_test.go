package instance_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/internal/clustertest"
)

// TestNATSThatGoesAndComesBack has each go on alone meanwhile, and one master afterwards who knows
// what both were told.
func TestNATSThatGoesAndComesBack(t *testing.T) {
	nats, end := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	url, port := "nats://"+nats.Addr().String(), int(netip.MustParseAddrPort(nats.Addr().String()).Port())
	times := cluster.Document
	times.Keepalive, times.Election = 400*time.Millisecond, 800*time.Millisecond
	var logs [2]lines
	var all []*real
	for n := range logs {
		b, err := carrier.NewBroker(carrier.BrokerOptions{URL: url, Secret: []byte("a secret of the cluster")})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, carriedBy(t, b, times, slog.New(slog.NewTextHandler(&logs[n], nil))))
	}
	together := func() bool { return agree(all) || agree([]*real{all[1], all[0]}) }
	eventually(t, "they are a cluster", together)

	end()
	eventually(t, "each is master", func() bool {
		return all[0].in.Answers() && all[1].in.Answers() && len(all[0].in.State().Members)+len(all[1].in.State().Members) == 0
	})
	for n, x := range all {
		l := &load{list: []*real{x}, first: uint32(50 * n), peers: 100}
		for range l.peers {
			if err := l.one(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "both say what is wrong", func() bool {
		return logs[0].has("cannot be reached") && logs[1].has("cannot be reached")
	})
	clustertest.NATS(t, server.Options{Port: port})
	eventually(t, "they are a cluster again", together)
	eventually(t, "they know the same", func() bool { return all[0].in.State().Rows == 150 && all[1].in.State().Rows == 150 })
	for n := range logs {
		wantLines(t, &logs[n], "cannot be reached", 1)
	}
}
