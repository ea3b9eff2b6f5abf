package simulate

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/swarm"
)

// epoch is the tracker's time when the simulated time is 0.
var epoch = time.Unix(1_700_000_000, 0)

const (
	probeEvery = 5 * time.Second
	// stubborn is the interval that some clients keep whatever they are told.
	stubborn = 300 * time.Second
)

// tell announces a host, which dials whom it is told of.
func (w *world) tell(ctx context.Context, i int32, event bittorrent.Event) error {
	h, a := &w.hosts[i], &w.announce
	addr := addrOf(i)
	a.From, a.Port = addr.Addr(), addr.Port()
	copy(a.PeerID[:], "-SI0001-")
	binary.BigEndian.PutUint32(a.PeerID[16:], uint32(i))
	a.Event, a.Key = event, uint32(i)
	a.Uploaded, a.Downloaded = int64(h.gave), int64(h.got)
	a.Left = 0
	if !h.complete {
		a.Left = max(w.o.Size-int64(h.got), 1)
	}
	a.Location = w.nodes[h.rack].place
	a.Now = epoch.Add(w.now)
	w.reply.Reset()
	if err := w.tracker.store.Announce(ctx, a, &w.reply); err != nil {
		return err
	}
	w.announces++
	if event == bittorrent.EventStopped {
		return nil
	}
	interval := w.tracker.interval(w.reply.Pace, a, w.random.Float64())
	if h.slow {
		interval = max(interval, swarm.Jittered(stubborn, w.random.Float64()))
	}
	h.next = w.now + interval
	w.told(i)
	return nil
}

// startAndAnnounce starts the hosts whose time has come, and announces those whose
// interval is over.
func (w *world) startAndAnnounce(ctx context.Context) error {
	for _, i := range w.order {
		h := &w.hosts[i]
		var err error
		switch {
		case h.state == waiting && w.now >= h.starts:
			err = w.start(ctx, i)
		case h.state == up && w.now >= h.next:
			err = w.tell(ctx, i, bittorrent.EventNone)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) start(ctx context.Context, i int32) error {
	h := &w.hosts[i]
	h.state = up
	h.rechoke = w.now + time.Duration(w.random.Int64N(int64(rechokeEvery)))
	if i == w.origin {
		h.complete, h.missing = true, 0
		for p := range w.pieces {
			put(h.have, int32(p))
		}
	}
	return w.tell(ctx, i, bittorrent.EventStarted)
}

// complete makes a seed of a host. It needs no other seeds.
func (w *world) complete(i int32) {
	h := &w.hosts[i]
	h.complete, h.finished = true, w.now+w.tick
	if w.o.SeedTime > 0 {
		h.leaves = h.finished + w.o.SeedTime
	}
	for k := len(h.conns) - 1; k >= 0; k-- {
		if e := h.conns[k]; w.hosts[w.edges[e].to].complete {
			w.hangUp(e)
		}
	}
	w.completed = append(w.completed, i)
}

// quitters takes away the hosts whose time as seeds is over, and has those that
// completed say so.
func (w *world) quitters(ctx context.Context) error {
	for _, i := range w.completed {
		if w.hosts[i].state == up {
			if err := w.tell(ctx, i, bittorrent.EventCompleted); err != nil {
				return err
			}
		}
	}
	w.completed = w.completed[:0]
	if w.o.SeedTime == 0 {
		return nil
	}
	for _, i := range w.order {
		if h := &w.hosts[i]; h.state == up && h.leaves > 0 && w.now >= h.leaves {
			if err := w.leave(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) leave(ctx context.Context, i int32) error {
	err := w.tell(ctx, i, bittorrent.EventStopped)
	w.quit(i)
	return err
}

// befall lets the events happen whose time has come.
func (w *world) befall(ctx context.Context) error {
	for len(w.events) > 0 && w.now >= w.events[0].At {
		e := w.events[0]
		w.events = w.events[1:]
		whom, err := w.whom(ctx, e.Whom)
		if err != nil {
			return err
		}
		for _, i := range whom {
			if w.hosts[i].state != up {
				continue
			}
			w.hosts[i].killed = true
			if e.Fate == Kill {
				w.quit(i)
			} else if err := w.leave(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// whom returns the hosts that an event befalls.
func (w *world) whom(ctx context.Context, name string) (list []int32, err error) {
	if name == "representatives" {
		return w.representatives(ctx)
	}
	for i := range w.hosts {
		h := &w.hosts[i]
		hit := false
		switch name {
		case "seeds":
			hit = h.complete
		case "origin":
			hit = int32(i) == w.origin
		default:
			for g := h.rack; g >= 0; g = w.nodes[g].up {
				hit = hit || w.nodes[g].path == name
			}
		}
		if hit {
			list = append(list, int32(i))
		}
	}
	return list, nil
}

// representatives returns the importers of all racks, or where the tracker has no
// such, those two of each rack that announced first; never the origin.
func (w *world) representatives(ctx context.Context) (list []int32, err error) {
	if w.tracker.roster != nil {
		places, err := w.tracker.roster.Places(ctx, w.announce.InfoHash)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			if p.Group.Height() == 1 {
				for _, addr := range p.Importers {
					list = append(list, hostAt(addr))
				}
			}
		}
		return list, nil
	}
	first := make(map[int32]int, len(w.nodes))
	order := slices.Clone(w.order)
	slices.SortStableFunc(order, func(a, b int32) int { return int(w.tickOf(w.hosts[a].starts) - w.tickOf(w.hosts[b].starts)) })
	for _, i := range order {
		if rack := w.hosts[i].rack; w.hosts[i].state != waiting && first[rack] < 2 {
			if first[rack]++; i != w.origin {
				list = append(list, i)
			}
		}
	}
	return list, nil
}

// tickOf returns the tick in which a time is looked at.
func (w *world) tickOf(d time.Duration) time.Duration { return (d + w.tick - 1) / w.tick }

// tend has a tracker with rosters do what it does every second, and probe.
func (w *world) tend(ctx context.Context) error {
	r := w.tracker.roster
	if r == nil {
		return nil
	}
	if _, err := r.Tend(ctx, epoch.Add(w.now), 0); err != nil {
		return err
	}
	if w.now < w.probes {
		return nil
	}
	w.probes = w.now + probeEvery
	probes, err := r.Probable(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(probes, func(a, b roster.Probe) int { return netip.AddrPort.Compare(a.Addr, b.Addr) })
	for _, p := range probes {
		if _, err := r.Probed(ctx, p, w.hosts[hostAt(p.Addr)].state == up); err != nil {
			return err
		}
	}
	return nil
}
