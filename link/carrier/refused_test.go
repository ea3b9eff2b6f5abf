package carrier

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/internal/freeport"
)

func TestHubIsKnownByTheNameInTheInvitationBeforeItIsReached(t *testing.T) {
	hub := startHub(t)
	in := hub.invite(t, "leaf", freeport.Address(t))
	in.Hub = "ams"
	if s := startLeaf(t, in).Status(); s.Name != "ams" {
		t.Errorf("%+v", s)
	}
}

func TestAddressesAreTriedInTurn(t *testing.T) {
	hub := startHub(t)
	dead := freeport.Address(t)
	leaf := startLeaf(t, hub.invite(t, "leaf", dead, "nowhere.invalid:1", hub.Addr().String()))
	link := wait(t, leaf.opened, "the leaf's link")
	if link.address != hub.Addr().String() {
		t.Errorf("it is open to %s", link.address)
	}
	leaf.log.says(t, "address="+dead+" state=connecting why=\"nothing listens there")
	leaf.log.says(t, "address=nowhere.invalid:1")
}

func TestRefusalOfTheHubIsNotHiddenByItsOtherAddresses(t *testing.T) {
	hub := startHub(t)
	dead := freeport.Address(t)
	in := hub.invite(t, "leaf", hub.Addr().String(), dead)
	if err := hub.book.Revoke("leaf"); err != nil {
		t.Fatal(err)
	}
	tried := make(chan string, 100)
	leaf := startLeaf(t, in, func(o *LeafOptions) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			tried <- address
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	for range 3 {
		if address := wait(t, tried, "an attempt"); address == dead {
			t.Error("the hub had answered, and another address was tried")
		}
	}
	if s := leaf.Status(); s.State != Refused || !strings.Contains(s.Why, "does not know this tracker's key") {
		t.Errorf("%+v", s)
	}
}

// The first address leads to another hub, perhaps to the leaf itself.
func TestAddressOfAnotherHubKeepsNobodyFromTheOthers(t *testing.T) {
	hub, other := startHub(t), startHub(t)
	address := hub.Addr().String()
	in := hub.invite(t, "leaf", other.Addr().String(), address)
	hub.Close()
	tried := make(chan string, 10_000)
	leaf := startLeaf(t, in, func(o *LeafOptions) {
		o.pace.refused = time.Hour
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			tried <- address
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	leaf.log.says(t, "address="+address+" state=connecting why=\"nothing listens there")
	if s := leaf.Status(); s.State != Refused || !strings.Contains(s.Why, "is not the hub that invited") {
		t.Errorf("%+v", s)
	}
	hub = startHubOf(t, hub.book, func(o *HubOptions) { o.Listen = address })
	wait(t, leaf.opened, "the leaf's link")
	for len(tried) > 0 {
		<-tried
	}
	hub.Reset("leaf")
	if first := wait(t, tried, "an attempt"); first != address {
		t.Errorf("it tried %s first, and not what had done", first)
	}
	wait(t, leaf.opened, "the leaf's link")
}

func TestUnknownKeyIsRefusedInBothLogs(t *testing.T) {
	hub := startHub(t)
	in := hub.invite(t, "leaf")
	if err := hub.book.Revoke("leaf"); err != nil {
		t.Fatal(err)
	}
	leaf := startLeaf(t, in)
	eventually(t, "the leaf's state", func() bool { return leaf.Status().State == Refused })
	leaf.log.says(t, "does not know this tracker's key")
	hub.log.says(t, "its key is not in the book of this hub")
	hub.log.says(t, "leaf=\"\" address=127.0.0.1:")
	if strings.Contains(leaf.log.String()+hub.log.String(), in.seed.reveal()) {
		t.Error("a log has the secret")
	}
	// Who is invited while the hub runs, by another process, may come at once.
	other, err := OpenBook(hub.book.dir)
	if err != nil {
		t.Fatal(err)
	}
	in, err = other.Invite("late", everything, []string{hub.Addr().String()}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	wait(t, startLeaf(t, in).opened, "the late leaf's link")
}

func TestHubWithAnotherKeyIsRefusedInBothLogs(t *testing.T) {
	hub, other := startHub(t), startHub(t)
	in := hub.invite(t, "leaf", other.Addr().String())
	leaf := startLeaf(t, in)
	eventually(t, "the leaf's state", func() bool { return leaf.Status().State == Refused })
	leaf.log.says(t, "the one who answers is not the hub that invited")
	other.log.says(t, "it did not take this hub's certificate")
}

func TestExpiredCertificateIsRefusedInBothLogs(t *testing.T) {
	past := func() time.Time { return time.Now().AddDate(0, -6, 0) }
	hub := startHub(t, func(o *HubOptions) { o.Now = past })
	leaf := startLeaf(t, hub.invite(t, "leaf"))
	eventually(t, "the leaf's state", func() bool { return leaf.Status().State == Refused })
	leaf.log.says(t, "the hub's certificate has expired")
	leaf.log.says(t, "Set the clocks of both machines")
	hub.log.says(t, "it did not take this hub's certificate")

	future := startLeaf(t, hub.invite(t, "other"), func(o *LeafOptions) { o.Now = func() time.Time { return past().AddDate(0, -6, 0) } })
	future.log.says(t, "is not good yet")
	hourOff := startLeaf(t, hub.invite(t, "third"), func(o *LeafOptions) { o.Now = func() time.Time { return past().Add(-time.Hour) } })
	wait(t, hourOff.opened, "the link of a leaf whose clock is an hour behind")
}

func TestLeafThatIsRevokedIsCutOffAtOnce(t *testing.T) {
	t.Parallel()
	hub, leaf, _, _ := startPair(t)
	if err := hub.Revoke("leaf"); err != nil {
		t.Fatal(err)
	}
	if why := wait(t, leaf.closed, "the leaf's link"); !strings.Contains(why.Error(), "the invitation was revoked") {
		t.Error(why)
	}
	ended(t, hub.closed, "the hub's link")
	eventually(t, "the connections", func() bool { return leavesAt(hub.Hub) == 0 })
	leaf.log.says(t, "does not know this tracker's key")
	if s := leaf.Status(); s.State != Refused {
		t.Errorf("%+v", s)
	}

	// By another process it takes a beat.
	in := hub.invite(t, "second")
	second := startLeaf(t, in)
	wait(t, second.opened, "the second leaf's link")
	other, err := OpenBook(hub.book.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Revoke("second"); err != nil {
		t.Fatal(err)
	}
	ended(t, second.closed, "the second leaf's link")
}

// It is as if the name was given to another tracker between two looks at the book.
func TestLeafIsCutOffWhenItsNameGoesToAnotherKey(t *testing.T) {
	t.Parallel()
	hub, leaf, _, _ := startPair(t)
	in := hub.invite(t, "heir")
	heir, _ := hub.book.Find("heir")
	err := hub.book.edit("leaf", func(leaves []Invited, at int, _ bool) ([]Invited, error) {
		leaves[at].Key = heir.Key
		return slices.DeleteFunc(leaves, func(i Invited) bool { return i.Name == "heir" }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in.Name = "leaf"
	ended(t, leaf.closed, "the link of the old key")
	leaf.log.says(t, "does not know this tracker's key")
	wait(t, startLeaf(t, in).opened, "the link of the new key")
}

func TestLeafOfAnotherVersionIsRefusedInBothLogs(t *testing.T) {
	hub := startHub(t)
	for name, of := range map[string]int{"older": -1, "newer": version + 1} {
		leaf := startLeaf(t, hub.invite(t, name), func(o *LeafOptions) { o.version = of })
		const words = "the hub and the leaf speak different versions of links: update waggle on the older of the two"
		leaf.log.says(t, words)
		hub.log.says(t, "leaf="+name)
		hub.log.says(t, words)
		if s := leaf.Status(); s.State != Refused || !strings.Contains(s.Why, words) {
			t.Errorf("%+v", s)
		}
	}
	for _, s := range hub.Links() {
		if s.State != Refused || !strings.Contains(s.Why, "update waggle") {
			t.Errorf("%+v", s)
		}
	}
}

// leavesAt returns how many connections of leaves a hub has.
func leavesAt(h *Hub) int {
	h.inside.mu.Lock()
	defer h.inside.mu.Unlock()
	n := 0
	for _, of := range h.inside.visitors {
		n += len(of)
	}
	return n
}

func TestLeafThatIsThereTwiceIsRefusedTheSecondTime(t *testing.T) {
	t.Parallel()
	hub, leaf, atHub, _ := startPair(t)
	twin := startLeaf(t, leaf.o.Invitation)
	eventually(t, "the twin's state", func() bool { return twin.Status().State == Refused })
	twin.log.says(t, "two trackers use one invitation")
	hub.log.says(t, "two trackers use one invitation")
	if atHub.reason() != nil || hub.Link("leaf") != atHub {
		t.Error("the first one was disturbed")
	}
	send(t, leaf.Status().Link, []byte("first"))
	if got := wait(t, hub.received, "a message"); string(got) != "first" {
		t.Errorf("got %q", got)
	}
	leaf.Close()
	wait(t, twin.opened, "the twin's link, after the first one has gone")
}

func TestWordsForTheHubTellWhatToDo(t *testing.T) {
	for report, words := range map[string]string{
		`10.0.0.1:2 - cid:3 - TLS handshake error: remote error: tls: bad certificate`:                        "set them",
		`10.0.0.1:2 - cid:3 - TLS handshake error: tls: client offered only unsupported versions: [303]`:      "does not speak TLS 1.3",
		`10.0.0.1:2 - cid:3 - TLS handshake error: EOF`:                                                       "",
		`10.0.0.1:2 - cid:3 - TLS handshake error: read tcp 10.0.0.1:2->10.0.0.2:3: connection reset by peer`: "",
		`10.0.0.1:2 - cid:3 - maximum connections exceeded`:                                                   "a firewall",
		`10.0.0.1:2 - cid:3 - maximum payload exceeded: 9 vs 8`:                                               "revoke it",
		`10.0.0.1:2 - cid:3 - "x" - Publish Violation - User "N/A", Subject "waggle.up.leaf"`:                 "revoke it",
		`10.0.0.1:2 - cid:3 - client parser ERROR, state=0`:                                                   "",
	} {
		if got := explainToHub(report); !strings.Contains(got, words) || words == "" && got != "" {
			t.Errorf("%s: %q", report, got)
		}
	}
}
