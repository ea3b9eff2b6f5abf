package udp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/tracker"
)

// BenchmarkBatch is a batch from packets to answers, by the real clock, without the
// system calls.
func BenchmarkBatch(b *testing.B) {
	t := tracker.New(memory.New(memory.Options{}), tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 200}, tracker.Options{})
	p := &responder{tracker: t, secret: &Secret{1}, maxScrape: 74, log: slog.New(slog.DiscardHandler)}
	s := &batchSocket{calls: calls{send: func(_ int, messages []message, _ int) (int, error) { return len(messages), nil }}}
	for _, n := range []int{1, 8, batchSize} {
		b.Run(fmt.Sprintf("packets=%d", n), func(b *testing.B) {
			batch := newBatch(false)
			put := func() {
				for i := range n {
					from := address(i, false)
					id := p.secret.connectionID(time.Now(), from)
					batch.put(i, netip.AddrPortFrom(from, 1), bittorrent.AppendUDPAnnounce(nil, id, 1, request(i), ""))
				}
			}
			put()
			b.ReportAllocs()
			for b.Loop() {
				for i := range n { // answering left the kernel's room there
					batch.requests[i].header.Namelen = 16
				}
				s.answer(p, batch, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
		})
	}
}
