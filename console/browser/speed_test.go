//go:build long && !race

package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"waggle/console/client"
)

// What a page may take at 100,000 torrents and a million peers, on loopback.
const (
	bytesLimit = 300 << 10 // with all that it uses, as it crosses the network

	manyTorrents = 100_000 // in the catalogue, and as many that are not
	manyPeers    = 1_000_000
	looks        = 7 // at a page, of which the median counts
)

// crowd starts a tracker whose catalogue is full, to which a million peers have announced.
func crowd(t *testing.T) *tracker {
	t.Helper()
	dir := t.TempDir()
	watched := filepath.Join(dir, "torrents")
	if err := os.Mkdir(watched, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range manyTorrents {
		name := fmt.Sprintf("release-%06d", i)
		if err := os.WriteFile(filepath.Join(watched, name+".torrent"), metainfo(name+".tar.zst", int64(i+1)<<16), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := run(dir, append([]string{"--store", "memory:", "--torrents-directory", watched}, withToken...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.close(); err != nil {
			t.Error(err)
		}
	})
	fill := start(t, dir, "bench", "udp", tr.udp, "--torrents", fmt.Sprint(manyTorrents), "--peers", fmt.Sprint(manyPeers), "--duration", "1s")
	<-fill.exited
	if fill.err != nil {
		t.Fatalf("%v: %s", fill.err, fill.stderr.String())
	}
	if err := tr.account(t.Context(), admin, "admin"); err != nil {
		t.Fatal(err)
	}
	return tr
}

// traffic counts what crosses the network.
type traffic struct {
	mu    sync.Mutex
	bytes float64
}

func (n *traffic) note(event any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch e := event.(type) {
	case *network.EventLoadingFinished:
		n.bytes += e.EncodedDataLength
	case *network.EventEventSourceMessageReceived:
		n.bytes += float64(len(e.Data))
	}
}

func (n *traffic) take() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.bytes = 0 }()
	return n.bytes
}

// How soon pages appear is printed, and judged by who reads it: 300 ms are wanted.
func TestPagesAreSmallAtAMillionPeers(t *testing.T) {
	tr := crowd(t)
	overview, err := tr.api.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d torrents are listed", overview.Torrents.Listed)
	largest, err := tr.api.Swarms(t.Context(), client.SwarmQuery{Sort: "peers", Order: "desc", Limit: 1})
	if err != nil || len(largest.Swarms) == 0 {
		t.Fatalf("%+v, %v", largest, err)
	}
	listed := hashOf(t, metainfo("release-000042.tar.zst", 43<<16))
	w := open(t, tr)
	w.logIn(admin, "/")
	w.do(command(network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}))
	n := new(traffic)
	if err := chromedp.Listen(w.ctx, n.note); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/", "/?span=day", "/torrents", "/torrents?sort=peers&order=desc", "/torrents?query=9999", "/transfers/" + listed.String(),
		"/transfers/" + largest.Swarms[0].InfoHash.String(), "/peers", "/history", "/settings", "/settings/accounts", "/settings/audit", "/about",
	} {
		w.measure(n, path)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d requests in all", w.requests)
}

// measure looks at a page some times.
func (w *window) measure(n *traffic, path string) {
	w.t.Helper()
	var paints, answers []time.Duration
	var most float64
	for range looks {
		n.take()
		w.visit(path)
		w.until(`performance.getEntriesByName("first-contentful-paint").length > 0`)
		w.settle()
		times := evaluate[[2]float64](w, `[performance.getEntriesByName("first-contentful-paint")[0].startTime, performance.getEntriesByType("navigation")[0].responseEnd]`)
		paints, answers = append(paints, milliseconds(times[0])), append(answers, milliseconds(times[1]))
		most = max(most, n.take())
	}
	slices.Sort(paints)
	slices.Sort(answers)
	paint, answer := paints[looks/2], answers[looks/2]
	w.t.Logf("%-62.62s first paint %4d ms (answer %4d ms), %4.0f KiB", path, paint.Milliseconds(), answer.Milliseconds(), most/1024)
	if most > bytesLimit {
		w.t.Errorf("%s takes %.0f bytes", path, most)
	}
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
