package carrier

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// newAuthority makes a certificate for 127.0.0.1, and a file that it is known by.
func newAuthority(t *testing.T) (certificate tls.Certificate, roots string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	roots = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// startNATS starts a NATS as others have it: it has users, by passwords and by NKeys, and
// knows nothing of waggle but the subjects.
func startNATS(t *testing.T, port int, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS does not start")
	}
	return s
}

func TestNATSThatForbidsWhatLinksNeedIsRefusedInWords(t *testing.T) {
	nats := startNATS(t, server.RANDOM_PORT, func(o *server.Options) {
		nothing := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}, Subscribe: &server.SubjectPermission{Deny: []string{"waggle.knock.*"}}}
		o.Users = []*server.User{{Username: "nobody", Password: "x", Permissions: nothing}}
	})
	o := &Outside{URL: outsideURL("nats", "nobody:x@", nats)}
	leaf := startLeafOutside(t, "leaf", o)
	leaf.log.says(t, "the NATS does not let this tracker do what links need")
	leaf.log.says(t, "waggle.knock.leaf")
	eventually(t, "the leaf's state", func() bool { return leaf.Status().State == Refused })
	hub := startOutside(t, o)
	hub.log.says(t, "the NATS does not let this tracker do what links need")
	hub.log.says(t, "waggle.knock.*")
}

func TestLeafThatIsDroppedLeavesNothingInANATSThatIsThereAlready(t *testing.T) {
	nats := startNATS(t, server.RANDOM_PORT, func(*server.Options) {})
	o := &Outside{URL: outsideURL("nats", "", nats)}
	before := nats.NumSubscriptions()
	hub := startOutside(t, o)
	for range 3 {
		if err := hub.book.Allow("leaf", everything, time.Now()); err != nil {
			t.Fatal(err)
		}
		leaf := startLeafOutside(t, "leaf", o)
		wait(t, leaf.opened, "the leaf's link")
		if err := hub.Revoke("leaf"); err != nil {
			t.Fatal(err)
		}
		ended(t, leaf.closed, "the leaf's link")
		leaf.Close()
		eventually(t, "the hub's ears", func() bool { return nats.NumSubscriptions() == before+1 }) // for who knocks
	}
}

func outsideURL(scheme, user string, s *server.Server) string {
	return scheme + "://" + user + s.Addr().String()
}

func startOutside(t *testing.T, o *Outside) *hubSide {
	t.Helper()
	return startHub(t, func(h *HubOptions) { h.Listen, h.Outside = "", o })
}

func startLeafOutside(t *testing.T, name string, o *Outside) *leafSide {
	t.Helper()
	return startLeaf(t, nil, func(l *LeafOptions) { l.Invitation, l.Outside, l.Name = nil, o, name })
}

func TestLinkOverANATSThatIsThereAlready(t *testing.T) {
	t.Parallel()
	certificate, roots := newAuthority(t)
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	seedFile := filepath.Join(t.TempDir(), "leaf.nk")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	nats := startNATS(t, server.RANDOM_PORT, func(o *server.Options) {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
		o.Users = []*server.User{{Username: "hub", Password: "hush", Permissions: may([]string{"our.links.down.*"}, []string{"our.links.up.*", "our.links.knock.*"})}}
		o.Nkeys = []*server.NkeyUser{{Nkey: public, Permissions: may([]string{"our.links.up.leaf", "our.links.knock.leaf"}, []string{"our.links.down.leaf"})}}
	})
	hub := startOutside(t, &Outside{URL: outsideURL("tls", "hub:hush@", nats), Roots: roots, Prefix: "our.links"})
	if err := hub.book.Allow("leaf", everything, time.Now()); err != nil {
		t.Fatal(err)
	}
	leaf := startLeafOutside(t, "leaf", &Outside{URL: outsideURL("nats", "", nats), Roots: roots, Credentials: seedFile, Prefix: "our.links"})
	atLeaf, atHub := wait(t, leaf.opened, "the leaf's link"), wait(t, hub.opened, "the hub's link")
	for range 20 {
		send(t, atLeaf, make([]byte, 1<<20))
		send(t, atHub, make([]byte, 1<<20))
	}
	for range 20 {
		if n := len(wait(t, hub.received, "a message")) + len(wait(t, leaf.received, "a message")); n != 2<<20 {
			t.Fatalf("%d bytes", n)
		}
	}

	twin := startLeafOutside(t, "leaf", leaf.o.Outside)
	twin.log.says(t, "two trackers use one invitation")
	twin.Close()

	// The NATS goes, and comes back.
	port := nats.Addr().(*net.TCPAddr).Port
	nats.Shutdown()
	nats.WaitForShutdown()
	ended(t, leaf.closed, "the leaf's link")
	ended(t, hub.closed, "the hub's link")
	eventually(t, "the hub's state", func() bool { return strings.Contains(hub.Links()[0].Why, "nothing listens there") })
	startNATS(t, port, func(o *server.Options) {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
		o.Users = []*server.User{{Username: "hub", Password: "hush"}}
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
	})
	wait(t, leaf.opened, "the leaf's link")
	wait(t, hub.opened, "the hub's link")

	if err := hub.Revoke("leaf"); err != nil {
		t.Fatal(err)
	}
	ended(t, leaf.closed, "the leaf's link")
	leaf.log.says(t, "this hub does not know a leaf named leaf")
	hub.log.says(t, "this hub does not know a leaf named leaf")
	for _, log := range []string{hub.log.String(), leaf.log.String()} {
		if strings.Contains(log, "hush") || strings.Contains(log, string(seed)) {
			t.Error("a log has a secret")
		}
	}
}

func TestOutsideNATSIsRefusedInWords(t *testing.T) {
	t.Parallel()
	certificate, roots := newAuthority(t)
	safe := startNATS(t, server.RANDOM_PORT, func(o *server.Options) {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
		o.Users = []*server.User{{Username: "hub", Password: "hush"}}
	})
	open := startNATS(t, server.RANDOM_PORT, func(*server.Options) {})
	narrow := startNATS(t, server.RANDOM_PORT, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	for words, o := range map[string]*Outside{
		"check the credentials":                {URL: outsideURL("tls", "hub:wrong@", safe), Roots: roots},
		"certificate":                          {URL: outsideURL("tls", "hub:hush@", safe)},
		"the NATS offers no TLS":               {URL: outsideURL("tls", "", open)},
		"the NATS takes payloads of at most 6": {URL: outsideURL("nats", "", narrow)},
		"no hub answers by it":                 {URL: outsideURL("nats", "", open)},
	} {
		leaf := startLeaf(t, nil, func(l *LeafOptions) {
			l.Invitation, l.Outside, l.Name = nil, o, "leaf"
			l.pace.answer = time.Second
		})
		leaf.log.says(t, words)
	}
	hub := startOutside(t, &Outside{URL: outsideURL("tls", "hub:wrong@", safe), Roots: roots})
	hub.log.says(t, "check the credentials")
	for _, o := range []Outside{
		{URL: "tls://user:hush@host"},
		{URL: "http://host:1"},
		{URL: "tls://a:hush@ho st:1"},
		{URL: "tls://\x7f:hush@host:1"},
		{URL: "tls://host:1", Prefix: "a.*"},
		{URL: "tls://host:1", Roots: "/none"},
		{URL: "tls://host:1", Credentials: "/none"},
		{URL: "tls://host:1", Credentials: roots},
	} {
		err := o.Check()
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v", o, err)
		}
		if _, err := NewLeaf(LeafOptions{Outside: &o, Name: "leaf", Handler: newListener()}); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := NewLeaf(LeafOptions{Handler: newListener()}); err == nil {
		t.Error("a leaf of nowhere")
	}
}

func TestLeafOfAnotherVersionIsRefusedOverANATSToo(t *testing.T) {
	nats := startNATS(t, server.RANDOM_PORT, func(*server.Options) {})
	hub := startOutside(t, &Outside{URL: outsideURL("nats", "", nats)})
	if err := hub.book.Allow("leaf", everything, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hub", func() bool { return strings.Contains(hub.log.String(), "is reached") })
	w, err := (&Outside{URL: outsideURL("nats", "", nats)}).open(t.Context(), new(net.Dialer).DialContext, brisk)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	answers := make(chan []byte, 10)
	if _, err := w.hear("waggle.down.leaf", func(b []byte, _ string) { answers <- b }); err != nil {
		t.Fatal(err)
	}
	if err := w.nc.Publish("waggle.knock.leaf", newControl(knock, 7, &control{Version: version + 1})); err != nil {
		t.Fatal(err)
	}
	f, err := parseFrame(wait(t, answers, "an answer"))
	if err != nil || f.kind != refuse || !strings.Contains(f.control.Words, "update waggle on the older of the two") || f.control.wait() == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	hub.log.says(t, "different versions of links")
	if s := hub.Links(); s[0].State != Refused {
		t.Errorf("%+v", s)
	}
}

func TestCredentialsOfAnotherKindAreRefused(t *testing.T) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, seed[:len(seed)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	err = (&Outside{URL: "tls://host:1", Credentials: path}).Check()
	if err == nil || strings.Contains(err.Error(), string(seed[:10])) || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a seed that is cut: %v", err)
	}
}
