package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
)

// How long an announcer waits, beside what trackers say.
const (
	leastInterval = 5 * time.Second  // whatever a tracker says
	lonelyAfter   = time.Minute      // a peer that knows nobody asks again, unless the tracker says later
	firstRetry    = 5 * time.Second  // after a failure; twice that after the next, and so on
	lastRetry     = 5 * time.Minute  //
	attemptLimit  = 75 * time.Second // for one tracker: BEP 15's first resends; groups have limits of their own
	stopLimit     = 5 * time.Second  // for the last word
)

// announcer tells trackers of one torrent: that it is started, complete, still
// there and stopped, and passes on the peers that they name.
type announcer struct {
	tiers  [][]string // URLs (BEP 12)
	ask    func() bittorrent.AnnounceRequest
	post   func(ctx context.Context, url string, a *bittorrent.AnnounceRequest, out *bittorrent.AnnounceResponse) error
	found  func([]netip.AddrPort)
	lonely func() bool          // incomplete, and without peers
	say    func(string, ...any) // to the user
	whole  <-chan struct{}      // closed once all data are there; nil if they were from the start
	again  <-chan struct{}      // has one where peers are wanted now

	told     bool   // of the start
	finished bool   // the data have become whole, and that has not been told
	said     string // the last trouble or warning
	failed   int    // in a row
}

// newTiers copies the tiers, each in an order of chance, as BEP 12 asks.
func newTiers(tiers [][]string) [][]string {
	var out [][]string
	for _, tier := range tiers {
		tier = slices.Clone(tier)
		rand.Shuffle(len(tier), func(i, j int) { tier[i], tier[j] = tier[j], tier[i] })
		out = append(out, tier)
	}
	return out
}

// run announces until ctx ends, and then that it stops.
func (a *announcer) run(ctx context.Context) {
	for ctx.Err() == nil {
		interval, least := a.announce(ctx)
		if a.failed == 0 && a.finished {
			continue // the completion cannot wait for an interval
		}
		a.wait(ctx, interval, least)
	}
	if a.told {
		a.stop(ctx)
	}
}

// stop has the last word. A completion that comes with the end is told before.
func (a *announcer) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	a.look()
	if a.finished {
		_, _ = a.first(ctx, a.request(bittorrent.EventCompleted))
		a.finished = false
	}
	_, _ = a.first(ctx, a.request(bittorrent.EventStopped))
}

// wait returns when it is time for the next announce.
func (a *announcer) wait(ctx context.Context, interval, least time.Duration) {
	early := min(interval, max(least, lonelyAfter))
	for _, d := range []time.Duration{early, interval - early} {
		select {
		case <-ctx.Done():
			return
		case <-a.whole:
			a.whole, a.finished = nil, true
			return
		case <-a.again:
			return
		case <-time.After(d):
		}
		if a.failed > 0 || a.lonely() {
			return
		}
	}
}

// look sees whether the data have become whole meanwhile.
func (a *announcer) look() {
	select {
	case <-a.whole:
		a.whole, a.finished = nil, true
	default:
	}
}

// announce asks, and returns when to ask again: usually, and at the earliest.
func (a *announcer) announce(ctx context.Context) (interval, least time.Duration) {
	a.look()
	event := bittorrent.EventNone
	switch {
	case !a.told:
		event = bittorrent.EventStarted
	case a.finished:
		event = bittorrent.EventCompleted
	}
	response, err := a.first(ctx, a.request(event))
	if err != nil && ctx.Err() != nil {
		a.told = true // perhaps: the answer may be what is missing
		return 0, 0
	}
	if err != nil {
		return a.fail(err)
	}
	a.told, a.failed = true, 0
	a.finished = a.finished && event != bittorrent.EventCompleted
	a.tell(response.Warning, "the tracker warns: ")
	return max(response.Interval, leastInterval), max(response.MinInterval, leastInterval)
}

func (a *announcer) request(event bittorrent.Event) *bittorrent.AnnounceRequest {
	r := a.ask()
	r.Event = event
	if r.Left == 0 && event != bittorrent.EventCompleted && (a.whole != nil || a.finished) {
		r.Left = 1 // a completion counts only if it comes before, or with, the first word that nothing is left
	}
	if event == bittorrent.EventStopped {
		r.NumWant = 0
	}
	return &r
}

// fail tells of an error, and returns when to try again.
func (a *announcer) fail(err error) (interval, least time.Duration) {
	a.tell(err.Error(), "")
	wait := min(firstRetry<<min(a.failed, 10), lastRetry)
	a.failed++
	var refusal *bittorrent.Refusal
	if errors.As(err, &refusal) {
		wait = max(wait, refusal.RetryIn)
	}
	return wait, wait
}

// tell says something once, however often it is heard.
func (a *announcer) tell(text, before string) {
	if text != "" && text != a.said {
		a.say("%s%s", before, printable(text))
	}
	a.said = text
}

// first asks the trackers in their order until one answers, and puts that one
// first in its tier. The peers are passed on here: they are of the packet.
func (a *announcer) first(ctx context.Context, request *bittorrent.AnnounceRequest) (bittorrent.AnnounceResponse, error) {
	var errs []error
	for _, tier := range a.tiers {
		for i, url := range tier {
			var response bittorrent.AnnounceResponse
			err := a.post(ctx, url, request, &response)
			if err == nil {
				copy(tier[1:], tier[:i])
				tier[0] = url
				a.pass(&response.Peers)
				return response, nil
			}
			errs = append(errs, fmt.Errorf("tracker %s: %w", printable(url), err))
			if ctx.Err() != nil {
				break
			}
		}
	}
	return bittorrent.AnnounceResponse{}, errors.Join(errs...)
}

func (a *announcer) pass(list *bittorrent.PeerList) {
	peers := make([]netip.AddrPort, 0, list.Len())
	for addr := range list.All() {
		if addr.Port() != 0 && !addr.Addr().IsUnspecified() && !addr.Addr().IsMulticast() {
			peers = append(peers, addr)
		}
	}
	if len(peers) > 0 {
		a.found(peers)
	}
}
