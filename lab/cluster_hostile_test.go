//go:build lab

package lab

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/cluster/carrier"
	console "waggle/console/client"
)

// watched is what must not change while a stranger does its worst.
type watched struct {
	roles   string
	members int
	all     known
}

func (l *lan) watch(ctx context.Context, t *testing.T) (w watched) {
	t.Helper()
	l.agree(ctx, t, l.instances...)
	for _, in := range l.instances {
		v, err := in.shown(ctx)
		must(t, err)
		w.roles += fmt.Sprintf("%s: %s %s; ", in.name, v.Role, v.ID)
		w.members += len(v.Members)
	}
	w.all = l.same(ctx, t, l.instances...)
	return w
}

// totals returns what each instance has counted, added up.
func (l *lan) totals(ctx context.Context, t *testing.T) (sum console.ClusterTotals) {
	t.Helper()
	for _, in := range l.instances {
		v, err := in.shown(ctx)
		must(t, err)
		sum.Bad += v.Totals.Bad
		sum.Strange += v.Totals.Strange
		sum.Forged += v.Totals.Forged
		sum.Replayed += v.Totals.Replayed
		sum.Lost += v.Totals.Lost
		sum.Committed += v.Totals.Committed
	}
	return sum
}

// message is one of a cluster, without a trailer.
func message(kind uint32, parts ...[]byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, kind), slices.Concat(parts...)...)
}

// forgeries are messages of a stranger that would do harm if they were believed.
func forgeries(t *testing.T, masterID string) map[string][]byte {
	t.Helper()
	id, err := hex.DecodeString(masterID)
	must(t, err)
	lowest := append(make([]byte, 19), 1)
	transaction := slices.Concat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{0, 0, 0, 1}, []byte{0, 0, 0, 9})
	announce := bittorrent.AppendUDPAnnounce(nil, 1, 9, &bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{0xee}, Port: 666, Left: 1}, "")
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMicro()))
	source := netip.MustParseAddr("10.66.1.66").As16()
	forward := slices.Concat(at, source[:], []byte{0x02, 0x9a}, announce)
	return map[string][]byte{
		"KA of the lowest ID":  message(0, lowest),
		"KA of the master's":   message(0, id),
		"ME for the lowest ID": message(1, lowest),
		"HI":                   message(2, transaction[:8]),
		"DS-ready":             message(3, transaction, announce[16:36]),
		"DS-commit":            message(4, transaction),
		"DS-done":              message(5, transaction),
		"a request":            message(0x57670001, forward),
		"BYE of the master":    message(0x57670008, id),
	}
}

// wrongSeal seals messages with another secret, or none at all.
func (s *stranger) seals(t *testing.T, b []byte) [][]byte {
	t.Helper()
	seal, err := carrier.NewSeal(carrier.SealOptions{Secret: []byte("fedcba9876543210fedcba9876543210"), Name: clusterGroup, Address: s.own()})
	must(t, err)
	sealed := slices.Clone(seal.Seal(netip.AddrPort{}, b)[0])
	return [][]byte{b, sealed, append(slices.Clone(b), make([]byte, 32)...)}
}

func TestClusterIgnoresAndCountsAStranger(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2, unlimited...)
	a := newAsker(t, l.peers[0])
	s := newStranger(t, l.peers[1])
	a.ready(ctx, t)
	record := l.newTap(t, 0)
	a.many(ctx, t, 0, 50, 1, bittorrent.EventStarted)
	a.many(ctx, t, 0, 10, 0, bittorrent.EventStopped)
	a.many(ctx, t, 50, 250, 1, bittorrent.EventStarted)
	before, counted, old := l.watch(ctx, t), l.totals(ctx, t), record.packets()
	calm := func(what string) {
		t.Helper()
		if now := l.watch(ctx, t); now.roles != before.roles || now.members != before.members || now.all.differs(before.all) != nil {
			t.Errorf("after %s:\n%+v\nbefore:\n%+v", what, now, before)
		}
	}
	elections := l.elections()

	group := netip.MustParseAddrPort(clusterGroup)
	master, err := l.master(ctx, t).shown(ctx)
	must(t, err)
	own := l.own(ctx, t)
	sent := 0
	for range 20 {
		for _, b := range forgeries(t, master.ID) {
			for _, payload := range s.seals(t, b) {
				for _, from := range append(slices.Clone(own), s.own()) {
					for _, to := range append(slices.Clone(own), group) {
						must(t, s.send(packet{from, to, payload}))
						sent += reached(own, from, to)
					}
				}
			}
		}
		pause(ctx, t, 100*time.Millisecond)
	}
	calm("forged messages")
	l.refused(ctx, t, &counted, "forged KA, ME, HI, DS, requests and BYE", sent)

	sent = s.replay(t, old, own)
	calm("recorded packets")
	l.refused(ctx, t, &counted, fmt.Sprintf("%d recorded packets, sent again", len(old)), sent)
	if n := l.elections(); n != elections {
		t.Errorf("%d elections", n-elections)
	}

	// The master is another one now, and the one of before has another life.
	dead := l.master(ctx, t)
	end := a.pace(ctx, 30_000, askPace)
	l.killMaster(ctx, t, a, takeoverGoal)
	end()
	must(t, a.drain(ctx))
	before = l.watch(ctx, t)
	counted, elections = l.totals(ctx, t), l.elections()
	sent = s.replay(t, old, l.own(ctx, t))
	calm("packets of the time before")
	l.refused(ctx, t, &counted, fmt.Sprintf("those %d of before the master's restart, again", len(old)), sent)
	if n := l.elections(); n != elections {
		t.Errorf("%d elections", n-elections)
	}
	l.said(ctx, t, but(l.instances, dead)...)
}

// own returns the addresses of the instances, by which they know each other.
func (l *lan) own(ctx context.Context, t *testing.T) (list []netip.AddrPort) {
	t.Helper()
	for _, in := range l.instances {
		v, err := in.shown(ctx)
		must(t, err)
		list = append(list, netip.MustParseAddrPort(v.Address))
	}
	return list
}

// reached is how many instances take in what goes to an address. A machine takes in nothing that
// seems to come from itself.
func reached(own []netip.AddrPort, from, to netip.AddrPort) (n int) {
	for _, in := range own {
		if in.Addr() != from.Addr() && (in == to || to.Addr().IsMulticast()) {
			n++
		}
	}
	return n
}

// replay sends packets again, from the addresses from which they came, and returns how many
// of them are heard.
func (s *stranger) replay(t *testing.T, list []packet, own []netip.AddrPort) (heard int) {
	t.Helper()
	for i, p := range list {
		must(t, s.send(p))
		heard += reached(own, p.from, p.to)
		if i%100 == 99 {
			time.Sleep(time.Millisecond) // queues of switches are short
		}
	}
	return heard
}

// refused checks that what a stranger sent was counted, all but what a queue may have lost.
func (l *lan) refused(ctx context.Context, t *testing.T, before *console.ClusterTotals, what string, sent int) {
	t.Helper()
	var now console.ClusterTotals
	not := func() int {
		return int(now.Bad + now.Forged + now.Replayed + now.Strange + now.Lost - before.Bad - before.Forged - before.Replayed - before.Strange - before.Lost)
	}
	err := l.instances[0].eventually(ctx, 5*time.Second, func() error {
		if now = l.totals(ctx, t); not() < sent*98/100 {
			return fmt.Errorf("of %d packets of a stranger, %s, %d were counted", sent, what, not())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	figure(t, what, "%d heard, not taken: %d broken, %d forged, %d replayed, %d strange, %d without room", sent,
		now.Bad-before.Bad, now.Forged-before.Forged, now.Replayed-before.Replayed, now.Strange-before.Strange, now.Lost-before.Lost)
	*before = now
}

// mostComplaints is how many lines of log a stranger may cause, whatever it sends.
const mostComplaints = 10

// said checks that instances have told their operators of packets that they did not take, and
// have not told them too often.
func (l *lan) said(ctx context.Context, t *testing.T, of ...*instance) {
	t.Helper()
	most := 0
	for _, in := range of {
		must(t, in.eventually(ctx, 5*time.Second, func() error {
			n := 0
			for line := range strings.Lines(in.stderr.whole()) {
				if strings.Contains(line, "none of this cluster's") || strings.Contains(line, "came before") {
					n++
				}
			}
			if n == 0 || n > mostComplaints {
				return fmt.Errorf("it wrote %d lines of packets that it did not take:\n%s", n, in.stderr.String())
			}
			most = max(most, n)
			return nil
		}))
	}
	figure(t, "lines of log that an instance wrote of what it did not take, at most", "%d", most)
}

func TestClusterGoesOnInAFloodOfRubbish(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2, unlimited...)
	a := newAsker(t, l.peers[0])
	s := newStranger(t, l.peers[1])
	a.ready(ctx, t)
	began := time.Now()
	end := a.pace(ctx, 1000, askPace)
	pause(ctx, t, floodFor)
	l.figureWaits(t, a, began, time.Now(), "before a flood")
	elections := l.elections()
	master, err := l.master(ctx, t).shown(ctx)
	must(t, err)
	for _, at := range []string{clusterGroup, peersGroup, master.Address} {
		flooded, counted := time.Now(), l.totals(ctx, t)
		sent, err := s.flood(netip.MustParseAddrPort(at), floodRate, floodFor)
		must(t, err)
		during := time.Since(flooded)
		figure(t, "flood of rubbish to "+at, "%.0f packets a second for %v", float64(sent)/during.Seconds(), short(during))
		l.figureWaits(t, a, flooded, flooded.Add(during), "meanwhile")
		if all, silent, _ := a.waits(flooded, flooded.Add(during)); len(all) < silent {
			t.Errorf("%d announces were answered meanwhile, %d not", len(all), silent)
		}
		if at != peersGroup {
			now := l.totals(ctx, t)
			figure(t, "of these, counted as broken or forged; the kernel lost the others", "%.1f %%",
				100*float64(now.Bad+now.Forged-counted.Bad-counted.Forged)/float64(sent*map[string]int{clusterGroup: instanceCount, master.Address: 1}[at]))
		}
	}
	figure(t, "elections meanwhile", "%d", l.elections()-elections)
	end()
	must(t, a.drain(ctx))
	l.conclude(ctx, t, a, began, "all of that, and a flood")
	l.said(ctx, t, l.instances...)
}

const (
	floodRate = 50_000 // packets a second
	floodFor  = 10 * time.Second
)
