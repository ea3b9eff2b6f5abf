package interop

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
	"waggle/swarm"
)

// A puppet is one end of a link in the process of the test, made of what waggle makes it of,
// but without a tracker: it says of peers what the test wants, and forgets what it is told.
// What it says and hears can be changed on the way.
type puppet struct {
	says, hears func(message []byte) []byte // what of a message arrives; nil: all of it
	log         output                      // of its carrier, as a tracker has it in its log
	opened      chan struct{}               // one for each session

	mu   sync.Mutex // of all below
	node *core.Node
	link *carrier.Link
	id   core.LinkID
}

// newPuppet returns one whose node lives until the test ends.
func newPuppet(t *testing.T) *puppet {
	p := &puppet{opened: make(chan struct{}, 1000)}
	p.node = core.New(time.Now(), core.Options{Name: "puppet", Software: "puppet", Origin: 0x70757070, Lifetime: time.Hour}, p)
	ticker, over := time.NewTicker(50*time.Millisecond), make(chan struct{})
	var works sync.WaitGroup
	works.Go(func() {
		for {
			select {
			case <-over:
				return
			case now := <-ticker.C:
				p.do(func() { p.node.Tick(now) })
			}
		}
	})
	t.Cleanup(func() {
		ticker.Stop()
		close(over)
		works.Wait()
		if t.Failed() {
			t.Logf("the log of the puppet:\n%s", p.log.tail())
		}
	})
	return p
}

func (p *puppet) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&p.log, nil)) }

// join makes the puppet a leaf.
func (p *puppet) join(t *testing.T, line string) {
	t.Helper()
	in, err := carrier.ParseInvitation(line)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := carrier.NewLeaf(carrier.LeafOptions{Invitation: in, Handler: p, Log: p.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leaf.Close)
}

// listen makes the puppet a hub, and returns the line that a leaf joins it with.
func (p *puppet) listen(t *testing.T, leaf string) (line string) {
	t.Helper()
	book, err := carrier.OpenBook(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hub, err := carrier.NewHub(carrier.HubOptions{Book: book, Name: "puppet", Listen: "127.0.0.1:0", Handler: p, Log: p.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	in, err := book.Invite(leaf, carrier.Rights{Receive: true, Send: true}, []string{hub.Addr().String()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return in.Line()
}

// tell says what has become of peers, as a tracker does to which they announced.
func (p *puppet) tell(t *testing.T, infoHash string, kind swarm.ChangeKind, peers ...netip.AddrPort) {
	t.Helper()
	hash, err := bittorrent.ParseInfoHash(infoHash)
	if err != nil {
		t.Fatal(err)
	}
	p.do(func() {
		for _, addr := range peers {
			p.node.Local(time.Now(), &swarm.Change{
				Kind: kind, InfoHash: hash, Peer: swarm.Peer{Addr: addr, Kind: swarm.Leecher, Left: 1, Last: time.Now()},
			})
		}
	})
}

func (p *puppet) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Opened, Received and Closed are what the carrier calls.
func (p *puppet) Opened(l *carrier.Link) {
	p.do(func() {
		p.link = l
		p.id = p.node.Open(time.Now(), core.LinkOptions{Name: l.Name(), Receive: true, Send: true})
	})
	p.opened <- struct{}{}
}

func (p *puppet) Received(_ *carrier.Link, message []byte) {
	if p.hears != nil {
		message = p.hears(message)
	}
	p.do(func() { p.node.Receive(time.Now(), p.id, message) })
}

func (p *puppet) Closed(*carrier.Link, error) {
	p.do(func() { p.node.Shut(time.Now(), p.id) })
}

// Send and Close are what the node calls.
func (p *puppet) Send(_ core.LinkID, message []byte) {
	if p.says != nil {
		message = p.says(message)
	}
	_ = p.link.Send(message) // what is lost is healed
}

func (p *puppet) Close(_ core.LinkID, why core.Reason) { p.link.Close(why.Words, 0) }

// The rest of what a node acts upon is nothing to a puppet.

func (*puppet) Put(bittorrent.InfoHash, *swarm.Peer)       {}
func (*puppet) Remove(bittorrent.InfoHash, netip.AddrPort) {}
func (*puppet) Completed(bittorrent.InfoHash, uint32)      {}
func (*puppet) Happened(core.Event)                        {}
func (*puppet) File(core.LinkID, core.FileMessage)         {}

// Where a greeting has what; before it are its kind and three letters.
const (
	greetingVersion = 4
	greetingRate    = 23
)

func isGreeting(message []byte) bool { return strings.HasPrefix(string(message), "\x01WGL") }

// ofVersion greets as another version does.
func ofVersion(version byte) func([]byte) []byte {
	return func(message []byte) []byte {
		if isGreeting(message) {
			message[greetingVersion] = version
		}
		return message
	}
}

// withoutRate is a greeting by one who takes any number of changes a second.
func withoutRate(message []byte) []byte {
	if !isGreeting(message) {
		return message
	}
	_, n := binary.Uvarint(message[greetingRate:])
	return append(append(message[:greetingRate:greetingRate], 0), message[greetingRate+n:]...)
}

// strangers are addresses at which nobody is.
func strangers(n int) (all []netip.AddrPort) {
	for i := range n {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), uint16(1024+i)))
	}
	return all
}
