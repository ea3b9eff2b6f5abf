package carrier

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// BrokerOptions are those of a [Broker].
type BrokerOptions struct {
	// URL is tls://host:port, or nats://host:port, with a user and a password or a token in it
	// if the NATS wants those. TLS is demanded of both, except of nats:// on this machine itself.
	URL string

	Credentials string           // the path of a .creds file; "": none
	Roots       string           // the path of certificates in PEM that the NATS is known by; "": those of the operating system
	Prefix      string           // of the subjects; "" is waggle.cluster. One for each cluster
	Address     netip.AddrPort   // of this instance, which no other has; zero: a random one of fd00::/8
	Secret      []byte           // of the cluster, [MinSecret] bytes and up
	Unsealed    bool             // without a secret: everybody at the NATS is believed
	Now         func() time.Time // nil: time.Now
}

// Broker is a carrier over a NATS: what is for all is published as PREFIX.all, what is for an
// instance as PREFIX.to.ADDRESS, the address being 18 bytes in hexadecimal digits. The reply
// subject says whom it is from. While the NATS is not reached messages are lost and counted,
// and it is tried again. Send does not wait.
type Broker struct {
	*post
	nc      *nats.Conn
	prefix  string
	reply   string // the subject of this instance
	heard   []*nats.Subscription
	late    atomic.Uint64         // what those had no room for, at the end
	fault   atomic.Pointer[error] // why nothing can be published; nil: it can
	gone    chan struct{}
	going   chan outgoing
	closing sync.Once
	closed  chan struct{}
	writer  sync.WaitGroup
}

var _ Carrier = (*Broker)(nil)

// outgoing is a datagram on its way to the NATS.
type outgoing struct {
	subject  string
	datagram []byte
}

var errFull = errors.New("the NATS takes less than is sent")

// NewBroker connects to a NATS, or goes on to try. Errors say what to do.
func NewBroker(o BrokerOptions) (*Broker, error) {
	if o.Prefix == "" {
		o.Prefix = "waggle.cluster"
	}
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	if !o.Address.IsValid() {
		if o.Address, err = randomAddress(); err != nil {
			return nil, err
		}
	}
	seal, err := NewSeal(SealOptions{Secret: o.Secret, Unsealed: o.Unsealed, Name: o.Prefix, Address: o.Address})
	if err != nil {
		return nil, err
	}
	b := &Broker{
		post: newPost(seal, o.Now), prefix: o.Prefix, reply: subjectOf(o.Prefix, seal.o.Address),
		gone: make(chan struct{}), going: make(chan outgoing, QueueLength), closed: make(chan struct{}),
	}
	b.write = b.enqueue
	b.lost(nil, nil)
	options = append(options, nats.ErrorHandler(b.told), nats.ClosedHandler(func(*nats.Conn) { close(b.gone) }),
		nats.ConnectHandler(b.reached), nats.ReconnectHandler(b.reached), nats.DisconnectErrHandler(b.lost), nats.ReconnectErrHandler(b.lost))
	if b.nc, err = nats.Connect(o.URL, options...); err != nil {
		return nil, fmt.Errorf("the NATS of the cluster: %w", err)
	}
	if b.nc.IsConnected() {
		b.reached(nil)
	}
	if err := b.hear(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.writer.Go(b.publish)
	return b, nil
}

var prefixes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,7}$`) })

func (o *BrokerOptions) options() ([]nats.Option, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Port() == "" || strings.ContainsAny(o.URL, ", ") || u.Scheme != "tls" && u.Scheme != "nats":
		return nil, errors.New("the URL of the NATS cannot be read: it is tls://host:port or nats://host:port, before the host a user, a colon, a password and an @ if need be")
	case !prefixes().MatchString(o.Prefix):
		return nil, fmt.Errorf("%.80q cannot begin the subjects of a cluster: letters of ASCII, digits, - and _ can, and dots between them", o.Prefix)
	}
	options := []nats.Option{
		nats.Name("waggle"), nats.NoEcho(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.IgnoreDiscoveredServers(), nats.Timeout(2 * time.Second), nats.FlusherTimeout(2 * time.Second),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "tls" || u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if o.Roots != "" {
		options = append(options, nats.RootCAs(o.Roots))
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	return options, nil
}

func randomAddress() (netip.AddrPort, error) {
	var b [18]byte
	if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("no random bytes: %w", err)
	}
	b[0] = 0xfd
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:])), max(binary.BigEndian.Uint16(b[16:]), 1)), nil
}

// reached, lost and told take in how the connection is. It is not asked: while it is made, and while
// the NATS takes nothing, whoever asks has to wait for seconds.
func (b *Broker) reached(*nats.Conn) { b.fault.Store(nil) }

func (b *Broker) lost(_ *nats.Conn, err error) {
	err = fmt.Errorf("the NATS is not reached: %w", cmp.Or(err, errSilent))
	b.fault.Store(&err)
}

var errSilent = errors.New("it does not answer")

// Who may not hear or say all is silent: one that only spoke would hold itself for the only one,
// and be a second master.
func (b *Broker) told(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		err = fmt.Errorf("the NATS has to let this user publish and subscribe to %s.>: %w", b.prefix, err)
		b.fault.Store(&err)
	}
}

// hear subscribes to what is for all, and for this instance.
func (b *Broker) hear() error {
	for _, subject := range []string{b.prefix + ".all", b.reply} {
		toAll := subject != b.reply
		s, err := b.nc.Subscribe(subject, func(m *nats.Msg) { b.take(m, toAll) })
		if err == nil {
			err = s.SetPendingLimits(QueueLength, QueueLength*MaxDatagram)
		}
		if err != nil {
			return fmt.Errorf("the NATS of the cluster: %w", err)
		}
		b.heard = append(b.heard, s)
	}
	if b.nc.IsConnected() {
		_ = b.nc.FlushTimeout(2 * time.Second) // if it is too slow, it hears later
	}
	return nil
}

// Figures returns what was counted so far.
func (b *Broker) Figures() Figures {
	f := b.post.Figures()
	f.Lost += b.dropped()
	return f
}

// dropped returns how many messages came while too many waited to be looked at.
func (b *Broker) dropped() uint64 {
	sum := uint64(0)
	for _, s := range b.heard {
		n, err := s.Dropped()
		if err != nil {
			return b.late.Load()
		}
		sum += uint64(n)
	}
	return sum
}

// take takes in a message. Where nobody hears a subject the NATS says so, with a header alone.
func (b *Broker) take(m *nats.Msg, toAll bool) {
	from, ok := b.sender(m.Reply)
	switch {
	case ok:
		b.arrived(from, toAll, m.Data)
	case len(m.Data) > 0 || m.Header.Get("Status") != noResponders:
		b.count(from, errMalformed)
	}
}

const noResponders = "503"

func subjectOf(prefix string, a netip.AddrPort) string {
	return prefix + ".to." + hex.EncodeToString(appendAddress(nil, bare(a)))
}

// sender returns the address in a subject.
func (b *Broker) sender(subject string) (from netip.AddrPort, ok bool) {
	digits, is := strings.CutPrefix(subject, b.prefix+".to.")
	raw, err := hex.DecodeString(digits)
	if !is || err != nil || len(raw) != 18 {
		return from, false
	}
	return bare(netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw[:16])), binary.BigEndian.Uint16(raw[16:]))), true
}

// enqueue hands a datagram to the goroutine that publishes.
func (b *Broker) enqueue(to netip.AddrPort, datagram []byte) error {
	if fault := b.fault.Load(); fault != nil {
		return *fault
	}
	subject := b.prefix + ".all"
	if to.IsValid() {
		subject = subjectOf(b.prefix, to)
	}
	select {
	case b.going <- outgoing{subject, append([]byte(nil), datagram...)}:
		return nil
	default:
		return errFull
	}
}

func (b *Broker) publish() {
	for {
		select {
		case <-b.closed:
			b.publishRest()
			return
		case out := <-b.going:
			b.publishOne(&out)
		}
	}
}

// publishRest publishes what was sent before the end, such as that this instance leaves.
func (b *Broker) publishRest() {
	for {
		select {
		case out := <-b.going:
			b.publishOne(&out)
		default:
			return
		}
	}
}

func (b *Broker) publishOne(out *outgoing) {
	if err := b.nc.PublishRequest(out.subject, b.reply, out.datagram); err != nil {
		b.failed(err)
	}
}

// Close publishes what is on its way, ends the connection, and waits for that.
func (b *Broker) Close() error {
	b.closing.Do(func() {
		close(b.closed)
		b.writer.Wait()
		if b.nc.IsConnected() {
			_ = b.nc.FlushTimeout(2 * time.Second) // one that is too slow gets no more
		}
		b.late.Store(b.dropped())
		b.nc.Close()
		<-b.gone
		b.queue.close()
	})
	return nil
}
