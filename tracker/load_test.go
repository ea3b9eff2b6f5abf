package tracker_test

import (
	"container/heap"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// crowd is a tracker and clients that keep to what it tells them, in time that
// passes as fast as it is computed.
type crowd struct {
	t      *testing.T
	now    time.Duration // since began
	random *rand.Rand
	store  swarm.Store
	tr     *tracker.Tracker

	due    appointments
	reply  swarm.Reply
	counts []int // announces that were answered, by the minute

	longest time.Duration // interval that any was told
}

// newCrowd returns one without clients yet. random may be nil.
func newCrowd(t *testing.T, s tracker.Settings, random func() float64) *crowd {
	c := &crowd{t: t, random: rand.New(rand.NewPCG(1, 2)), store: memory.New(memory.Options{})}
	if random == nil {
		random = c.random.Float64
	}
	c.tr = tracker.New(c.store, s, tracker.Options{
		Now:    func() time.Time { return began.Add(c.now) },
		Random: random,
	})
	t.Cleanup(func() { _ = c.store.Close() })
	return c
}

// add lets new clients come at random times within a span from now on.
func (c *crowd) add(n int, within time.Duration) {
	for range n {
		at := c.now + time.Duration(c.random.Int64N(int64(within)))
		heap.Push(&c.due, appointment{at, len(c.due)})
	}
}

// run lets whole minutes pass, and cleans after each.
func (c *crowd) run(span time.Duration) {
	for end := c.now + span; c.now < end; {
		minute := c.now + time.Minute
		c.counts = append(c.counts, 0)
		for len(c.due) > 0 && c.due[0].at < minute {
			c.now = max(c.now, c.due[0].at)
			c.visit(&c.due[0])
		}
		c.now = minute
		if err := c.tr.CleanOnce(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// visit lets the next client announce.
func (c *crowd) visit(next *appointment) {
	wait, err := c.announce(next.client, bittorrent.EventNone)
	refusal, later := errors.AsType[*bittorrent.Refusal](err)
	switch {
	case later:
		wait = refusal.RetryIn
	case err != nil:
		c.t.Fatal(err)
	default:
		c.counts[len(c.counts)-1]++
	}
	next.at = c.now + wait
	heap.Fix(&c.due, 0)
}

// announce sends one announce of a client and returns the interval that it is told.
func (c *crowd) announce(client int, event bittorrent.Event) (interval time.Duration, err error) {
	c.reply.Reset()
	a := announce(client, c.tr.Now())
	a.Event, a.NumWant = event, 0
	err = c.tr.Announce(c.t.Context(), a, &c.reply)
	c.longest = max(c.longest, c.reply.Interval)
	return c.reply.Interval, err
}

// peers returns how many the tracker knows.
func (c *crowd) peers() int {
	totals, _ := c.store.Totals(c.t.Context())
	return totals.Peers
}

// between returns the average and the most announces of a minute in a span.
func (c *crowd) between(from, to time.Duration) (average, most int) {
	minutes := c.counts[int(from/time.Minute):int(to/time.Minute)]
	for _, n := range minutes {
		average += n
		most = max(most, n)
	}
	return average / len(minutes), most
}

type appointment struct {
	at     time.Duration
	client int
}

// appointments are a heap.
type appointments []appointment

func (a appointments) Len() int           { return len(a) }
func (a appointments) Less(i, j int) bool { return a[i].at < a[j].at }
func (a appointments) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *appointments) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any          { panic("a client that left") }

// paced returns settings with a rate of announces a second.
func paced(rate int) tracker.Settings {
	s := settings
	s.Rate = rate
	return s
}

// Three times as many clients as the rate is for: at the interval they would be
// 900 announces a minute.
func TestClientsComeBackNoFasterThanTheRateHoweverTheyCame(t *testing.T) {
	for name, within := range map[string]time.Duration{"in a minute": time.Minute, "in half an hour": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			const rate, clients, hours = 5, 27_000, 5
			c := newCrowd(t, paced(rate), nil)
			c.add(clients, within)
			c.run(hours * time.Hour)
			average, most := c.between(3*time.Hour, hours*time.Hour)
			if average < 280 || average > 305 || most > 390 {
				t.Errorf("%d announces a minute, %d at most; want 300, and few more", average, most)
			}
			if f := c.tr.Figures(); f.Expired != 0 || c.peers() != clients || f.Lengthened == 0 {
				t.Errorf("%d peers, figures %+v; want all of %d, as all keep to what they are told", c.peers(), f, clients)
			}
		})
	}
}

func TestFewClientsAreToldTheIntervalAlthoughTheyCameTogether(t *testing.T) {
	c := newCrowd(t, paced(5), nil)
	c.add(4000, 10*time.Minute) // 6.7 a second, and 2.2 at the interval
	c.run(4 * time.Hour)
	c.longest = 0
	c.run(4 * time.Hour)
	if c.longest > 34*time.Minute || c.tr.Figures().Shed != 0 || c.peers() != 4000 {
		t.Errorf("%d peers, intervals of up to %v, figures %+v; want what jitter makes of the interval", c.peers(), c.longest, c.tr.Figures())
	}
}

func TestPeersThatWereToldALongIntervalAreForgottenOnceItIsOver(t *testing.T) {
	c := newCrowd(t, paced(5), nil)
	c.add(18_000, 30*time.Minute) // who are told to come back after an hour
	c.run(4 * time.Hour)
	c.due = nil
	c.run(10 * time.Minute)
	if c.peers() != 18_000 {
		t.Errorf("%d peers ten minutes after the first did not come, want 18,000", c.peers())
	}
	c.run(75 * time.Minute)
	if c.peers() != 0 {
		t.Errorf("%d peers are still there after the lifetime and the extra wait", c.peers())
	}

	c.add(1, time.Second)
	c.run(40 * time.Minute)
	if c.peers() != 1 {
		t.Error("a peer that is on time was forgotten")
	}
	c.due = nil
	c.run(47 * time.Minute)
	if c.peers() != 0 {
		t.Error("the lifetime is still longer than it was, an hour after the load has gone")
	}
}

// half makes jitter nothing.
func half() float64 { return 0.5 }

func TestIntervalGrowsWithWhatIsTooMuchUpToEightfoldAndShrinksAgain(t *testing.T) {
	c := newCrowd(t, paced(1), half)
	told := func(after time.Duration) time.Duration {
		c.now += after
		interval, err := c.announce(1, bittorrent.EventNone)
		if err != nil {
			t.Fatal(err)
		}
		return interval
	}
	if got := told(time.Second); got != 30*time.Minute || c.reply.MinInterval != 15*time.Minute {
		t.Fatalf("at first: interval %v, min interval %v", got, c.reply.MinInterval)
	}
	for range 2 * 3600 { // two a second for an hour: an hour's worth is too much
		told(time.Second / 2)
	}
	if got, least := told(time.Second), c.reply.MinInterval; got != 90*time.Minute || least != 75*time.Minute {
		t.Errorf("after an hour: interval %v, min interval %v; want an hour more", got, least)
	}
	for range 2 * 4 * 3600 {
		told(time.Second / 2)
	}
	if got := told(time.Second); got != 8*30*time.Minute {
		t.Errorf("after five hours: interval %v, want eight times as long", got)
	}
	if got := told(time.Hour).Round(time.Minute); got != 3*time.Hour {
		t.Errorf("after a quiet hour: interval %v, want an hour less", got)
	}
	if got := told(3 * time.Hour); got != 30*time.Minute {
		t.Errorf("after four quiet hours: interval %v, want the usual one", got)
	}
	if f := c.tr.Figures(); f.Shed != 0 {
		t.Errorf("%d announces shed at twice the rate", f.Shed)
	}
}

func TestMinIntervalThatIsNotSaidStaysUnsaid(t *testing.T) {
	s := paced(1)
	s.MinInterval = 0
	c := newCrowd(t, s, half)
	for range 100 {
		_, _ = c.announce(1, bittorrent.EventNone)
	}
	if c.reply.Interval <= s.Interval || c.reply.MinInterval != 0 {
		t.Errorf("interval %v, min interval %v", c.reply.Interval, c.reply.MinInterval)
	}
}

func TestPeersThatLeaveMakeNoAppointment(t *testing.T) {
	c := newCrowd(t, paced(1), half)
	for range 100 {
		_, _ = c.announce(1, bittorrent.EventStopped)
	}
	if got, _ := c.announce(1, bittorrent.EventNone); got != 30*time.Minute {
		t.Errorf("interval %v, want the usual one", got)
	}
}

func TestWithoutARateNothingIsLengthenedOrShed(t *testing.T) {
	c := newCrowd(t, settings, half)
	for range 10_000 {
		c.now += time.Millisecond
		if got, err := c.announce(1, bittorrent.EventNone); err != nil || got != 30*time.Minute {
			t.Fatalf("interval %v, %v", got, err)
		}
	}
}

// flood sends a number of announces a second for a minute, from clients 1,000 to
// 1,999, and returns how many a second were answered in its second half.
func (c *crowd) flood(perSecond int, events ...bittorrent.Event) map[bittorrent.Event]float64 {
	answered := map[bittorrent.Event]float64{}
	for i := range 60 * perSecond {
		c.now += time.Second / time.Duration(perSecond)
		event := events[i%len(events)]
		_, err := c.announce(1000+i%1000, event)
		if refusal, ok := errors.AsType[*bittorrent.Refusal](err); err != nil && (!ok || refusal.RetryIn < time.Minute || refusal.RetryIn > 15*time.Minute) {
			c.t.Fatalf("got %v, want a refusal for at most half the interval", err)
		}
		if err == nil && i >= 30*perSecond {
			answered[event] += 1.0 / 30
		}
	}
	return answered
}

func TestWhatIsMoreThanTwiceTheRateIsShed(t *testing.T) {
	for _, perSecond := range []int{150, 200, 300, 2000} {
		c := newCrowd(t, paced(100), nil)
		want := min(float64(perSecond), 200)
		if got := c.flood(perSecond, bittorrent.EventNone, bittorrent.EventStarted, bittorrent.EventPaused); got[bittorrent.EventNone]*3 < want*0.9 || got[bittorrent.EventNone]*3 > want*1.1 {
			t.Errorf("of %d a second %v were answered, want %v", perSecond, got, want)
		}
		if f := c.tr.Figures(); (f.Shed > 0) != (perSecond > 200) || f.Refused != 0 {
			t.Errorf("%d a second: figures %+v", perSecond, f)
		}
	}
}

func TestPeersThatLeaveOrCompleteAreNeverShed(t *testing.T) {
	c := newCrowd(t, paced(100), nil)
	got := c.flood(1000, bittorrent.EventNone, bittorrent.EventStopped, bittorrent.EventCompleted, bittorrent.EventStarted, bittorrent.EventNone)
	if got[bittorrent.EventStopped] < 199 || got[bittorrent.EventCompleted] < 199 {
		t.Errorf("answered %v, want 200 a second of those who leave or complete", got)
	}
	if got[bittorrent.EventNone]+got[bittorrent.EventStarted] > 0 {
		t.Errorf("answered %v: the others were not shed, although these alone are too many", got)
	}
}

func TestSheddingEndsWithTheFlood(t *testing.T) {
	c := newCrowd(t, paced(100), nil)
	c.flood(2000, bittorrent.EventNone)
	c.now += time.Minute
	for range 1000 {
		c.now += time.Second / 100
		if _, err := c.announce(1, bittorrent.EventNone); err != nil {
			t.Fatal("an announce was shed a minute after the flood")
		}
	}
}

func TestPeersThatAreShedAreNotForgottenBeforeTheyMayComeBack(t *testing.T) {
	s := paced(100)
	s.Interval, s.MinInterval, s.PeerLifetime = 30*time.Minute, 0, 34*time.Minute // hardly more than the longest interval
	c := newCrowd(t, s, nil)
	for client := range 100 {
		_, _ = c.announce(client, bittorrent.EventNone)
	}
	c.now += 33 * time.Minute
	c.flood(5000, bittorrent.EventNone)
	c.now += 12 * time.Minute
	if err := c.tr.CleanOnce(t.Context()); err != nil || c.tr.Figures().Expired != 0 {
		t.Errorf("%d peers forgotten while they wait, %v", c.tr.Figures().Expired, err)
	}
}

func TestSheddingAllocatesNothing(t *testing.T) {
	c := newCrowd(t, paced(1), nil)
	c.flood(1000, bittorrent.EventNone)
	before := c.tr.Figures().Shed
	a, r, ctx := announce(1, c.tr.Now()), new(swarm.Reply), t.Context()
	if n := testing.AllocsPerRun(100, func() {
		err := c.tr.Announce(ctx, a, r)
		_, _ = errors.AsType[*bittorrent.Refusal](err)
	}); n != 0 || c.tr.Figures().Shed < before+90 {
		t.Errorf("%v allocations, want 0; figures %+v", n, c.tr.Figures())
	}
}
