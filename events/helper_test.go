package events

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/events/signature"
	"waggle/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what happens sooner or later.
const patience = 2 * time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("it never happens that %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var secret = []byte("a secret of a test")

// anAnnounce is one of a peer, by number.
func anAnnounce(n int) *swarm.Announce {
	a := &swarm.Announce{From: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), Now: time.Unix(900_000_000+int64(n), 5e6)}
	a.InfoHash, a.PeerID, a.Port = bittorrent.InfoHash{byte(n), 1}, bittorrent.PeerID([]byte(fmt.Sprintf("-qB4520-%012d", n))), 6881
	a.Uploaded, a.Downloaded, a.Left, a.Event = int64(n), 2*int64(n), 3*int64(n), bittorrent.EventStarted
	return a
}

// parcel is a batch as a receiver reads it.
type parcel struct {
	Version  int    `json:"version"`
	Tracker  string `json:"tracker"`
	Batch    string `json:"batch"`
	Sequence uint64 `json:"sequence"`
	Lost     uint64 `json:"lost"`
	Count    int    `json:"count"`
	Events   []told `json:"events"`
}

type told struct {
	Time       time.Time `json:"time"`
	Event      string    `json:"event"`
	InfoHash   string    `json:"info_hash"`
	PeerID     string    `json:"peer_id"`
	Address    string    `json:"address"`
	Passkey    string    `json:"passkey"`
	Uploaded   *int64    `json:"uploaded"`
	Downloaded *int64    `json:"downloaded"`
	Left       *int64    `json:"left"`
	Client     string    `json:"client"`
	LastSeen   time.Time `json:"last_seen"`
}

// open reads a batch that was signed, and refuses keys that docs/events.md does not name.
func open(body []byte, gzipped bool, signed string) (p parcel, err error) {
	if _, err := signature.Verify([][]byte{secret}, signed, body, time.Now(), signature.Window); err != nil {
		return p, err
	}
	if gzipped {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return p, err
		}
		if body, err = io.ReadAll(r); err != nil {
			return p, err
		}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("%w in %s", err, body)
	}
	if p.Version != 1 || p.Count != len(p.Events) || p.Count == 0 {
		return p, fmt.Errorf("%+v", p)
	}
	return p, nil
}

// receiver is a sender in a test, which is told when to fail.
type receiver struct {
	mu      sync.Mutex
	parcels []parcel
	tries   []time.Time
	fail    func(try int) error   // nil: never
	see     func(*envelope) error // nil: it looks at nothing but the signature
	hang    bool                  // until the attempt is given up
}

func (r *receiver) send(ctx context.Context, e *envelope, _ *Settings) error {
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	fail, hang, see := r.fail, r.hang, r.see
	try := len(r.tries)
	r.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if fail != nil {
		if err := fail(try); err != nil {
			return err
		}
	}
	if see != nil {
		if err := see(e); err != nil {
			return err
		}
	}
	p, err := open(e.body, e.gzipped, e.signature)
	if err != nil {
		return err
	}
	if p.Batch != e.id {
		return fmt.Errorf("batch %s comes as %s", p.Batch, e.id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parcels = append(r.parcels, p)
	return nil
}

func (*receiver) target(*Settings) string { return "a test" }
func (*receiver) close() error            { return nil }

// set changes what a receiver does.
func (r *receiver) set(fail func(int) error, hang bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail, r.hang = fail, hang
}

func (r *receiver) got() (all []parcel, tries []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]parcel(nil), r.parcels...), append([]time.Time(nil), r.tries...)
}

// left returns which peers a receiver was told of, by the numbers of anAnnounce, in order.
func (r *receiver) left() (numbers []int) {
	all, _ := r.got()
	for _, p := range all {
		for _, e := range p.Events {
			numbers = append(numbers, int(*e.Uploaded))
		}
	}
	return numbers
}

// someSettings are those of most tests.
func someSettings() Settings {
	return Settings{
		Batch: 1000, Every: time.Second, Addresses: true, Timeout: 10 * time.Second, Secrets: [][]byte{secret},
		Disk: 1 << 30, Memory: 1 << 20,
	}
}

// stream opens a stream to receivers, which are called a, b and so on.
func stream(t *testing.T, directory string, s Settings, to ...*receiver) *Stream {
	t.Helper()
	opened, err := tryStream(directory, s, nil, to...)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func tryStream(directory string, s Settings, log *slog.Logger, to ...*receiver) (*Stream, error) {
	o := Options{Settings: s, Directory: directory, Tracker: "ams1", Log: cmp.Or(log, slog.New(slog.DiscardHandler))}
	for i, r := range to {
		o.ends = append(o.ends, newEnd(string(rune('a'+i)), r))
	}
	return Open(o)
}

func closed(t *testing.T, s *Stream) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
