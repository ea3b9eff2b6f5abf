package interop

import (
	"encoding/binary"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// What the load of the restart test consists of.
const (
	loaders  = 4                    // each with an address of its own
	pace     = 2 * time.Millisecond // between the peers of a loader: also with the race detector, the disk keeps up
	torrents = 20                   // peers are spread over them
)

// acknowledged is an announce that waggle answered.
type acknowledged struct {
	torrent   int
	completed bool
	at        time.Time
}

func loadedHash(torrent int) bittorrent.InfoHash {
	var h bittorrent.InfoHash
	// Spread over the parts of the store, as real hashes are.
	binary.BigEndian.PutUint64(h[:], uint64(torrent)*0x9e3779b97f4a7c15)
	return h
}

// loader announces one new peer after the other over UDP, every third of which
// completes, until the tracker has ended.
func loader(number int, announceURL string, ended <-chan struct{}) ([]acknowledged, error) {
	parsed, err := url.Parse(announceURL)
	if err != nil {
		return nil, err
	}
	local := net.UDPAddr{IP: net.IPv4(127, 0, 9, byte(number))}
	remote := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(parsed.Host))
	conn, err := net.DialUDP("udp", &local, remote)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	go func() { // nobody waits for the answer that the kill cut off
		<-ended
		_ = conn.Close()
	}()

	var list []acknowledged
	var id uint64
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; n < 60_000; n++ {
		<-tick.C
		if n%10_000 == 0 { // long before its two minutes are over
			r, err := exchange(conn, bittorrent.AppendUDPConnect(nil, uint32(n)))
			if err != nil {
				return list, nil
			}
			if id, err = r.ConnectionID(); err != nil {
				return list, err
			}
		}
		a := bittorrent.AnnounceRequest{
			InfoHash: loadedHash(n % torrents), PeerID: bittorrent.PeerID{byte(number), byte(n >> 8), byte(n)},
			Port: uint16(1 + n), Left: 1000, NumWant: 1, Event: bittorrent.EventStarted,
		}
		events := []bittorrent.Event{bittorrent.EventStarted}
		if n%3 == 0 {
			events = append(events, bittorrent.EventCompleted)
		}
		for _, a.Event = range events {
			if a.Event == bittorrent.EventCompleted {
				a.Left = 0
			}
			r, err := exchange(conn, bittorrent.AppendUDPAnnounce(nil, id, uint32(n), &a, ""))
			if err != nil {
				return list, nil
			}
			if err := r.Announce(false, new(bittorrent.AnnounceResponse)); err != nil {
				return list, err
			}
			list = append(list, acknowledged{n % torrents, a.Event == bittorrent.EventCompleted, time.Now()})
		}
	}
	return list, nil
}

// exchange sends a packet and reads the answer. An error means that there was
// none.
func exchange(conn *net.UDPConn, packet []byte) (bittorrent.UDPResponse, error) {
	if _, err := conn.Write(packet); err != nil {
		return bittorrent.UDPResponse{}, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		return bittorrent.UDPResponse{}, err
	}
	return bittorrent.ParseUDPResponse(answer[:n])
}

// TestSwarmsSurviveKillNineInTheMiddleOfALoad kills waggle twice, in the middle
// of a load, and counts after each restart. Every peer and every completed
// download that was acknowledged three seconds before the kill has to be there:
// one second between transactions, and the rest for the slowest machine's
// transaction.
func TestSwarmsSurviveKillNineInTheMiddleOfALoad(t *testing.T) {
	t.Parallel()
	const grace = 3 * time.Second
	store := "sqlite:" + filepath.Join(t.TempDir(), "waggle.db")
	var sure, ever []acknowledged // what has to survive, and all that can
	for round := range 2 {
		tr := launchTracker(t, loopback4, "--store", store)
		var group sync.WaitGroup
		var mu sync.Mutex
		var announced []acknowledged
		for n := range loaders {
			group.Go(func() {
				list, err := loader(1+round*loaders+n, tr.url(t, "udp", ipv4Loopback), tr.exited)
				if err != nil {
					t.Errorf("loader %d: %v", n, err)
				}
				mu.Lock()
				defer mu.Unlock()
				announced = append(announced, list...)
			})
		}
		<-time.After(grace + 2*time.Second)
		killed := time.Now()
		if err := syscall.Kill(tr.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-tr.exited
		group.Wait()
		ever = append(ever, announced...)
		for _, a := range announced {
			if a.at.Before(killed.Add(-grace)) {
				sure = append(sure, a)
			}
		}
		checkSurvivors(t, store, sure, ever)
	}
}

// checkSurvivors starts waggle again and counts. Beyond what was ever
// acknowledged there may be one announce a loader and round: the one whose answer
// the kill cut off.
func checkSurvivors(t *testing.T, store string, sure, ever []acknowledged) {
	t.Helper()
	tr := startTracker(t, loopback4, "--store", store)
	const unanswered = 2 * loaders
	least, most := tally(sure), tally(ever)
	var survived, known int
	for i := range torrents {
		got, err := tr.scrape(loadedHash(i).String())
		if err != nil {
			t.Fatal(err)
		}
		peers := got.complete + got.incomplete
		if peers < least[i].peers || peers > most[i].peers+unanswered {
			t.Errorf("torrent %d: %d peers after the restart, want %d to %d", i, peers, least[i].peers, most[i].peers)
		}
		if got.downloaded < least[i].completed || got.downloaded > most[i].completed+unanswered {
			t.Errorf("torrent %d: %d completed after the restart, want %d to %d", i, got.downloaded, least[i].completed, most[i].completed)
		}
		survived, known = survived+peers, known+most[i].peers
	}
	t.Logf("%d of %d acknowledged peers survived", survived, known)
	if err := tr.stop(); err != nil {
		t.Error(err)
	}
}

// tally counts announced peers and completions by torrent.
func tally(list []acknowledged) (sums [torrents]struct{ peers, completed int }) {
	for _, a := range list {
		if a.completed {
			sums[a.torrent].completed++
		} else {
			sums[a.torrent].peers++
		}
	}
	return sums
}
