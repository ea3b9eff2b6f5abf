package carrier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMessagesGoBothWaysInOrder(t *testing.T) {
	hub, leaf, atHub, atLeaf := startPair(t)
	if atHub.Name() != "leaf" || atLeaf.Name() != "the-hub" || atHub.session != atLeaf.session || !everything.equal(&atLeaf.rights) {
		t.Errorf("the hub has %s, the leaf %s", atHub.Name(), atLeaf.Name())
	}
	both := []struct {
		from *Link
		to   *listener
	}{{atHub, leaf.listener}, {atLeaf, hub.listener}}
	done := make(chan struct{}, len(both))
	for _, way := range both {
		random := rand.New(rand.NewPCG(1, 2))
		var sent [][]byte
		for n := range 60 {
			message := make([]byte, 1<<10+random.IntN(1<<20-1<<10))
			binary.BigEndian.PutUint64(message, uint64(n))
			message[len(message)-1] = byte(n)
			sent = append(sent, message)
		}
		go func() {
			for _, message := range sent {
				send(t, way.from, bytes.Clone(message))
			}
			done <- struct{}{}
		}()
		go func() {
			for n, message := range sent {
				if got := <-way.to.received; !bytes.Equal(got, message) {
					t.Errorf("message %d of %d bytes became %d", n, len(message), len(got))
				}
			}
			done <- struct{}{}
		}()
	}
	for range 2 * len(both) {
		wait(t, done, "the messages")
	}
	if s := leaf.Status(); s.State != Active || s.Name != "the-hub" || s.Link != atLeaf {
		t.Errorf("%+v", s)
	}
	if s := hub.Links(); len(s) != 1 || s[0].State != Active || s[0].Link != atHub || s[0].Address == "" {
		t.Errorf("%+v", s)
	}
}

func TestLeafThatEndsIsNoticedAndMayComeAgain(t *testing.T) {
	hub, leaf, _, _ := startPair(t)
	leaf.Close()
	ended(t, hub.closed, "the hub's link")
	eventually(t, "the state", func() bool { return hub.Links()[0].State == Split })
	if s := hub.Links()[0]; !strings.Contains(s.Why, "the leaf stops") {
		t.Errorf("%+v", s)
	}
	again := startLeaf(t, leaf.o.Invitation)
	wait(t, hub.opened, "the hub's link")
	send(t, wait(t, again.opened, "the leaf's link"), []byte("here"))
	if got := wait(t, hub.received, "a message"); string(got) != "here" {
		t.Errorf("got %q", got)
	}
}

func TestLeafWhoseConnectionBreaksComesAgainAtOnce(t *testing.T) {
	hub := startHub(t)
	between := startRelay(t, hub.Addr().String())
	leaf := startLeaf(t, hub.invite(t, "leaf", between.Addr().String()))
	for range 5 {
		first := wait(t, leaf.opened, "the leaf's link")
		wait(t, hub.opened, "the hub's link")
		between.breakAll()
		ended(t, leaf.closed, "the leaf's link")
		ended(t, hub.closed, "the hub's link")
		if err := first.Send(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Send on a closed link: %v", err)
		}
	}
	wait(t, leaf.opened, "the leaf's link")
}

func TestHubThatStartsAgainHasItsLeavesBack(t *testing.T) {
	t.Parallel()
	hub, leaf, _, _ := startPair(t)
	address := hub.Addr().String()
	for range 3 {
		hub.Close()
		if why := wait(t, leaf.closed, "the leaf's link"); !strings.Contains(why.Error(), "the hub stops") {
			t.Error(why)
		}
		eventually(t, "the leaf's state", func() bool {
			return leaf.Status().State == Split && strings.Contains(leaf.Status().Why, "nothing listens there")
		})
		hub = startHubOf(t, hub.book, func(o *HubOptions) { o.Listen = address })
		wait(t, hub.opened, "the hub's link")
		wait(t, leaf.opened, "the leaf's link")
	}
}

func TestChangedRightsOpenTheLinkAnew(t *testing.T) {
	hub, leaf, _, _ := startPair(t)
	rights := Rights{Receive: true, Share: ShareReceive, Peers: 10}
	for range MaxTorrents {
		rights.Torrents = append(rights.Torrents, strings.Repeat("ab", 20))
	}
	if err := hub.book.Change("leaf", rights); err != nil {
		t.Fatal(err)
	}
	link := wait(t, leaf.opened, "the leaf's link")
	if got := link.Rights(); !got.equal(&rights) {
		t.Errorf("%d torrents", len(got.Torrents))
	}
	wait(t, hub.opened, "the hub's link")
}

func TestResetOpensTheLinkAnew(t *testing.T) {
	hub, leaf, _, _ := startPair(t)
	if !hub.Reset("leaf") || hub.Reset("nobody") {
		t.Error("there is one link")
	}
	ended(t, leaf.closed, "the leaf's link")
	wait(t, leaf.opened, "the leaf's link")
	wait(t, hub.opened, "the hub's link")
	ended(t, hub.closed, "the hub's link")
	leaf.Reset()
	ended(t, hub.closed, "the hub's link")
	wait(t, hub.opened, "the hub's link")
	wait(t, leaf.opened, "the leaf's link")
}

func TestLinkThatIsClosedForAWhileStaysClosed(t *testing.T) {
	t.Parallel()
	hub, leaf, atHub, _ := startPair(t)
	began := time.Now()
	atHub.Close("it told 900 changes a second and may 50; raise the limit or ask its owner", 2*time.Second)
	ended(t, leaf.closed, "the leaf's link")
	leaf.log.says(t, "it told 900 changes a second")
	wait(t, leaf.opened, "the leaf's link")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it was open again after %v", took)
	}
	wait(t, hub.opened, "the hub's link")
	if strings.Contains(hub.log.String(), "a link was refused") {
		t.Error("the leaf came before its time")
	}
}

func TestLeafThatClosesItsLinkForAWhileStaysAway(t *testing.T) {
	t.Parallel()
	hub, leaf, _, atLeaf := startPair(t)
	began := time.Now()
	atLeaf.Close("the clocks differ by days: set them", 2*time.Second)
	ended(t, hub.closed, "the hub's link")
	hub.log.says(t, "the leaf says: the clocks differ by days")
	eventually(t, "the states", func() bool { return leaf.Status().State == Refused && hub.Links()[0].State == Refused })
	wait(t, hub.opened, "the hub's link")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it was open again after %v", took)
	}
}

func TestSilentNetworkIsNoticedOnBothSides(t *testing.T) {
	t.Parallel()
	hub := startHub(t, func(o *HubOptions) { o.pace = usual })
	between := startRelay(t, hub.Addr().String())
	leaf := startLeaf(t, hub.invite(t, "leaf", between.Addr().String()), func(o *LeafOptions) { o.pace = usual })
	wait(t, leaf.opened, "the leaf's link")
	wait(t, hub.opened, "the hub's link")
	between.setSilent(true)
	began := time.Now()
	for _, c := range []chan error{hub.closed, leaf.closed} {
		ended(t, c, "a link")
		if took := time.Since(began); took > time.Minute || took < 2*time.Second {
			t.Errorf("noticed after %v", took)
		}
	}
	if s := leaf.Status(); s.State != Split && s.State != Active {
		t.Errorf("%+v", s)
	}
	between.setSilent(false)
	wait(t, leaf.opened, "the leaf's link")
	wait(t, hub.opened, "the hub's link")
}

func TestFullNetworkThatFallsSilentHoldsNothingUp(t *testing.T) {
	t.Parallel()
	hub := startHub(t)
	between := startRelay(t, hub.Addr().String())
	leaf := startLeaf(t, hub.invite(t, "leaf", between.Addr().String()))
	atLeaf, atHub := wait(t, leaf.opened, "the leaf's link"), wait(t, hub.opened, "the hub's link")
	between.setSilent(true)
	for _, l := range []*Link{atLeaf, atHub} {
		for l.Send(make([]byte, 512<<10)) == nil {
		}
	}
	ended(t, leaf.closed, "the leaf's link")
	ended(t, hub.closed, "the hub's link")
	between.setSilent(false)
	between.breakAll()
	wait(t, leaf.opened, "the leaf's link")
}

func TestHubThatCannotListenSaysWhere(t *testing.T) {
	hub := startHub(t)
	_, err := NewHub(HubOptions{Book: hub.book, Name: "x", Listen: hub.Addr().String(), Handler: newListener()})
	if err == nil || !strings.Contains(err.Error(), hub.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
	for _, address := range []string{"x", "127.0.0.1:x", "127.0.0.1:70000"} {
		if _, err := NewHub(HubOptions{Book: hub.book, Name: "x", Listen: address, Handler: newListener()}); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
}

func TestHubWithoutAHostListensOnAllAddresses(t *testing.T) {
	hub := startHub(t, func(o *HubOptions) { o.Listen = ":0" })
	_, port, err := net.SplitHostPort(hub.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1"}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
		hosts = append(hosts, "::1")
	}
	for n, host := range hosts {
		leaf := startLeaf(t, hub.invite(t, strings.Repeat("x", n+1), net.JoinHostPort(host, port)))
		wait(t, leaf.opened, "a link by "+host)
	}
}

func TestManyLeavesOfOneHub(t *testing.T) {
	hub := startHub(t)
	var leaves []*leafSide
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		leaves = append(leaves, startLeaf(t, hub.invite(t, name)))
	}
	for range leaves {
		link := wait(t, hub.opened, "a link")
		send(t, link, []byte(link.Name()))
	}
	for _, leaf := range leaves {
		if got := wait(t, leaf.received, "a message"); string(got) != leaf.o.Name {
			t.Errorf("%s got %q", leaf.o.Name, got)
		}
	}
	var names []string
	for _, s := range hub.Links() {
		names = append(names, s.Name+" "+string(s.State))
	}
	if !slices.Equal(names, []string{"a active", "b active", "c active", "d active", "e active", "f active", "g active", "h active"}) {
		t.Error(names)
	}
}

func TestBookThatIsDamagedWhileTheHubRunsCutsNobodyOff(t *testing.T) {
	hub, leaf, atHub, _ := startPair(t)
	whole, err := os.ReadFile(hub.book.path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hub.book.path(), whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	hub.log.says(t, "leaves.json is damaged: restore it from a backup")
	if _, err := hub.book.Invite("another", everything, []string{"host:1"}, time.Now()); err == nil {
		t.Error("a damaged book was written")
	}
	if hub.Link("leaf") != atHub {
		t.Error("the leaf was cut off")
	}
	hub.Reset("leaf")
	ended(t, leaf.closed, "the leaf's link")
	wait(t, leaf.opened, "the leaf's link")
}
