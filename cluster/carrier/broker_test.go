package carrier

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

func startNATS(t *testing.T, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS does not start")
	}
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

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
	s := startNATS(t, server.RANDOM_PORT)
	t.Cleanup(func() { stop(s) })
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
	s := startNATS(t, server.RANDOM_PORT)
	o := BrokerOptions{URL: "nats://" + s.Addr().String(), Secret: secret}
	port := int(netip.MustParseAddrPort(s.Addr().String()).Port())
	a := newBroker(t, o)
	stop(s)
	b := newBroker(t, o)
	eventually(t, "a notices", func() bool {
		a.Broadcast(message(24, 1))
		return a.Figures().Failed > 0
	})
	b.Broadcast(message(24, 1))
	if f := b.Figures(); f.Sent != 0 || f.Failed != 1 || !strings.Contains(f.Fault, "the NATS is not reached") {
		t.Errorf("%+v", f)
	}
	s = startNATS(t, port)
	t.Cleanup(func() { stop(s) })
	know(t, []Carrier{a, b})
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
	for range 500 {
		b.Broadcast(message(24, 7))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	closed(t, b.Receive())
	for range 500 {
		nextOf(t, a, 7)
	}
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
