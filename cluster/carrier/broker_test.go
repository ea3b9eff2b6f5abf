package carrier

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"waggle/internal/clustertest"
)

func newBroker(t *testing.T, o BrokerOptions) *Broker {
	t.Helper()
	b, err := NewBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, b)
	return b
}

func withNATS(t *testing.T) BrokerOptions {
	t.Helper()
	s, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	return BrokerOptions{URL: "nats://" + s.Addr().String(), Secret: secret}
}

func TestFiveHearEachOtherOverANATS(t *testing.T) {
	o := withNATS(t)
	var all []Carrier
	for range 5 {
		all = append(all, newBroker(t, o))
	}
	know(t, all)
	exactly(t, all[0], all[1], 200)
	if a := all[0].Address().Addr(); !netip.MustParsePrefix("fd00::/8").Contains(a) || a == all[1].Address().Addr() {
		t.Errorf("addresses %s and %s", a, all[1].Address())
	}
}

func TestAddressesThatAreGivenAreKept(t *testing.T) {
	o := withNATS(t)
	o.Address = addrA
	a := newBroker(t, o)
	o.Address = addrC
	c := newBroker(t, o)
	if a.Address() != addrA || c.Address() != addrC {
		t.Errorf("%s, %s", a.Address(), c.Address())
	}
	know(t, []Carrier{a, c})
}

func TestWrongSecretOrPrefixIsNotHeardOverANATS(t *testing.T) {
	o := withNATS(t)
	a := newBroker(t, o)
	other := o
	other.Prefix = "other"
	elsewhere := newBroker(t, other)
	o.Secret = []byte("another secret of others")
	b := newBroker(t, o)
	eventually(t, "both count what is forged", func() bool {
		for _, c := range []Carrier{a, b, elsewhere} {
			c.Broadcast(message(24, 1))
		}
		return a.Figures().Forged > 5 && b.Figures().Forged > 5
	})
	if len(a.Receive())+len(b.Receive())+len(elsewhere.Receive()) > 0 || elsewhere.Figures().Received > 0 {
		t.Errorf("%+v, %+v, %+v", a.Figures(), b.Figures(), elsewhere.Figures())
	}
}

func TestUnsealedMessagesGoOverANATS(t *testing.T) {
	o := withNATS(t)
	o.Secret, o.Unsealed = nil, true
	know(t, []Carrier{newBroker(t, o), newBroker(t, o)})
}

func TestNATSThatComesLaterOrAgainIsReached(t *testing.T) {
	s, stop := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	o := BrokerOptions{URL: "nats://" + s.Addr().String(), Secret: secret}
	port := int(netip.MustParseAddrPort(s.Addr().String()).Port())
	a := newBroker(t, o)
	stop()
	b := newBroker(t, o)
	eventually(t, "a notices", func() bool {
		a.Broadcast(message(24, 1))
		return a.Figures().Failed > 0
	})
	b.Broadcast(message(24, 1))
	if f := b.Figures(); f.Sent != 0 || f.Failed != 1 || !strings.Contains(f.Fault, "the NATS is not reached") {
		t.Errorf("%+v", f)
	}
	clustertest.NATS(t, server.Options{Port: port})
	know(t, []Carrier{a, b})
}

func TestSendDoesNotWaitForANATSThatIsSilent(t *testing.T) {
	s, stop := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	address := s.Addr().String()
	b := newBroker(t, BrokerOptions{URL: "nats://" + address, Secret: secret})
	stop()
	silent, err := net.Listen("tcp", address) // which takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	connected := make(chan struct{})
	go func() {
		defer close(connected)
		for range 2 { // until it has given up on the first
			c, err := silent.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
		}
	}()
	most := time.Duration(0)
	for waiting := true; waiting; {
		began := time.Now()
		b.Broadcast(message(24, 1))
		most = max(most, time.Since(began))
		select {
		case <-connected:
			waiting = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if most > time.Second {
		t.Errorf("it waited for %v", most)
	}
	if f := b.Figures(); f.Failed == 0 || !strings.Contains(f.Fault, "the NATS is not reached") {
		t.Errorf("%+v", f)
	}
}

func TestWhatWasSentBeforeCloseGoesOut(t *testing.T) {
	o := withNATS(t)
	a := newBroker(t, o)
	o.Address = addrA
	b, err := NewBroker(o)
	if err != nil {
		t.Fatal(err)
	}
	know(t, []Carrier{a, b})
	for range 3000 {
		b.Broadcast(message(24, 7))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	closed(t, b.Receive())
	for range 3000 {
		nextOf(t, a, 7)
	}
}

func TestTwoClustersOfOneNATSDoNotMeet(t *testing.T) {
	o := withNATS(t)
	o.Secret, o.Unsealed = nil, true // or the secret would keep them apart
	var clusters [3][]Carrier
	for i, prefix := range []string{"", "waggle.cluster.b", "waggle.cluster.to"} {
		o.Prefix = prefix
		for range 2 {
			clusters[i] = append(clusters[i], newBroker(t, o))
		}
	}
	for _, own := range clusters {
		know(t, own)
	}
	for _, c := range slices.Concat(clusters[:]...) {
		drain(c)
		c.Broadcast(message(24, 1))
		for _, other := range slices.Concat(clusters[:]...) {
			c.Send(other.Address(), message(24, 1))
		}
	}
	for _, own := range clusters {
		for n, c := range own {
			eventually(t, "its own cluster is heard", func() bool {
				own[1-n].Broadcast(message(24, 2))
				for len(c.Receive()) > 0 {
					p := <-c.Receive()
					if p.From != own[1-n].Address() {
						t.Errorf("%s hears %s", c.Address(), p.From)
					}
					if p.Messages[0][3] == 2 {
						return true
					}
				}
				return false
			})
		}
	}
}

func TestStrangersAtANATSAreLeftOutAndCounted(t *testing.T) {
	o := withNATS(t)
	a := newBroker(t, o)
	stranger, err := nats.Connect(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	want := uint64(0)
	for _, reply := range []string{"", "nobody", subjectOf("waggle.cluster", addrA), a.reply, "waggle.cluster.to.ABCD"} {
		for _, subject := range []string{"waggle.cluster.all", a.reply} {
			for _, b := range [][]byte{nil, message(24, 1), message(100, 1), message(100_000, 1)} {
				want++
				if err := stranger.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: b}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	eventually(t, "all are counted", func() bool {
		f := a.Figures()
		return f.Received == want && f.Forged+f.Malformed+f.Strange == want
	})
	if len(a.Receive()) > 0 {
		t.Error("some are taken")
	}
}

func TestWhatOneClusterSaysIsOfNoUseInAnother(t *testing.T) {
	o := withNATS(t)
	a := newBroker(t, o)
	o.Prefix, o.Address = "other", addrA
	b := newBroker(t, o)
	thief, err := nats.Connect(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if _, err := thief.Subscribe("other.all", func(m *nats.Msg) {
		_ = thief.PublishRequest("waggle.cluster.all", subjectOf("waggle.cluster", addrA), m.Data) // or nothing is counted
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool {
		b.Broadcast(message(24, 1))
		return a.Figures().Forged > 0
	})
	if f := a.Figures(); f.Challenges > 0 {
		t.Errorf("%+v", f)
	}
}

func TestWhoMayNotHearAtANATSIsSilentAndSaysWhy(t *testing.T) {
	s, _ := clustertest.NATS(t, server.Options{
		Port: server.RANDOM_PORT,
		Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Deny: []string{"waggle.cluster.all"}},
		}}},
	})
	b := newBroker(t, BrokerOptions{URL: "nats://u:p@" + s.Addr().String(), Secret: secret})
	eventually(t, "it says what it may not", func() bool {
		b.Broadcast(message(24, 1))
		return strings.Contains(b.Figures().Fault, "has to let this user publish and subscribe to waggle.cluster.>")
	})
	sent := b.Figures().Sent
	b.Broadcast(message(24, 1))
	if f := b.Figures(); f.Sent != sent || strings.Contains(f.Fault, "u:p@") {
		t.Errorf("%+v", f)
	}
}

// FuzzSubject reads reply subjects, which anybody at the NATS may make up.
func FuzzSubject(f *testing.F) {
	b := &Broker{prefix: "a.b"}
	for _, addr := range []netip.AddrPort{addrA, addrC, netip.MustParseAddrPort("[fe80::1%eth0]:65535")} {
		f.Add(subjectOf(b.prefix, addr))
	}
	f.Add("a.b.to.")
	f.Add("a.b.all")
	f.Fuzz(func(t *testing.T, subject string) {
		from, ok := b.sender(subject)
		if ok && !strings.EqualFold(subjectOf(b.prefix, from), subject) {
			t.Errorf("%q is of %s, whose subject is %q", subject, from, subjectOf(b.prefix, from))
		}
		if ok && (from.Addr().Zone() != "" || from.Addr().Is4In6()) {
			t.Errorf("%q is of %s", subject, from)
		}
	})
}

func TestBrokerOptionsThatCannotBeAreRefusedInWords(t *testing.T) {
	for want, o := range map[string]BrokerOptions{
		"cannot be read":            {URL: "http://127.0.0.1:1", Secret: secret},
		"a cluster needs a secret":  {URL: "nats://127.0.0.1:1"},
		"cannot begin the subjects": {URL: "nats://127.0.0.1:1", Secret: secret, Prefix: "a.*"},
		"no such file or directory": {URL: "nats://127.0.0.1:1", Secret: secret, Roots: "nothing-there.pem"},
	} {
		if _, err := NewBroker(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
