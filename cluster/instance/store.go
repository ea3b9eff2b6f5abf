package instance

import (
	"context"
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
}

// commitTimeout is how long an announce of a client of this instance waits. A peer that asks by
// multicast asks again after 15 s.
const commitTimeout = 10 * time.Second

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
		if err := s.In.Commit(ctx, known, true); err != nil {
			return err
		}
	default:
		limited, cancel := context.WithTimeout(ctx, commitTimeout)
		err := s.In.Commit(limited, s.request(a), false)
		cancel()
		if err != nil && ctx.Err() == nil && limited.Err() != nil {
			err = swarm.ErrBusy
		}
		if err != nil {
			return err
		}
	}
	return s.Store.Announce(ctx, a, r)
}

// request makes one of an announce that came in another way.
func (s *Store) request(a *swarm.Announce) *cluster.Request {
	connection, transaction := s.In.Number()
	r := &cluster.Request{Source: netip.AddrPortFrom(a.From, a.Port)}
	copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, connection, transaction, &a.AnnounceRequest, ""))
	return r
}

// Healthy says that announces can be taken in, as [swarm.Remote] has it.
func (s *Store) Healthy() error {
	if state := s.In.State(); !state.Serving || state.Electing {
		return cluster.ErrNobody
	}
	return nil
}
