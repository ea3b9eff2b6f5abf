package carrier

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

func TestStrangersMayDoNothing(t *testing.T) {
	t.Parallel()
	hub, _, _, _ := startPair(t)
	address := hub.Addr().String()
	unknown, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := unknown.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	anyone := nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	token := nats.Token("guess")
	for name, options := range map[string][]nats.Option{
		"without TLS":       {nats.Timeout(300 * time.Millisecond)},
		"INFO first":        {anyone, nats.Timeout(300 * time.Millisecond)},
		"nobody":            {anyone, nats.TLSHandshakeFirst()},
		"a password":        {anyone, nats.TLSHandshakeFirst(), nats.UserInfo("leaf", "leaf")},
		"a token":           {anyone, nats.TLSHandshakeFirst(), token, nats.Name("leaf")},
		"an unknown key":    {anyone, nats.TLSHandshakeFirst(), nats.Nkey(public, unknown.Sign)},
		"a wrong signature": {anyone, nats.TLSHandshakeFirst(), nats.Nkey(public, func([]byte) ([]byte, error) { return make([]byte, 64), nil })},
	} {
		nc, err := nats.Connect("nats://"+address, append(options, nats.NoReconnect())...)
		if err == nil {
			nc.Close()
			t.Errorf("%s: connected", name)
		}
	}
	hub.log.says(t, "it shows no key")
	hub.log.says(t, "its signature is wrong")
	hub.log.says(t, "its key is not in the book")
}

func TestLeafHearsAndSaysNothingInAnothersName(t *testing.T) {
	hub, leaf, atHub, atLeaf := startPair(t)
	denied := make(chan error, 100)
	spy, err := connectAs(hub.invite(t, "spy"), func(err error) { denied <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(spy.Close)
	heard := make(chan *nats.Msg, 100)
	for _, subject := range []string{">", "waggle.>", "waggle.*.leaf", "waggle.up.leaf", "waggle.down.leaf", "waggle.knock.*", "waggle.up.spy", "_INBOX.>", "$SYS.>"} {
		s, err := spy.ChanSubscribe(subject, heard)
		if err != nil {
			t.Fatal(err)
		}
		if why := wait(t, denied, subject); !errors.Is(why, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", subject, why)
		}
		_ = s.Unsubscribe()
	}
	forged := appendData(nil, atLeaf.session, 0, flagFirst|flagLast, []byte("forged"))
	for _, subject := range []string{"waggle.up.leaf", "waggle.down.leaf", "waggle.knock.leaf", "$SYS.REQ.SERVER.PING"} {
		if err := spy.Publish(subject, forged); err != nil {
			t.Fatal(err)
		}
		if why := wait(t, denied, subject); !errors.Is(why, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v", subject, why)
		}
	}
	send(t, atHub, []byte("for the leaf alone"))
	send(t, atLeaf, []byte("for the hub alone"))
	if got := wait(t, leaf.received, "a message"); string(got) != "for the leaf alone" {
		t.Errorf("got %q", got)
	}
	if got := wait(t, hub.received, "a message"); string(got) != "for the hub alone" {
		t.Errorf("got %q", got)
	}
	if len(heard) > 0 {
		t.Errorf("the spy heard %q", (<-heard).Data)
	}
	hub.log.says(t, "it tried what a leaf may not do")
}

// connectAs connects with a leaf's key, and by none of the leaf's manners.
func connectAs(in *Invitation, complained func(error)) (*nats.Conn, error) {
	pair, err := nkeys.FromSeed([]byte(in.seed.reveal()))
	if err != nil {
		return nil, err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	return nats.Connect("tls://"+in.Addresses[0], nats.NoReconnect(), nats.TLSHandshakeFirst(), nats.Nkey(public, pair.Sign),
		nats.Secure(tlsToHub(in.Pin, time.Now, func(error) {})),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complained(err) }))
}

// flood publishes whatever it likes with a leaf's key.
func flood(ctx context.Context, in *Invitation, sent *atomic.Int64, frames func(session uint64) []byte) {
	for ctx.Err() == nil {
		nc, err := connectAs(in, func(error) {})
		if err != nil {
			continue
		}
		client, _ := nc.GetClientID()
		session := number()
		question := newControl(knock, session, &control{Version: version, Life: 1, Client: client})
		answers, err := nc.SubscribeSync("waggle.down." + in.Name)
		for answered := false; err == nil && !answered && ctx.Err() == nil && nc.IsConnected(); {
			_ = nc.Publish("waggle.knock."+in.Name, question)
			_, waited := answers.NextMsg(50 * time.Millisecond)
			answered = waited == nil
		}
		for ctx.Err() == nil && nc.IsConnected() {
			frame := frames(session)
			if nc.Publish("waggle.up."+in.Name, frame) != nil {
				break
			}
			sent.Add(int64(len(frame)))
		}
		nc.Close()
	}
}

func TestLeafThatFloodsFillsNoMemoryAndDisturbsNobody(t *testing.T) {
	hub, leaf, atHub, atLeaf := startPairAt(t, usual)
	body := make([]byte, pieceSize)
	var position uint64
	kinds := map[string]func(session uint64) []byte{
		"big":    func(s uint64) []byte { position++; return appendData(nil, s, position, flagFirst|flagLast, body) },
		"small":  func(s uint64) []byte { return appendData(nil, s, 0, 0, nil) },
		"strays": func(s uint64) []byte { return appendData(nil, s+1, 0, flagFirst|flagLast, body) },
	}
	hub.gate = make(chan struct{})
	open := sync.OnceFunc(func() { close(hub.gate) })
	t.Cleanup(open) // until then nothing is taken in, so that all of it would pile up
	var before, during runtime.MemStats
	var sent atomic.Int64
	runtime.GC()
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{}, len(kinds))
	for name, frames := range kinds {
		in := hub.invite(t, name)
		go func() {
			flood(ctx, in, &sent, frames)
			done <- struct{}{}
		}()
	}
	const least, room = 128 << 20, 80 << 20 // bytes of a flood, and those that it may fill
	most := uint64(0)
	began, looked := time.Now(), time.Now()
	shutOut := func() bool { return strings.Contains(hub.log.String(), errFlood.Error()) }
	for (sent.Load() < least || !shutOut()) && time.Since(began) < patience {
		send(t, atHub, []byte("all is well"))
		wait(t, leaf.received, "a message in a flood")
		if time.Since(looked) < 200*time.Millisecond {
			continue
		}
		runtime.GC()
		runtime.ReadMemStats(&during)
		most, looked = max(most, during.HeapInuse), time.Now()
	}
	cancel()
	for range kinds {
		wait(t, done, "the flood's end")
	}
	open()
	grown := int64(most) - int64(before.HeapInuse)
	t.Logf("%d MB were sent, and the heap grew by %d MB", sent.Load()>>20, grown>>20)
	if grown > room {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	if atHub.reason() != nil || atLeaf.reason() != nil {
		t.Errorf("a link that did nothing was closed: %v, %v", atHub.reason(), atLeaf.reason())
	}
	hub.log.says(t, errFlood.Error())
}

// Who only connects says nothing that could be refused: time and number are what bounds it.
func TestStrangersWhoSayNothingAreBoundedInTimeAndNumber(t *testing.T) {
	t.Parallel()
	hub := startHub(t, func(o *HubOptions) { o.pace.stranger, o.connections = 2*time.Second, 6 })
	leaf := startLeaf(t, hub.invite(t, "leaf"))
	atLeaf := wait(t, leaf.opened, "the leaf's link")
	var silent []net.Conn
	for n := range 4 { // with the leaf and its desk there are six
		c, err := net.Dial("tcp", hub.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 { // some speak TLS
			c = tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
			if err := c.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		silent = append(silent, c)
	}
	eventually(t, "the connections", func() bool { return hub.inside.server.NumClients() == 6 })
	late := startLeaf(t, hub.invite(t, "late"))
	late.log.says(t, "the hub has too many connections; it is tried again")
	hub.log.says(t, "there are as many connections as a hub takes")
	send(t, atLeaf, []byte("here"))
	if got := wait(t, hub.received, "a message of who was there before"); string(got) != "here" {
		t.Errorf("got %q", got)
	}
	for _, c := range silent {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a stranger is still there")
		}
		_ = c.Close()
	}
	wait(t, late.opened, "the late leaf's link")
}
