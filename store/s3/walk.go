package s3

import (
	"context"
	"errors"
	"iter"
	"math"

	"waggle/bittorrent"
	"waggle/swarm"
)

// walkStep is how many peers are shown at once.
const walkStep = 512

// Walk shows all peers of a torrent, some at a time. Of peers that come, go or change
// meanwhile any may be shown; any other is shown once. It ends early where see returns
// false, and says so. The peers are see's until it returns. buf is used where it has
// room.
func (s *Store) Walk(ctx context.Context, h bittorrent.InfoHash, buf []swarm.Peer, see func([]swarm.Peer) bool) (whole bool, err error) {
	err = s.walk(ctx, h, func(n *node, here func(*peer) bool) error {
		buf = buf[:0]
		for g := range n.peers {
			for i := range n.peers[g] {
				p := &n.peers[g][i]
				if !here(p) {
					continue
				}
				if buf = append(buf, p.public(swarm.Kind(g/2))); len(buf) == walkStep {
					if !see(buf) {
						return stopped{}
					}
					buf = buf[:0]
				}
			}
		}
		if len(buf) > 0 && !see(buf) {
			return stopped{}
		}
		return nil
	})
	if err == (stopped{}) { //nolint:errorlint // it is never wrapped
		return false, nil
	}
	return err == nil, err
}

// walk shows the parts of a swarm, in the order of the hashes of their peers: a peer is
// here where its hash is not before where the last part ended. So nobody is shown twice
// or left out, whatever is split or put together meanwhile.
func (s *Store) walk(ctx context.Context, h bittorrent.InfoHash, see func(n *node, here func(*peer) bool) error) error {
	for from := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		limited, cancel := s.server.bounded(ctx)
		n, depth, err := s.at(limited, h, from)
		cancel()
		if err != nil {
			return err
		}
		rest := uint64(math.MaxUint64)
		if depth > 0 {
			rest >>= fanBits * depth
		}
		to := from | rest // the last hash of the part
		err = see(n, func(p *peer) bool {
			hash := p.at.hash(&h)
			return hash >= from && hash <= to
		})
		if err != nil || to == math.MaxUint64 {
			return err
		}
		from = to + 1
	}
}

// at returns the part of a swarm that a hash belongs to, as it is, and how deep it lies.
func (s *Store) at(ctx context.Context, h bittorrent.InfoHash, hash uint64) (n *node, depth int, err error) {
	sure := false
	for c := (chase{Store: s}); c.goesOn(); {
		key, above := s.find(&h, hash)
		k, err := s.swarms.read(ctx, key)
		switch {
		case errors.Is(err, errGone):
			if err := c.lost(err); err != nil {
				return nil, 0, err
			}
			s.sums.drop(append(above, key)...)
			sure = true // what is above has been asked for when it is found again
		case err == nil && k.value.closed && !sure:
			s.sums.drop(append(above, key)...)
			sure = true
		case err != nil:
			return nil, 0, err
		case k.value.branches == nil:
			return k.value, depthOf(key), nil
		}
	}
	return nil, 0, swarm.ErrBusy
}

// Swarms is documented at [swarm.Store].
func (s *Store) Swarms(ctx context.Context) iter.Seq2[swarm.Snapshot, error] {
	return func(yield func(swarm.Snapshot, error) bool) {
		var peers []swarm.Peer
		err := s.eachPage(ctx, 0, math.MaxUint8, func(some []total) error {
			for i := range some {
				peers = peers[:0]
				err := s.walk(ctx, some[i].hash, func(n *node, here func(*peer) bool) error {
					for g := range n.peers {
						for j := range n.peers[g] {
							if p := &n.peers[g][j]; here(p) {
								peers = append(peers, p.public(swarm.Kind(g/2)))
							}
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
				if len(peers) == 0 && some[i].completed == 0 {
					continue
				}
				if !yield(swarm.Snapshot{InfoHash: some[i].hash, Downloaded: some[i].completed, Peers: peers}, nil) {
					return stopped{}
				}
			}
			return nil
		})
		if err != nil {
			yield(swarm.Snapshot{}, err)
		}
	}
}
