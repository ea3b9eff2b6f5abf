package link

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"waggle/store/memory"
	"waggle/swarm"
)

// BenchmarkAnnounce announces 400,000 peers of 50,000 torrents again, each half an hour
// after its last time: to a store that tells nobody, one that tells an Intake without
// links, and one whose changes are all taken in.
func BenchmarkAnnounce(b *testing.B) {
	for _, mode := range []string{"none", "off", "on"} {
		b.Run("hook="+mode, func(b *testing.B) {
			in := NewIntake(45 * time.Minute)
			o := memory.Options{Details: true}
			if mode != "none" {
				o.Changed = in.Changed
			}
			in.on.Store(mode == "on")
			s := memory.New(o)
			defer func() { _ = s.Close() }()
			const peers = 400_000
			random := rand.New(rand.NewPCG(1, 2))
			order := random.Perm(peers)
			r := swarm.Reply{}
			a := swarm.Announce{Families: swarm.IPv4}
			a.Port, a.NumWant = 6881, 30
			now, next := time.Unix(1_700_000_000, 0), 0
			one := func() {
				n := uint64(order[next])
				if next++; next == peers {
					next, now = 0, now.Add(30*time.Minute)
				}
				binary.BigEndian.PutUint64(a.InfoHash[:], n%50_000*0x9e3779b97f4a7c15)
				a.From, a.Now, a.Left = addrOf(n), now, int64(n&3)
				r.Reset()
				_ = s.Announce(context.Background(), &a, &r)
			}
			for range peers {
				one()
			}
			taken := 0
			for i := 0; b.Loop(); i++ {
				one()
				if i%4096 == 0 && mode == "on" {
					for l := range in.lanes {
						in.lanes[l].take(func(*swarm.Change) { taken++ })
					}
				}
			}
		})
	}
}
