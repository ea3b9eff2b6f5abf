//go:build soak

package attack

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// A day of a tracker with default settings is 48 intervals of 30 minutes, after which every
// peer has announced 48 times, and 32 lifetimes of 45 minutes. With an interval of
// soakInterval those are 8 minutes. What happens once an interval in a day does so here.
const (
	soakInterval = 10 * time.Second
	soakLifetime = 15 * time.Second
	soakMemory   = 256 << 20
	soakPeers    = 30_000
	soakTorrents = 2_000 // alive at a time; others are born and die all the time
)

func TestDaysOfChurnTakeNoMoreMemoryThanTheFirst(t *testing.T) {
	length := 20 * time.Minute
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil || length < time.Minute {
			t.Fatalf("SOAK=%s: wanted is a duration of a minute or more, as 20m", text)
		}
	}
	dir := t.TempDir()
	// prlimit is the harder bound beside limits.memory: with it the process would end.
	cmd := exec.Command("prlimit", append([]string{fmt.Sprintf("--data=%d", 2*soakMemory), waggle(t)}, serveFlags([]string{
		"--announce-interval", soakInterval.String(), "--announce-min-interval", "1s", "--announce-peer-lifetime", soakLifetime.String(),
		"--limits-memory", "256MiB", "--limits-torrents", "5k", "--log-level", "warn",
	})...)...)
	tr := begin(t, cmd, dir, nil)

	end := make(chan struct{})
	var group sync.WaitGroup
	var counts soaked
	for name, act := range map[string]func(*rand.Rand){
		"peers over UDP":  newChurn(t, tr, &counts).step,
		"peers over HTTP": func(r *rand.Rand) { soakHTTP(t, tr, &counts, r) },
		"console":         func(r *rand.Rand) { soakConsole(t, tr, &counts, r) },
		"reloads": func(*rand.Rand) {
			_ = tr.cmd.Process.Signal(syscall.SIGHUP)
			counts.add("reloads", 1)
			pause(end, 5*time.Second)
		},
	} {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(len(name)), 1))
			for {
				select {
				case <-end:
					return
				default:
					act(random)
				}
			}
		})
	}
	began := time.Now()
	var samples []sample
	for time.Since(began) < length && !t.Failed() {
		pause(end, 5*time.Second)
		s := take(t, tr, dir)
		s.at = time.Since(began)
		samples = append(samples, s)
		if len(samples)%6 == 0 {
			t.Logf("%s, %.1f h of a day: %s; %s", s.at.Round(time.Second), s.at.Hours()*30*float64(time.Minute/soakInterval), s, counts.String())
		}
	}
	close(end)
	group.Wait()
	judge(t, samples)
}

// sample is what a process takes at a moment.
type sample struct {
	at                            time.Duration
	resident, routines, files, db int64

	anonymous int64 // of resident: what is not a page of a file, such as the program's own
	heap      int64 // of that: what Go has for its heap, in use or not given back yet
	live      int64 // of that: what is in use, and garbage
	ofGo      int64 // of anonymous: stacks and what Go keeps to manage memory
	profile   int64 // of that: where profiles count
}

func (s sample) String() string {
	return fmt.Sprintf("%.1f MiB resident (%.1f anonymous; Go's heap %.1f of which %.1f in use, beside it %.1f of which %.1f profiles), %d goroutines, %d descriptors, journal %d MiB",
		mib(s.resident), mib(s.anonymous), mib(s.heap), mib(s.live), mib(s.ofGo), mib(s.profile), s.routines, s.files, s.db>>20)
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

var (
	total         = regexp.MustCompile(`goroutine profile: total (\d+)`)
	anonymousLine = regexp.MustCompile(`(?m)^RssAnon:\s+([0-9]+) kB$`)
	memoryLine    = regexp.MustCompile(`(?m)^# (HeapSys|HeapReleased|HeapInuse|Stack|MSpan|MCache|BuckHashSys|GCSys|OtherSys) = (?:[0-9]+ / )?([0-9]+)$`)
)

func take(t *testing.T, tr *tracker, dir string) (s sample) {
	t.Helper()
	now, most := resident(t, tr.cmd.Process.Pid)
	if most >= soakMemory {
		t.Errorf("%d MiB resident, with a limit of %d", most>>20, soakMemory>>20)
	}
	s.resident = now
	_, profile := get(t, tr.console+"/debug/pprof/goroutine?debug=1", "")
	m := total.FindSubmatch(profile)
	if m == nil {
		t.Fatalf("no number of goroutines in %.100q", profile)
	}
	s.routines, _ = strconv.ParseInt(string(m[1]), 10, 64)
	s.look(t, tr)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", tr.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	s.files = int64(len(files))
	if info, err := os.Stat(filepath.Join(dir, "waggle-data", "waggle.db")); err == nil {
		s.db = info.Size()
	}
	return s
}

// look finds out what the resident memory is for.
func (s *sample) look(t *testing.T, tr *tracker) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tr.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if m := anonymousLine.FindSubmatch(status); m != nil {
		n, _ := strconv.ParseInt(string(m[1]), 10, 64)
		s.anonymous = n << 10
	}
	_, profile := get(t, tr.console+"/debug/pprof/heap?debug=1", "")
	of := map[string]int64{}
	for _, m := range memoryLine.FindAllSubmatch(profile, -1) {
		of[string(m[1])], _ = strconv.ParseInt(string(m[2]), 10, 64)
	}
	s.heap, s.live, s.profile = of["HeapSys"]-of["HeapReleased"], of["HeapInuse"], of["BuckHashSys"]
	s.ofGo = of["Stack"] + of["MSpan"] + of["MCache"] + of["BuckHashSys"] + of["GCSys"] + of["OtherSys"]
}

// judge compares the last quarter with the second: in the first the tracker fills.
func judge(t *testing.T, samples []sample) {
	t.Helper()
	quarter := len(samples) / 4
	if quarter == 0 {
		t.Fatal("too few samples")
	}
	for name, of := range map[string]struct {
		figure func(sample) int64
		slack  int64 // beside a twentieth
	}{
		"resident memory": {func(s sample) int64 { return s.resident }, 4 << 20},
		"goroutines":      {func(s sample) int64 { return s.routines }, 8},
		"descriptors":     {func(s sample) int64 { return s.files }, 8},
		"journal":         {func(s sample) int64 { return s.db }, 4 << 20},
	} {
		early, late := median(samples[quarter:2*quarter], of.figure), median(samples[len(samples)-quarter:], of.figure)
		t.Logf("%s: %d early, %d late", name, early, late)
		if late > early+early/20+of.slack {
			t.Errorf("%s grows: from %d to %d", name, early, late)
		}
	}
}

func median(samples []sample, figure func(sample) int64) int64 {
	figures := make([]int64, len(samples))
	for i, s := range samples {
		figures[i] = figure(s)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// soaked counts what was done.
type soaked struct {
	mu     sync.Mutex
	counts map[string]int
}

func (s *soaked) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[what] += n
}

func (s *soaked) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.counts)
}

func pause(end <-chan struct{}, d time.Duration) {
	select {
	case <-end:
	case <-time.After(d):
	}
}

// churn is a population of peers that come, announce once an interval, complete, leave or
// fall silent, in torrents that are born and die.
type churn struct {
	t      *testing.T
	client *client
	counts *soaked
	peers  []bittorrent.AnnounceRequest
	born   int // torrents so far
	came   int // peers so far
	next   int // who announces next
}

func newChurn(t *testing.T, tr *tracker, counts *soaked) *churn {
	c := &churn{t: t, client: dialUDP(t, "127.0.0.9", tr.udp), counts: counts, born: soakTorrents, peers: make([]bittorrent.AnnounceRequest, soakPeers)}
	for i := range c.peers {
		c.peers[i] = c.newcomer(rand.New(rand.NewPCG(uint64(i), 2)))
	}
	return c
}

func (c *churn) newcomer(r *rand.Rand) bittorrent.AnnounceRequest {
	c.came++
	a := bittorrent.AnnounceRequest{Port: uint16(1024 + c.came%60_000), Left: 1, Event: bittorrent.EventStarted, NumWant: -1}
	number(a.InfoHash[:], c.born-r.IntN(soakTorrents))
	number(a.PeerID[:], c.came)
	return a
}

// step has some hundred peers announce, after which it waits until others are due.
func (c *churn) step(r *rand.Rand) {
	const some = 600
	began := time.Now()
	c.client.flood(c.t, some, func(_ int, a *bittorrent.AnnounceRequest) {
		p := &c.peers[c.next]
		c.next = (c.next + 1) % len(c.peers)
		switch n := r.IntN(100); {
		case n < 2: // leaves; a newcomer has its place at the next turn
			p.Event = bittorrent.EventStopped
			*a = *p
			*p = c.newcomer(r)
			return
		case n < 4: // falls silent
			*p = c.newcomer(r)
		case n < 6 && p.Left > 0 && p.Event == bittorrent.EventNone:
			p.Left, p.Event = 0, bittorrent.EventCompleted
		}
		*a = *p
		p.Event = bittorrent.EventNone
	})
	c.born++ // and the one that was born soakTorrents before gets nobody any more
	c.counts.add("announces over UDP", some)
	c.counts.add("torrents born", 1)
	// All announce once an interval.
	time.Sleep(max(0, soakInterval*some/soakPeers-time.Since(began)))
}

// soakHTTP opens a connection, announces over it and leaves it.
func soakHTTP(t *testing.T, tr *tracker, counts *soaked, r *rand.Rand) {
	a := bittorrent.AnnounceRequest{Port: uint16(1024 + r.IntN(60_000)), Left: 1, NumWant: -1}
	number(a.InfoHash[:], r.IntN(soakTorrents))
	number(a.PeerID[:], r.IntN(1<<30))
	if status, body := get(t, tr.http+"/announce?"+string(bittorrent.AppendHTTPAnnounce(nil, &a)), ""); status != http.StatusOK {
		t.Errorf("announce over HTTP: %d %s", status, body)
	}
	counts.add("announces over HTTP", 1)
	time.Sleep(10 * time.Millisecond)
}

// soakConsole looks at everything, follows a page live for a while, and uploads and
// deletes a torrent.
func soakConsole(t *testing.T, tr *tracker, counts *soaked, r *rand.Rand) {
	for _, path := range []string{"/", "/torrents", "/peers", "/links", "/settings", "/metrics", "/api/v1/overview", "/api/v1/swarms", "/api/v1/transfers", "/api/v1/history"} {
		if status, body := get(t, tr.console+path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
		counts.add("pages", 1)
	}
	name := fmt.Sprintf("%08x", r.Uint32())
	torrent := "d4:infod6:lengthi1e4:name8:" + name + "12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	status, answer := upload(t, tr, name+".torrent", "", []byte(torrent))
	if status != http.StatusCreated {
		t.Errorf("upload: %d %s", status, answer)
	}
	request, err := http.NewRequest(http.MethodDelete, tr.console+"/api/v1/torrents/"+hashOf(answer), http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	if status, body := do(t, request); status >= 300 {
		t.Errorf("delete: %d %s", status, body)
	}
	counts.add("uploads and deletions", 1)
	follow(t, tr)
	time.Sleep(200 * time.Millisecond)
}

var hashShape = regexp.MustCompile(`"info_hash":"([0-9a-f]+)"`)

func hashOf(answer string) string {
	if m := hashShape.FindStringSubmatch(answer); m != nil {
		return m[1]
	}
	return ""
}

// follow reads the beginning of a page's stream of changes and goes away.
func follow(t *testing.T, tr *tracker) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(tr.console + "/live?page=/torrents")
	if err != nil {
		t.Errorf("live: %v", err)
		return
	}
	if response.StatusCode != http.StatusOK {
		t.Errorf("live: %s", response.Status)
	}
	_, _ = io.ReadAtLeast(response.Body, make([]byte, 1), 1)
	_ = response.Body.Close()
}
