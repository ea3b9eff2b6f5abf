//go:build lab

package lab

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// frozenFor is how long a process stands still.
const frozenFor = 20 * time.Second

func pause(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

func TestClusterTakesAMasterBackThatStoodStillAndLosesNothing(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 1, unlimited...)
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	began := time.Now()
	end := a.pace(ctx, 1000, askPace)
	pause(ctx, t, 2*time.Second)
	master := l.master(ctx, t)
	frozen := time.Now()
	master.freeze()
	took, err := a.answeredAfter(ctx, frozen, time.Minute)
	must(t, err)
	figure(t, "SIGSTOP of the master until the next answer", "%s", short(took))
	if took > takeoverGoal {
		t.Errorf("that is more than %v", takeoverGoal)
	}
	second := l.agree(ctx, t, but(l.instances, master)...)
	pause(ctx, t, time.Until(frozen.Add(frozenFor)))
	thawed := time.Now()
	master.thaw()
	last := l.agree(ctx, t, l.instances...)
	figure(t, "SIGCONT of it, 20 s later, until all five are one cluster, equal", "%s; master is %s", short(time.Since(thawed)),
		map[*instance]string{master: "the one of before", second: "the one of between"}[last])
	pause(ctx, t, 5*time.Second)
	end()
	must(t, a.drain(ctx))
	l.figureWaits(t, a, thawed, thawed.Add(5*time.Second), "the five seconds after SIGCONT of the master")
	l.conclude(ctx, t, a, began, "a master that stands still for 20 s")
}

func TestClusterIsHeldUpByAFrozenSlaveForTwoAndAHalfSeconds(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 1, unlimited...)
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	began := time.Now()
	end := a.pace(ctx, 1000, askPace)
	pause(ctx, t, 2*time.Second)
	master := l.master(ctx, t)
	slave := l.slaves(ctx, t, master)[1]
	frozen := time.Now()
	slave.freeze()
	took, err := a.answeredAfter(ctx, frozen, time.Minute)
	must(t, err)
	figure(t, "SIGSTOP of a slave until the next answer", "%s", short(took))
	if took > heldFor+time.Second {
		t.Errorf("that is more than %v", heldFor)
	}
	pause(ctx, t, time.Until(frozen.Add(frozenFor)))
	thawed := time.Now()
	slave.thaw()
	if last := l.agree(ctx, t, l.instances...); last != master {
		t.Errorf("%s was master, %s is", master.name, last.name)
	}
	figure(t, "SIGCONT of it, 20 s later, until all five are one cluster, equal", "%s", short(time.Since(thawed)))
	end()
	must(t, a.drain(ctx))
	l.conclude(ctx, t, a, began, "a slave that stands still for 20 s")
}

// downloads is how many downloads of the torrent of a port were completed.
func (k known) downloads(port uint16) uint32 { return k.counts[torrentOf(port)].Downloaded }

// many announces peers of one torrent: from the n-th up.
func (a *asker) many(ctx context.Context, t *testing.T, from, to int, left int64, event bittorrent.Event) {
	t.Helper()
	for n := from; n < to; n++ {
		a.say(ctx, t, nth(n), left, event)
	}
}

// nth is the n-th port of the first torrent.
func nth(n int) uint16 { return uint16(1000 + n*askTorrents) }

func TestClusterHasNobodyBackFromAnOldDisk(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 1, unlimited...)
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	a.many(ctx, t, 0, 40, 1, bittorrent.EventStarted)
	a.many(ctx, t, 0, 5, 0, bittorrent.EventCompleted)
	off := l.master(ctx, t) // its disk has the most
	data := filepath.Join(off.dir, "waggle-data")
	stop := func() { off.quit(syscall.SIGTERM) }
	stop()
	old := filepath.Join(t.TempDir(), "old")
	must(t, os.CopyFS(old, os.DirFS(data)))
	off.launch()
	l.agree(ctx, t, l.instances...)

	a.many(ctx, t, 5, 10, 0, bittorrent.EventCompleted)
	a.many(ctx, t, 10, 20, 0, bittorrent.EventStopped)
	if _, err := a.missing(l.same(ctx, t, l.instances...)); err != nil {
		t.Error(err)
	}
	off.kill()
	l.agree(ctx, t, but(l.instances, off)...)
	a.many(ctx, t, 20, 25, 0, bittorrent.EventStopped)
	a.many(ctx, t, 25, 28, 0, bittorrent.EventCompleted)
	a.many(ctx, t, 40, 45, 1, bittorrent.EventStarted)
	if _, err := a.missing(l.same(ctx, t, but(l.instances, off)...)); err != nil {
		t.Error(err)
	}
	must(t, os.RemoveAll(data))
	must(t, os.CopyFS(data, os.DirFS(old)))
	began := time.Now()
	off.launch()
	l.agree(ctx, t, l.instances...)
	figure(t, "a machine that starts with an old disk, until it is an equal member", "%s", short(time.Since(began)))
	all := l.same(ctx, t, l.instances...)
	if n, err := a.missing(all); err != nil || n != 45 || len(all.peers) != 30 {
		t.Errorf("%v; %d peers have announced, and %d are known, want 45 and 30", err, n, len(all.peers))
	}
	if n := all.downloads(nth(0)); n != 13 {
		t.Errorf("%d downloads were completed, want 13", n)
	}

	// All off, and the one with the old disk is the first to be there again: it is master until
	// the others come, with what it has.
	for _, in := range l.instances {
		in.quit(syscall.SIGTERM)
	}
	must(t, os.RemoveAll(data))
	must(t, os.CopyFS(data, os.DirFS(old)))
	off.launch()
	l.agree(ctx, t, off)
	for _, in := range but(l.instances, off) {
		in.launch()
	}
	l.agree(ctx, t, l.instances...)
	all = l.same(ctx, t, l.instances...)
	figure(t, "all off, the old disk first on again: completed downloads, peers", "%d of 13, %d of 30", all.downloads(nth(0)), len(all.peers))
	if n := all.downloads(nth(0)); n != 13 {
		t.Errorf("%d downloads were completed, want 13", n)
	}
	for n := range 45 {
		if _, is := all.peers[a.seat(nth(n))]; !is && (n < 10 || n >= 25) {
			t.Errorf("peer %d is missing", n)
		}
	}
}

func TestClusterServesOnBothSidesOfAPartitionAndIsMerged(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2, unlimited...)
	for _, cut := range []string{"master and slave", "two slaves"} {
		t.Run(cut, func(t *testing.T) { l.partition(ctx, t, cut) })
	}
}

// partition cuts two instances and a host of peers off from the others for a while.
func (l *lan) partition(ctx context.Context, t *testing.T, who string) {
	here, there := newAsker(t, l.peers[0]), newAsker(t, l.peers[1])
	here.ready(ctx, t)
	there.ready(ctx, t)
	master := l.master(ctx, t)
	away := l.slaves(ctx, t, master)[:2]
	if who == "master and slave" {
		away[0] = master
	}
	rest := but(l.instances, away...)
	const leaves = 900 // a peer that both sides know, and that tells one of them that it goes
	here.say(ctx, t, leaves, 1, bittorrent.EventStarted)
	before := l.same(ctx, t, l.instances...)

	fabric := l.rig.name + "-fabric"
	move := func(bridge string) {
		ports := []string{portOf(there.host)}
		for _, in := range away {
			ports = append(ports, portOf(in.host))
		}
		for _, port := range ports {
			run(t, "ip", "-n", fabric, "link", "set", port, "master", bridge)
		}
	}
	run(t, "ip", "-n", fabric, "link", "add", "split", "type", "bridge")
	run(t, "ip", "-n", fabric, "link", "set", "split", "up")
	cut := time.Now()
	move("split")
	endHere, endThere := here.pace(ctx, 2000, 5*askPace), there.pace(ctx, 2000, 5*askPace)
	for side, a := range map[string]*asker{"of three": here, "of two": there} {
		took, err := a.answeredAfter(ctx, cut, time.Minute)
		must(t, err)
		figure(t, who+" cut off, until the next answer on the side "+side, "%s", short(took))
	}
	l.agree(ctx, t, rest...)
	l.agree(ctx, t, away...)
	here.many(ctx, t, 0, 10, 1, bittorrent.EventStarted)
	here.many(ctx, t, 0, 3, 0, bittorrent.EventCompleted)
	there.many(ctx, t, 0, 10, 1, bittorrent.EventStarted)
	there.many(ctx, t, 0, 4, 0, bittorrent.EventCompleted)
	here.say(ctx, t, leaves, 1, bittorrent.EventStopped)
	if k, other := l.same(ctx, t, rest...), l.same(ctx, t, away...); k.differs(other) == nil {
		t.Error("the sides know the same, so they are not cut off")
	}

	healed := time.Now()
	move("rack1")
	run(t, "ip", "-n", fabric, "link", "del", "split")
	l.agree(ctx, t, l.instances...)
	figure(t, who+" back, until all five are one cluster, equal", "%s", short(time.Since(healed)))
	endHere()
	endThere()
	must(t, here.drain(ctx))
	must(t, there.drain(ctx))
	all := l.same(ctx, t, l.instances...)
	for side, a := range map[string]*asker{"of three": here, "of two": there} {
		n, err := a.missing(all)
		if err != nil {
			t.Error(err)
		}
		figure(t, who+" cut off: peers that were answered on the side "+side+", and that all five know", "%d", n)
	}
	if n := all.downloads(nth(0)) - before.downloads(nth(0)); n != 3+4 {
		t.Errorf("%d downloads were completed, want 3 and 4", n)
	}
	here.many(ctx, t, 0, 10, 0, bittorrent.EventStopped)
	there.many(ctx, t, 0, 10, 0, bittorrent.EventStopped)
}
