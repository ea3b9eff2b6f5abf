//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	console "waggle/console/client"
)

// The groups of a cluster: of its instances, and of its peers, which is the default.
const (
	clusterGroup = "239.192.0.69:6968"
	peersGroup   = "239.192.0.69:6969"
	agreeWithin  = 30 * time.Second
)

// A lan is five instances of a cluster, and hosts for peers, on one bridge.
type lan struct {
	rig       *rig
	secret    string // the file that has it
	instances []*instance
	peers     []*host
	patience  time.Duration // until they agree
}

const instanceCount = 5

// newLAN starts the instances, and waits until they are one cluster.
func newLAN(ctx context.Context, t *testing.T, peers int, flags ...string) *lan {
	t.Helper()
	l := &lan{rig: newRig(t, instanceCount+peers), patience: agreeWithin, secret: filepath.Join(t.TempDir(), "cluster.secret")}
	must(t, os.WriteFile(l.secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600))
	hosts := l.rig.racks[1]
	for _, h := range hosts {
		run(t, "ip", "-n", h.namespace, "route", "add", "239.0.0.0/8", "dev", "eth0")
	}
	l.peers = hosts[instanceCount:]
	path, err := buildWaggle()
	must(t, err)
	for i, h := range hosts[:instanceCount] {
		n := &node{host: h, name: fmt.Sprint("instance ", i+1), waggle: path}
		n.client = http.Client{Timeout: requestLimit, Transport: &http.Transport{DialContext: h.dial, DisableKeepAlives: true}}
		in := &instance{node: n, t: t, dir: t.TempDir(), flags: append([]string{"--cluster-group", clusterGroup, "--cluster-secret-file", l.secret}, flags...)}
		in.launch()
		l.instances = append(l.instances, in)
	}
	t.Cleanup(func() {
		for _, in := range l.instances {
			if t.Failed() {
				t.Logf("%s, the end of its log:\n%s", in.name, in.stderr.String())
			}
		}
	})
	l.agree(ctx, t, l.instances...)
	return l
}

// portOf is the port of the bridge that a host is at.
func portOf(h *host) string { return fmt.Sprintf("port%d-%d", h.rack, h.addr.As4()[3]) }

// unlimited lets one host be as many peers as it likes.
var unlimited = []string{"--limits-announces-per-second-per-address", "0"}

// An instance is a tracker of a cluster, that may be started more than once. Its store is the
// default, SQLite in its directory.
type instance struct {
	*node
	t     *testing.T // with which it ends
	dir   string
	flags []string
}

// launch starts the instance. It does not wait for anything.
func (in *instance) launch() {
	in.t.Helper()
	in.process = start(in.t, in.host.namespace, in.dir, nil, nil, append([]string{in.waggle, "serve"}, in.flags...)...)
}

// freeze stops the process, as an overloaded machine does, and thaw has it go on.
func (in *instance) freeze() {
	in.t.Helper()
	must(in.t, in.cmd.Process.Signal(syscall.SIGSTOP))
}

func (in *instance) thaw() {
	in.t.Helper()
	must(in.t, in.cmd.Process.Signal(syscall.SIGCONT))
}

// shown is what waggle cluster --json tells.
func (in *instance) shown(ctx context.Context) (v console.Cluster, err error) {
	return v, in.get(ctx, "/api/v1/cluster", &v)
}

// agree waits until some instances are one cluster of their own: they know each other, one is
// master, and to it all others are equal. It returns that one.
func (l *lan) agree(ctx context.Context, t *testing.T, of ...*instance) (master *instance) {
	t.Helper()
	master, err := agreed(ctx, of, l.patience)
	must(t, err)
	return master
}

func agreed(ctx context.Context, of []*instance, limit time.Duration) (master *instance, err error) {
	return master, of[0].eventually(ctx, limit, func() (err error) {
		master, err = oneCluster(ctx, of)
		return err
	})
}

func oneCluster(ctx context.Context, of []*instance) (master *instance, err error) {
	for _, in := range of {
		v, err := in.shown(ctx)
		switch {
		case err != nil:
			return nil, errors.Join(err, in.alive())
		case !v.Serving || v.Electing || len(v.Members) != len(of)-1:
			return nil, fmt.Errorf("%s: %s, serving %v, electing %v, %d others", in.name, v.Role, v.Serving, v.Electing, len(v.Members))
		case v.Role == console.ClusterMaster && master != nil:
			return nil, fmt.Errorf("%s and %s are both master", master.name, in.name)
		case v.Role == console.ClusterMaster:
			master = in
		}
		for _, m := range v.Members {
			if m.State != "" && m.State != "equal" {
				return nil, fmt.Errorf("to %s one is %s", in.name, m.State)
			}
		}
	}
	if master == nil {
		return nil, errors.New("nobody is master")
	}
	return master, nil
}

// master returns the instance that says it is, of some.
func (l *lan) master(ctx context.Context, t *testing.T) *instance {
	t.Helper()
	for _, in := range l.instances {
		if v, err := in.shown(ctx); err == nil && v.Role == console.ClusterMaster {
			return in
		}
	}
	t.Fatal("nobody is master")
	return nil
}

// but returns instances without some.
func but(all []*instance, without ...*instance) []*instance {
	return slices.DeleteFunc(slices.Clone(all), func(in *instance) bool { return slices.Contains(without, in) })
}

// slaves returns the others of a master, the lowest ID first: that is who takes over.
func (l *lan) slaves(ctx context.Context, t *testing.T, master *instance) []*instance {
	t.Helper()
	ids := map[*instance]string{}
	for _, in := range but(l.instances, master) {
		v, err := in.shown(ctx)
		must(t, err)
		ids[in] = v.ID
	}
	return slices.SortedFunc(maps.Keys(ids), func(a, b *instance) int { return strings.Compare(ids[a], ids[b]) })
}

// A seat is a peer in a torrent.
type seat struct {
	hash    bittorrent.InfoHash
	address string
}

// A known is all that an instance tells of its torrents.
type known struct {
	peers  map[seat]console.Peer
	counts map[bittorrent.InfoHash]bittorrent.ScrapeCounts
}

func (in *instance) knows(ctx context.Context) (k known, err error) {
	k = known{peers: map[seat]console.Peer{}}
	if k.counts, err = in.swarms(ctx); err != nil {
		return k, err
	}
	for cursor := ""; ; {
		var page console.PeerPage
		if err := in.get(ctx, "/api/v1/peers?limit=1000"+cursor, &page); err != nil {
			return k, err
		}
		for _, p := range page.Peers {
			p.FirstSeen, p.LastSeen = time.Time{}, time.Time{} // by the clock of each instance
			k.peers[seat{p.InfoHash, p.Address}] = p
		}
		if page.Next == "" {
			return k, nil
		}
		cursor = "&cursor=" + page.Next
	}
}

// same waits until instances tell the same of all torrents, and answer the same scrape, and
// returns what.
func (l *lan) same(ctx context.Context, t *testing.T, of ...*instance) (all known) {
	t.Helper()
	must(t, of[0].eventually(ctx, l.patience, func() error {
		for i, in := range of {
			k, err := in.knows(ctx)
			if err == nil && i == 0 {
				all = k
			}
			if err = errors.Join(err, all.differs(k)); err == nil {
				err = in.scrapes(ctx, all)
			}
			if err != nil {
				return fmt.Errorf("%s and %s: %w", of[0].name, in.name, err)
			}
		}
		return nil
	}))
	return all
}

// differs returns how what another one knows is other.
func (k known) differs(other known) error {
	if !maps.Equal(k.counts, other.counts) {
		return fmt.Errorf("counts are %v and %v", some(k.counts), some(other.counts))
	}
	for at, p := range k.peers {
		if o, is := other.peers[at]; !is || !equalPeers(p, o) {
			return fmt.Errorf("a peer is %+v and %+v", p, o)
		}
	}
	for at := range other.peers {
		if _, is := k.peers[at]; !is {
			return fmt.Errorf("a peer of the second, %v, is not of the first", at)
		}
	}
	return nil
}

func equalPeers(a, b console.Peer) bool {
	left := func(p console.Peer) int64 {
		if p.Left == nil {
			return -1
		}
		return *p.Left
	}
	same := left(a) == left(b)
	a.Left, b.Left = nil, nil
	return same && a == b
}

// some returns a few of many counts, for people to read.
func some(counts map[bittorrent.InfoHash]bittorrent.ScrapeCounts) string {
	text := fmt.Sprint(counts)
	return text[:min(len(text), 600)]
}

// scrapes checks that the instance answers a scrape at its own address with the counts.
func (in *instance) scrapes(ctx context.Context, want known) error {
	hashes := slices.Collect(maps.Keys(want.counts))
	c, err := newCaller(in.host)
	if err != nil {
		return err
	}
	defer c.close()
	counts, err := c.scrape(hashes)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	for i, h := range hashes {
		if counts[i].Downloaders = 0; counts[i] != want.counts[h] {
			return fmt.Errorf("%v: a scrape says %+v, the console %+v", h, counts[i], want.counts[h])
		}
	}
	return nil
}
