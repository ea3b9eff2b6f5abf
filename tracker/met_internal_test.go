package tracker

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// BenchmarkMeeting is what recognising a peer costs an announce, where many announce.
func BenchmarkMeeting(b *testing.B) {
	const peers, torrents = 400_000, 100_000
	start := time.Unix(1_800_000_000, 0)
	m := newMet(1<<20, start)
	list := make([]swarm.Announce, peers)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range list {
		a := &list[i]
		binary.BigEndian.PutUint32(a.InfoHash[:], uint32(random.IntN(torrents)))
		binary.BigEndian.PutUint32(a.PeerID[:], uint32(i))
		a.From, a.Port, a.Key = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 6881, uint32(i)+1
		a.Event, a.Now = bittorrent.EventNone, start
		m.meet(a, time.Minute, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.meet(&list[uint32(i)*2654435761%peers], time.Minute, 0)
	}
}
