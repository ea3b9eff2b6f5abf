package tracker

import (
	"context"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Browsers are peers that others reach over WebRTC alone. Each is reached by a connection
// that this process holds, so they are in no store: nobody who announces over UDP or HTTP
// is told of them. All methods may be called concurrently.
type Browsers interface {
	// Count returns how many of a torrent have everything, and how many have not. It must
	// not allocate, and takes next to no time where there are none at all.
	Count(h *bittorrent.InfoHash) (seeders, leechers uint32)

	// Expire forgets those whose latest announce is before the given time, and returns how
	// many they were.
	Expire(before time.Time) (peers int)
}

// browserIntervals is after how many intervals without an announce a browser is forgotten
// that is still connected.
const browserIntervals = 3

// Visit is what an announce of a browser takes. It may be used for one after the other.
type Visit struct {
	// Record records the event, selects to whom the browser may turn, and sets Complete and
	// Incomplete of the reply to how many browsers there are then.
	Record func(*swarm.Announce, *swarm.Reply)

	hash   [1]bittorrent.InfoHash // that the store is asked for
	counts [1]bittorrent.ScrapeCounts
}

// AnnounceBrowser decides an announce of a peer that others reach over WebRTC, which has no
// port. Where [Tracker.Announce] has the store, this has v.Record; the peers of the store are
// added to the counts that it sets. Where the torrent is not served, or the browser may not
// announce any more, the event is that it has stopped. The error is as that of Announce.
// a.NumWant is replaced by to how many others the browser may turn.
func (t *Tracker) AnnounceBrowser(ctx context.Context, a *swarm.Announce, r *swarm.Reply, v *Visit) error {
	s := t.settings.Load()
	hot := t.figures.at(&a.InfoHash)
	hot.announces.Add(1)
	if err := t.enter(a); err != nil {
		v.leave(a, r)
		return err
	}
	standing := t.standing(s, &a.InfoHash)
	if standing == denied || standing == passive {
		return t.turnBrowserAway(s, standing, a, r, v)
	}
	if err := t.shed(s, a); err != nil {
		t.figures.shed.Add(1)
		return err
	}
	a.NumWant = s.places(a)
	v.Record(a, r)
	if standing == listed {
		t.tell(a)
	}
	for _, recorder := range t.options.Recorders {
		recorder.Announce(a)
	}
	if a.Event == bittorrent.EventCompleted {
		hot.completed.Add(1)
	}
	r.Interval = t.jittered(s.BrowserInterval)
	t.lengthen(s, s.BrowserInterval, a, r)
	t.countStored(ctx, a, r, v)
	return nil
}

// leave has the browser told to nobody any more, and says nothing of others.
func (v *Visit) leave(a *swarm.Announce, r *swarm.Reply) {
	a.Event, a.NumWant = bittorrent.EventStopped, 0
	v.Record(a, r)
	r.Complete, r.Incomplete = 0, 0
}

// turnBrowserAway answers an announce to a torrent that is refused, or not served now.
func (t *Tracker) turnBrowserAway(s *Settings, standing standing, a *swarm.Announce, r *swarm.Reply, v *Visit) error {
	stopped := a.Event == bittorrent.EventStopped
	v.leave(a, r)
	if standing == denied {
		t.figures.denied.Add(1)
		return ErrDenied
	}
	t.figures.at(&a.InfoHash).passive.Add(1)
	if !stopped && t.gate != nil {
		t.gate.Ask(&a.InfoHash, a.Now)
	}
	r.Warning = WarnPassive
	r.Interval = t.jittered(s.PassiveInterval)
	return nil
}

// countStored adds the peers of the store to the counts of a reply. Where the store cannot
// be asked, the client is warned: browsers find each other without it.
func (t *Tracker) countStored(ctx context.Context, a *swarm.Announce, r *swarm.Reply, v *Visit) {
	v.hash[0] = a.InfoHash
	if err := t.store.Scrape(ctx, v.hash[:], v.counts[:]); err != nil {
		r.Warning = t.storeFailed(err).Error()
		return
	}
	r.Complete += v.counts[0].Complete
	r.Incomplete += v.counts[0].Incomplete
	r.Downloaded = v.counts[0].Downloaded
}

// countBrowsers adds the browsers of torrents to the counts of a scrape.
func (t *Tracker) countBrowsers(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) {
	if t.options.Browsers == nil {
		return
	}
	for i := range hashes {
		seeders, leechers := t.options.Browsers.Count(&hashes[i])
		counts[i].Complete += seeders
		counts[i].Incomplete += leechers
		counts[i].Downloaders += leechers
	}
}

// expireBrowsers forgets the browsers that have been silent for several intervals, and for
// as long as any was told to wait beyond that.
func (t *Tracker) expireBrowsers(now time.Time) {
	if t.options.Browsers == nil {
		return
	}
	lifetime := browserIntervals*t.settings.Load().BrowserInterval + t.load.kept(now)
	t.figures.expired.Add(uint64(t.options.Browsers.Expire(now.Add(-lifetime))))
}

// Unlimited tells whether an address is not held to Settings.AddressRate.
func (t *Tracker) Unlimited(from netip.Addr) bool {
	return t.limiter.rule.Load().unlimited.contain(from)
}
