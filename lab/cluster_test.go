//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// What is promised: a master is missed after two keepalives and half of one, and the next one
// has then three seconds.
const (
	takeoverGoal = 5 * time.Second
	heldFor      = 2500 * time.Millisecond
	askPace      = 20 * time.Millisecond
)

func TestClusterOfFiveNeedsNothingButGroupAndSecret(t *testing.T) {
	ctx := working(t)
	began := time.Now()
	l := newLAN(ctx, t, 1)
	figure(t, "five instances, started at once, are one cluster", "%s after the start", short(time.Since(began)))
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	for port := uint16(1001); port <= 1020; port++ { // an address may announce 50 times a second
		a.say(ctx, t, port, int64(port%3), bittorrent.EventStarted)
		a.say(ctx, t, port, 0, bittorrent.EventCompleted)
	}
	all := l.same(ctx, t, l.instances...)
	if _, err := a.missing(all); err != nil || len(all.peers) != 20 || len(all.counts) != askTorrents {
		t.Errorf("%v; all know %d peers of %d torrents", err, len(all.peers), len(all.counts))
	}
	var completed uint32
	for _, c := range all.counts {
		completed += c.Downloaded
	}
	if completed != 13 { // the others have begun with nothing left
		t.Errorf("%d downloads were completed, want 13", completed)
	}
	for _, in := range l.instances {
		must(t, in.eventually(ctx, l.patience, func() error {
			out, err := in.command(ctx, "", "cluster")
			if err == nil && (!strings.Contains(out, "announces are taken in; 20 peers known") || strings.Count(out, "slave") != 4) {
				err = errors.New(out)
			}
			return err
		}))
	}
}

// killMaster kills the master without a word, and others with it, and returns how long it took
// until a request was answered that was sent after that.
func (l *lan) killMaster(ctx context.Context, t *testing.T, a *asker, goal time.Duration, others ...*instance) (took time.Duration) {
	t.Helper()
	dead := append([]*instance{l.master(ctx, t)}, others...)
	for _, in := range dead[1:] {
		_ = syscall.Kill(-in.cmd.Process.Pid, syscall.SIGKILL)
	}
	killed := time.Now()
	for _, in := range dead {
		in.kill()
	}
	took, err := a.answeredAfter(ctx, killed, time.Minute)
	must(t, err)
	if took > goal {
		t.Errorf("announces went on %v after the kill, which is more than %v", short(took), goal)
	}
	for _, in := range dead {
		in.launch()
	}
	return took
}

func TestClusterGoesOnWithinFiveSecondsOfAKill(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 1, unlimited...)
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	began := time.Now()
	end := a.pace(ctx, 1000, askPace)
	var one, two []time.Duration
	for range kills() {
		one = append(one, l.killMaster(ctx, t, a, takeoverGoal))
		l.agree(ctx, t, l.instances...)
	}
	for range 2 {
		lowest := l.slaves(ctx, t, l.master(ctx, t))[0]
		two = append(two, l.killMaster(ctx, t, a, takeoverGoal, lowest))
		l.agree(ctx, t, l.instances...)
	}
	end()
	must(t, a.drain(ctx))
	figure(t, "kill -9 of the master until the next answer", "%s", times(one))
	figure(t, "kill -9 of master and lowest slave until the next answer", "%s", times(two))
	l.conclude(ctx, t, a, began, "all of that")
}

func TestClusterGoesOnWhereEachTenthPacketIsLost(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 1, unlimited...)
	a := newAsker(t, l.peers[0])
	a.ready(ctx, t)
	began := time.Now()
	elections := l.elections()
	restore := l.lose(t, 10)
	end := a.pace(ctx, 1000, 5*askPace)
	pause(ctx, t, lossyTime())
	figure(t, "10 % of the packets of each instance lost both ways, nobody killed",
		"%d elections seen by one or more in %v", l.elections()-elections, lossyTime())
	l.figureWaits(t, a, began, time.Now(), "announces meanwhile")
	var one []time.Duration
	for range (kills() + 1) / 2 {
		one = append(one, l.killMaster(ctx, t, a, lossyGoal))
		l.agree(ctx, t, l.instances...)
	}
	end()
	figure(t, "with that, kill -9 of the master until the next answer", "%s", times(one))
	t.Log(restore())
	must(t, a.drain(ctx))
	l.conclude(ctx, t, a, began, "all of that, while packets are lost")
}

// lossyGoal is when a peer asks for the third time. Where packets are lost a vote comes three
// seconds later, and a new master waits six for what members have.
const lossyGoal = 2 * askAgain

func kills() int {
	if *quick {
		return 2
	}
	return 8
}

func lossyTime() time.Duration {
	if *quick {
		return 20 * time.Second
	}
	return time.Minute
}

// conclude checks that all instances know the same, and all that was answered, and says how long
// answers took since a time.
func (l *lan) conclude(ctx context.Context, t *testing.T, a *asker, since time.Time, what string) (all known) {
	t.Helper()
	l.agree(ctx, t, l.instances...)
	all = l.same(ctx, t, l.instances...)
	n, err := a.missing(all)
	if err != nil {
		t.Error(err)
	}
	figure(t, what+": peers that were answered, and that all five know", "%d", n)
	l.figureWaits(t, a, since, time.Now(), what)
	return all
}

// figureWaits prints how long announces waited for answers that were sent within a time.
func (l *lan) figureWaits(t *testing.T, a *asker, from, to time.Time, what string) {
	t.Helper()
	all, silent, again := a.waits(from, to)
	if len(all) == 0 {
		t.Fatalf("%s: nothing was answered", what)
	}
	figure(t, what+": announce to answer, median / 99 % / longest", "%s / %s / %s; of %d announces %d asked again, %d not answered yet",
		short(all[len(all)/2]), short(all[len(all)*99/100]), short(all[len(all)-1]), len(all)+silent, again, silent)
}

// elections returns how often instances wrote that a master is elected, as far as their logs go back.
func (l *lan) elections() (n int) {
	for _, in := range l.instances {
		n = max(n, strings.Count(in.stderr.whole(), "a master is elected"))
	}
	return n
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// times are some, from the shortest to the longest.
func times(list []time.Duration) string {
	slices.Sort(list)
	var texts []string
	for _, d := range list {
		texts = append(texts, fmt.Sprintf("%.2f", d.Seconds()))
	}
	return strings.Join(texts, ", ") + " s"
}
