package instance

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/swarm"
)

// Store is a store whose announces all instances of a cluster record before they are answered.
// All else is the store's within.
type Store struct {
	swarm.Store
	In *Instance

	// MasterOnly has clients of this instance turned away, with [swarm.ErrBusy], unless it is the
	// master. Without, it has the master commit what they announce, and answers them itself.
	MasterOnly bool
}

// How long an announce waits: of a client of this instance, and of a peer that has asked all by
// multicast, and asks again after 15 s.
const (
	commitTimeout = 10 * time.Second
	heardTimeout  = 15 * time.Second
)

// committed marks a context whose announce all instances have recorded already.
type committed struct{}

// Committed returns a context in which an announce is answered and not committed again.
func Committed(ctx context.Context) context.Context {
	return context.WithValue(ctx, committed{}, true)
}

// Heard returns a context in which an announce is that of a request that all instances have
// heard.
func Heard(ctx context.Context, r *cluster.Request) context.Context {
	return context.WithValue(ctx, committed{}, r)
}

// Announce is documented at [swarm.Store]. What another instance was told is recorded at once.
func (s *Store) Announce(ctx context.Context, a *swarm.Announce, r *swarm.Reply) error {
	if a.Relayed > 0 {
		return s.Store.Announce(ctx, a, r)
	}
	switch known := ctx.Value(committed{}).(type) {
	case bool:
	case *cluster.Request:
		if err := s.commit(ctx, heardTimeout, known, true, a); err != nil {
			return err
		}
	default:
		if s.turnsAway() {
			return swarm.ErrBusy
		}
		if err := s.commit(ctx, commitTimeout, s.request(a), false, a); err != nil {
			return err
		}
	}
	return s.Store.Announce(ctx, a, r)
}

// commit has all record a request, and makes of its announce what is known of the peer since, where
// it was recorded before. The error is [swarm.ErrBusy] where that takes too long, or this instance
// has left.
func (s *Store) commit(ctx context.Context, patience time.Duration, r *cluster.Request, heard bool, a *swarm.Announce) error {
	err := s.In.Commit(ctx, patience, r, heard)
	if later := (*cluster.Overtaken)(nil); errors.As(err, &later) {
		tell(a, &later.By)
		return nil
	}
	if errors.Is(err, ErrStopped) || errors.Is(err, context.DeadlineExceeded) {
		return swarm.ErrBusy
	}
	return err
}

// Scrape is documented at [swarm.Store].
func (s *Store) Scrape(ctx context.Context, hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) error {
	if s.turnsAway() {
		return swarm.ErrBusy
	}
	return s.Store.Scrape(ctx, hashes, counts)
}

func (s *Store) turnsAway() bool { return s.MasterOnly && !s.In.Answers() }

// request makes one of an announce that came in another way.
func (s *Store) request(a *swarm.Announce) *cluster.Request {
	connection, transaction := s.In.Number()
	r := &cluster.Request{Source: netip.AddrPortFrom(a.From, a.Port)}
	copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, connection, transaction, &a.AnnounceRequest, ""))
	return r
}

// Healthy says that announces can be taken in, as [swarm.Remote] has it.
func (s *Store) Healthy() error {
	switch state := s.In.State(); {
	case s.In.Ended():
		return ErrStopped
	case !state.Serving || state.Electing:
		return cluster.ErrNobody
	}
	return nil
}
