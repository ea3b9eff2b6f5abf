package carrier

import (
	"testing"
	"time"
)

// counter is a handler that only counts.
type counter struct {
	opened chan *Link
	want   int
	done   chan struct{}
}

func (c *counter) Opened(l *Link) { c.opened <- l }

func (c *counter) Received(*Link, []byte) {
	if c.want--; c.want == 0 {
		c.done <- struct{}{}
	}
}

func (c *counter) Closed(*Link, error) {}

// BenchmarkLink sends messages from a leaf to its hub over TLS on loopback.
func BenchmarkLink(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "16KiB": 16 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) { benchmarkLink(b, size) })
	}
}

func benchmarkLink(b *testing.B, size int) {
	log := new(logbook)
	book, err := OpenBook(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	at := &counter{opened: make(chan *Link, 1), done: make(chan struct{}, 1), want: b.N}
	hub, err := NewHub(HubOptions{Book: book, Name: "hub", Listen: "127.0.0.1:0", Handler: at, Log: log.logger()})
	if err != nil {
		b.Fatal(err)
	}
	defer hub.Close()
	in, err := book.Invite("leaf", everything, []string{hub.Addr().String()}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	from := &counter{opened: make(chan *Link, 1)}
	leaf, err := NewLeaf(LeafOptions{Invitation: in, Handler: from, Log: log.logger()})
	if err != nil {
		b.Fatal(err)
	}
	defer leaf.Close()
	link := <-from.opened
	<-at.opened
	message := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		send(b, link, message)
	}
	<-at.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
