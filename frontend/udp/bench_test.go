package udp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"waggle/bittorrent"
)

// BenchmarkAnswer is an announce from packet to packet, without the system
// calls, in swarms of different sizes; connect is the same path without a swarm,
// to compare with.
func BenchmarkAnswer(b *testing.B) {
	var out [maxAnswer]byte
	b.Run("connect", func(b *testing.B) {
		p, _ := newResponder(74)
		packet := bittorrent.AppendUDPConnect(nil, 1)
		b.ReportAllocs()
		for b.Loop() {
			p.answerAnything(packet, netip.AddrPortFrom(peer, 1), now, out[:])
		}
	})
	for _, peers := range []int{1, 50, 1_000, 100_000} {
		b.Run(fmt.Sprintf("announce/peers=%d", peers), func(b *testing.B) {
			p, _ := newResponder(74)
			a := request(1)
			a.NumWant = 30
			packet := bittorrent.AppendUDPAnnounce(nil, 0, 1, a, "")
			random := rand.New(rand.NewPCG(1, 2))
			next := func() {
				from := address(random.IntN(peers), false)
				binary.BigEndian.PutUint64(packet, p.secret.connectionID(now, from))
				binary.BigEndian.PutUint16(packet[96:], uint16(1+random.IntN(2)))
				p.answerAnything(packet, netip.AddrPortFrom(from, 1), now, out[:])
			}
			for range peers {
				next()
			}
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}
