package dynamodb

import (
	"context"

	"golang.org/x/sync/errgroup"

	"waggle/bittorrent"
	"waggle/store/faraway"
	"waggle/swarm"
)

// recording is one announce, or one peer that is restored, on its way into the table.
type recording struct {
	*Store
	where
	is        was        // what the peer is from now on
	peer      swarm.Peer // as it says
	condition string     // under which it is written
	completed bool       // it says that it has completed
	refused   bool       // the condition did not hold
	throttled bool       // its partition takes no more
}

func (s *Store) recording(a *swarm.Announce, full faraway.Full) *recording {
	r := &recording{Store: s, where: s.where(a.InfoHash, a.Addr()), peer: peerOfAnnounce(a), condition: always}
	if a.Event == bittorrent.EventStopped {
		return r
	}
	r.is = was{true, a.Kind()}
	r.completed = a.Event == bittorrent.EventCompleted && a.Left == 0
	if full.Peers {
		r.condition = ifThere
	}
	return r
}

// record puts the peer in, or takes it out, and changes the counts by what that changed.
// Where it turns out that the torrent has got more shards since t was read, the peer moves.
func (r *recording) record(ctx context.Context, t *torrent) error {
	shards, stray := t.shards(), -1
	if r.condition == ifThere && !t.settled() {
		r.condition = always // it may be there in another shard, and the limit is no exact one
	}
	for settled := t.settled(); ; settled = false {
		more, err := r.place(ctx, shards, stray, settled)
		if err != nil || more <= shards {
			return err
		}
		stray, shards = shardOf(r.hash, shards), more
		r.cache.forget(r.infoHash)
	}
}

// place puts the peer into its shard of so many, and out of the one where it is a stray,
// or out of those that had it while there were fewer. It returns how many shards there
// are now, as far as the heads know that it changed. With an error, what was done is
// counted all the same.
func (r *recording) place(ctx context.Context, shards, stray int, settled bool) (more int, err error) {
	shard := shardOf(r.hash, shards)
	changes := map[int]*counts{}
	old, err := r.change(ctx, shard, changes)
	if err != nil || r.refused {
		return 0, err
	}
	for _, before := range r.before(shards, shard, stray, !settled && !old.there) {
		var there was
		if there, err = r.removePeer(ctx, r.where, before); err != nil {
			break
		}
		if there.there {
			changes[before] = ref(there.to(was{}, r.addr))
			old = there
		}
	}
	if r.is.there && !old.there && stray < 0 {
		r.totals.PeerCame()
	}
	if r.completed && (!old.there || old.kind != swarm.Seeder) {
		if changes[shard] == nil {
			changes[shard] = &counts{}
		}
		changes[shard].completed++
		r.completed = false // it moves perhaps, and is counted no second time
	}
	more, failed := r.count(ctx, changes)
	if err == nil {
		err = failed
	}
	return more, err
}

// change does what is to be done in the shard of the peer.
func (r *recording) change(ctx context.Context, shard int, changes map[int]*counts) (old was, err error) {
	if r.is.there {
		var written bool
		var tried tried
		old, written, tried, err = r.putPeer(ctx, r.where, shard, &r.peer, r.condition)
		r.refused, r.throttled = err == nil && !written, tried.throttled > 0
	} else {
		old, err = r.removePeer(ctx, r.where, shard)
	}
	if delta := old.to(r.is, r.addr); err == nil && !r.refused && !delta.none() {
		changes[shard] = &delta
	}
	return old, err
}

// before returns the shards that may have the peer beside its own.
func (r *recording) before(shards, shard, stray int, all bool) (list []int) {
	if stray >= 0 && stray != shard {
		list = append(list, stray)
	}
	for fewer := shards / 2; all && fewer >= 1; fewer /= 2 {
		if s := shardOf(r.hash, fewer); s != shard && s != stray {
			if len(list) == 0 || list[len(list)-1] != s {
				list = append(list, s)
			}
		}
	}
	return list
}

// count changes the heads of shards, at once.
func (r *recording) count(ctx context.Context, changes map[int]*counts) (shards int, err error) {
	if len(changes) == 0 {
		return 0, nil
	}
	heads := make([]head, 0, len(changes))
	group, ctx := errgroup.WithContext(ctx)
	for shard, delta := range changes {
		heads = append(heads, head{})
		h := &heads[len(heads)-1]
		group.Go(func() (err error) {
			*h, err = r.tally.add(ctx, headKey{r.infoHash, uint8(shard)}, delta, r.peer.Last.Unix())
			return err
		})
	}
	err = group.Wait()
	for i := range heads {
		shards = max(shards, heads[i].shards)
	}
	return shards, err
}
