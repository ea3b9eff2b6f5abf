package interop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/sqlitefile"
)

// What the load of the restart test consists of.
const (
	loaders  = 4                     // each with an address of its own
	fastest  = 2 * time.Millisecond  // between the peers of a loader: also with the race detector, the disk keeps up
	slowest  = 50 * time.Millisecond // the same, on a machine that has no time for it
	torrents = 20                    // peers are spread over them
)

// grace is the age from which on an announce has to be in the file: the journal promises
// one second, and the rest is for a transaction and a look.
const grace = 3 * time.Second

func loadedHash(torrent int) bittorrent.InfoHash {
	var h bittorrent.InfoHash
	// Spread over the parts of the store, as real hashes are.
	binary.BigEndian.PutUint64(h[:], uint64(torrent)*0x9e3779b97f4a7c15)
	return h
}

// figures are what there is of a torrent: peers, and completed downloads.
type figures struct{ peers, completed int }

func (f figures) plus(other figures) figures {
	return figures{f.peers + other.peers, f.completed + other.completed}
}

func (f figures) covers(other figures) bool {
	return f.peers >= other.peers && f.completed >= other.completed
}

// swarms are the figures of all torrents of the load.
type swarms [torrents]figures

func (s swarms) plus(other swarms) swarms {
	for i := range s {
		s[i] = s[i].plus(other[i])
	}
	return s
}

// acknowledged is an announce that waggle answered.
type acknowledged struct {
	torrent   int
	completed bool
	at        time.Time
}

// load is what some loaders announce until their tracker has ended.
type load struct {
	pace  atomic.Int64 // of a loader
	group sync.WaitGroup

	mu       sync.Mutex
	answered []acknowledged
	err      error
}

// startLoad begins a load, whose peers are others in each round.
func startLoad(round int, announceURL string, ended <-chan struct{}) *load {
	l := &load{}
	l.pace.Store(int64(fastest))
	for n := range loaders {
		l.group.Go(func() {
			if err := l.announce(1+round*loaders+n, announceURL, ended); err != nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.err = errors.Join(l.err, fmt.Errorf("loader %d: %w", n, err))
			}
		})
	}
	return l
}

// announce announces one new peer after the other over UDP, every third of which
// completes, until the tracker has ended.
func (l *load) announce(number int, announceURL string, ended <-chan struct{}) error {
	parsed, err := url.Parse(announceURL)
	if err != nil {
		return err
	}
	local := net.UDPAddr{IP: net.IPv4(127, 0, 9, byte(number))}
	remote := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(parsed.Host))
	conn, err := net.DialUDP("udp", &local, remote)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	go func() { // nobody waits for the answer that the kill cut off
		<-ended
		_ = conn.Close()
	}()

	var id uint64
	var connected time.Time
	for n := 0; n < 60_000; n++ {
		<-time.After(time.Duration(l.pace.Load()))
		if time.Since(connected) > 30*time.Second { // long before its two minutes are over
			r, err := exchange(conn, bittorrent.AppendUDPConnect(nil, uint32(n)))
			if err != nil {
				return unlessEnded(err)
			}
			if id, err = r.ConnectionID(); err != nil {
				return err
			}
			connected = time.Now()
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
				return unlessEnded(err)
			}
			if err := r.Announce(false, new(bittorrent.AnnounceResponse)); err != nil {
				return err
			}
			l.note(n%torrents, a.Event)
		}
	}
	return nil
}

func (l *load) note(torrent int, event bittorrent.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = append(l.answered, acknowledged{torrent, event == bittorrent.EventCompleted, time.Now()})
}

// before returns what was acknowledged before a time.
func (l *load) before(end time.Time) (s swarms) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.answered {
		switch {
		case !a.at.Before(end):
		case a.completed:
			s[a.torrent].completed++
		default:
			s[a.torrent].peers++
		}
	}
	return s
}

// exchange sends a packet and reads the answer. An error means that there was
// none.
func exchange(conn *net.UDPConn, packet []byte) (bittorrent.UDPResponse, error) {
	if _, err := conn.Write(packet); err != nil {
		return bittorrent.UDPResponse{}, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		return bittorrent.UDPResponse{}, err
	}
	return bittorrent.ParseUDPResponse(answer[:n])
}

// unlessEnded returns the error of an exchange, unless it is of a tracker that has ended.
func unlessEnded(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// inFile returns what the file of a running waggle has of each torrent.
func inFile(ctx context.Context, path string) (_ map[bittorrent.InfoHash]figures, err error) {
	db, err := sqlitefile.OpenToRead(path)
	if err != nil {
		return nil, err
	}
	// Before the kill: nobody but waggle itself is to take up the log that it leaves.
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, "SELECT sha1, count(*), 0 FROM contents GROUP BY sha1 UNION ALL SELECT sha1, 0, downloaded FROM torrents")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := map[bittorrent.InfoHash]figures{}
	for rows.Next() {
		var hash []byte
		var f figures
		if err := rows.Scan(&hash, &f.peers, &f.completed); err != nil {
			return nil, err
		}
		h := bittorrent.InfoHash(hash)
		all[h] = all[h].plus(f)
	}
	return all, rows.Err()
}

// awaitJournal waits until the file has, beside what it had, all that was acknowledged
// longer ago than the grace, and returns that. A machine that is starved comes to this
// late, and under a load that gets less; with a journal that is written more seldom than
// it should be, none ever does.
func (l *load) awaitJournal(t *testing.T, path string, had swarms) (due swarms) {
	t.Helper()
	eventually(t, patience, "the file has what was acknowledged three seconds ago", func() error {
		due = l.before(time.Now().Add(-grace))
		has, err := inFile(t.Context(), path)
		if err != nil {
			return err
		}
		for i, want := range had.plus(due) {
			if f := has[loadedHash(i)]; !f.covers(want) {
				l.pace.Store(min(l.pace.Load()*5/4, int64(slowest)))
				return fmt.Errorf("of torrent %d it has %+v, want %+v", i, f, want)
			}
		}
		return nil
	})
	return due
}

// TestSwarmsSurviveKillNineInTheMiddleOfALoad kills waggle twice, in the middle
// of a load, and counts after each restart. Every peer and every completed
// download that was in the file has to be there, and what was acknowledged three
// seconds before is in the file.
func TestSwarmsSurviveKillNineInTheMiddleOfALoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "waggle.db")
	var survived swarms
	for round := range 2 {
		tr := launchTracker(t, loopback4, "--store", "sqlite:"+path)
		l := startLoad(round, tr.url(t, "udp", ipv4Loopback), tr.exited)
		<-time.After(grace + 2*time.Second) // of load that is old enough
		due := l.awaitJournal(t, path, survived)
		if err := syscall.Kill(tr.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-tr.exited
		l.group.Wait()
		if l.err != nil {
			t.Error(l.err)
		}
		if due == (swarms{}) {
			t.Fatal("there was no load: the test proves nothing")
		}
		survived = checkSurvivors(t, path, survived.plus(due), survived.plus(l.before(time.Now())))
	}
}

// checkSurvivors starts waggle again and counts. Beyond what was ever
// acknowledged there may be one announce a loader: the one whose answer
// the kill cut off.
func checkSurvivors(t *testing.T, path string, least, most swarms) (survived swarms) {
	t.Helper()
	tr := startTracker(t, loopback4, "--store", "sqlite:"+path)
	var sum, known int
	for i := range torrents {
		got, err := tr.scrape(loadedHash(i).String())
		if err != nil {
			t.Fatal(err)
		}
		f := figures{got.complete + got.incomplete, got.downloaded}
		if limit := most[i].plus(figures{loaders, loaders}); !f.covers(least[i]) || !limit.covers(f) {
			t.Errorf("torrent %d has %+v after the restart, want %+v to %+v", i, f, least[i], most[i])
		}
		survived[i] = f
		sum, known = sum+f.peers, known+most[i].peers
	}
	t.Logf("%d of %d acknowledged peers survived", sum, known)
	if err := tr.stop(); err != nil {
		t.Error(err)
	}
	return survived
}
