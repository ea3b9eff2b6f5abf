//go:build lab

package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
)

// An asker is peers on one host that announce to the group at a steady pace: each time another
// one, of one of some torrents. It asks again after 15 s, as peers do.
type asker struct {
	host   *host
	conn   *net.UDPConn
	group  *net.UDPAddr
	stop   context.CancelFunc
	ending sync.WaitGroup

	mu         sync.Mutex
	connection uint64
	opened     time.Time // when it was given the connection id
	asked      []*inquiry
	waiting    map[uint32]*inquiry
	transit    uint32
	wrong      int // answers that say no
	more       chan struct{}
}

// An inquiry is an announce, and when it was answered; zero: not yet.
type inquiry struct {
	request        bittorrent.AnnounceRequest
	packet         []byte
	sent, answered time.Time
	again          time.Time // when it is sent again
	by             netip.AddrPort
	sends          int
}

const (
	askAgain     = 15 * time.Second
	askHolds     = 45 * time.Second // a connection id
	askTorrents  = 20
	connectAgain = 200 * time.Millisecond
)

// newAsker returns one that asks nothing yet.
func newAsker(t *testing.T, h *host) *asker {
	t.Helper()
	group := netip.MustParseAddrPort(peersGroup)
	a := &asker{host: h, group: net.UDPAddrFromAddrPort(group), waiting: map[uint32]*inquiry{}, more: make(chan struct{}, 1)}
	must(t, inNamespace(h.namespace, func() (err error) {
		a.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: h.addr.AsSlice()})
		return err
	}))
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.ending.Go(a.listen)
	a.ending.Go(func() { a.tend(ctx) })
	t.Cleanup(a.close)
	return a
}

func (a *asker) close() {
	a.stop()
	_ = a.conn.Close()
	a.ending.Wait()
}

// listen takes answers in.
func (a *asker) listen() {
	buffer := make([]byte, 4096)
	for {
		n, from, err := a.conn.ReadFromUDPAddrPort(buffer)
		now := time.Now()
		if err != nil {
			return
		}
		if r, err := bittorrent.ParseUDPResponse(buffer[:n]); err == nil {
			a.take(now, from, r)
		}
	}
}

func (a *asker) take(now time.Time, from netip.AddrPort, r bittorrent.UDPResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.waiting[r.TransactionID]
	switch {
	case r.Action == bittorrent.ActionConnect:
		a.connection, _ = r.ConnectionID()
		a.opened = now
	case q == nil:
		return
	case r.Action == bittorrent.ActionError:
		a.wrong++
		return
	default:
		q.answered, q.by = now, from
		delete(a.waiting, r.TransactionID)
	}
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// tend keeps a connection id, and asks again.
func (a *asker) tend(ctx context.Context) {
	ticker := time.NewTicker(connectAgain)
	defer ticker.Stop()
	for {
		a.mu.Lock()
		now := time.Now()
		if now.Sub(a.opened) > askHolds {
			_, _ = a.conn.WriteToUDP(bittorrent.AppendUDPConnect(nil, 1), a.group)
		}
		for _, q := range a.waiting {
			if now.After(q.again) {
				a.send(now, q)
			}
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *asker) send(now time.Time, q *inquiry) {
	binary.BigEndian.PutUint64(q.packet, a.connection)
	q.again = now.Add(askAgain)
	q.sends++
	_, _ = a.conn.WriteToUDP(q.packet, a.group)
}

// torrentOf is that of the peers of a port.
func torrentOf(port uint16) (h bittorrent.InfoHash) {
	binary.BigEndian.PutUint64(h[:], uint64(port%askTorrents+1)*0x9e3779b97f4a7c15)
	return h
}

// announce sends what the peer of a port says.
func (a *asker) announce(port uint16, left int64, event bittorrent.Event) *inquiry {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.transit++
	q := &inquiry{request: bittorrent.AnnounceRequest{
		InfoHash: torrentOf(port), PeerID: bittorrent.PeerID{a.host.addr.As4()[3], byte(port >> 8), byte(port)},
		Port: port, Left: left, Event: event, NumWant: 1,
	}}
	q.packet = bittorrent.AppendUDPAnnounce(nil, 0, a.transit+1, &q.request, "")
	q.sent = time.Now()
	a.send(q.sent, q)
	a.asked = append(a.asked, q)
	a.waiting[a.transit+1] = q
	return q
}

// say announces, and waits for the answer.
func (a *asker) say(ctx context.Context, t *testing.T, port uint16, left int64, event bittorrent.Event) {
	t.Helper()
	q := a.announce(port, left, event)
	_, err := a.until(ctx, time.Minute, func() bool { return !q.answered.IsZero() })
	must(t, err)
}

// ready waits until it has a connection id.
func (a *asker) ready(ctx context.Context, t *testing.T) {
	t.Helper()
	_, err := a.until(ctx, 30*time.Second, func() bool { return !a.opened.IsZero() })
	must(t, err)
}

// until waits until something is so, which is looked at after each answer, and returns how long
// that took.
func (a *asker) until(ctx context.Context, limit time.Duration, is func() bool) (time.Duration, error) {
	began, over := time.Now(), time.After(limit)
	for {
		a.mu.Lock()
		so := is()
		a.mu.Unlock()
		if so {
			return time.Since(began), nil
		}
		select {
		case <-a.more:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-over:
			return 0, fmt.Errorf("peers on %s: no such answer within %v", a.host, limit)
		}
	}
}

// pace announces a new peer so many times a second, from a port up, until the function that it
// returns is called.
func (a *asker) pace(ctx context.Context, port uint16, each time.Duration) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(each)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				a.announce(port, 1<<20, bittorrent.EventStarted)
				port++
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}

// answeredAfter waits for the first answer to what was sent after a time, and returns how long
// after that it came.
func (a *asker) answeredAfter(ctx context.Context, since time.Time, limit time.Duration) (took time.Duration, err error) {
	_, err = a.until(ctx, limit, func() bool {
		for _, q := range slices.Backward(a.asked) {
			if q.sent.Before(since) {
				break
			}
			if !q.answered.IsZero() && (took == 0 || q.answered.Sub(since) < took) {
				took = q.answered.Sub(since)
			}
		}
		return took > 0
	})
	return took, err
}

// drain waits until all was answered.
func (a *asker) drain(ctx context.Context) error {
	_, err := a.until(ctx, time.Minute+askAgain, func() bool { return len(a.waiting) == 0 })
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong > 0 {
		err = errors.Join(err, fmt.Errorf("peers on %s were told %d times that something is wrong", a.host, a.wrong))
	}
	return err
}

// waits returns how long those waited for their answers that were sent within a time, the
// shortest first, and how many were not answered or sent more than once.
func (a *asker) waits(from, to time.Time) (all []time.Duration, silent, again int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.asked {
		if q.sent.Before(from) || q.sent.After(to) {
			continue
		}
		if q.sends > 1 {
			again++
		}
		if q.answered.IsZero() {
			silent++
			continue
		}
		all = append(all, q.answered.Sub(q.sent))
	}
	slices.Sort(all)
	return all, silent, again
}

// missing returns how many of those that were answered, and that have not left, are not among what is known.
func (a *asker) missing(k known) (n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := map[seat]bittorrent.Event{}
	for _, q := range a.asked {
		if !q.answered.IsZero() {
			last[a.seat(q.request.Port)] = q.request.Event
		}
	}
	for at, event := range last {
		if _, is := k.peers[at]; is == (event == bittorrent.EventStopped) {
			n++
			err = fmt.Errorf("%v, whose last word was %q, is there: %v", at, event, is)
		}
	}
	return len(last), err
}

func (a *asker) seat(port uint16) seat {
	return seat{torrentOf(port), net.JoinHostPort(a.host.addr.String(), strconv.Itoa(int(port)))}
}
