package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	lib "github.com/anacrolix/torrent"
	protocol "github.com/anacrolix/torrent/peer_protocol"
	"golang.org/x/time/rate"
)

// Options are the settings of a client. The zero value works: it listens on all
// addresses, limits nothing, and gets peers from the torrents' trackers alone.
type Options struct {
	// Addr is the address to listen on. The zero value is all addresses of both
	// families.
	Addr netip.Addr

	// Port is the TCP port to listen on; 0: Prefer if it is free, else any.
	Port, Prefer uint16

	// Up and Down limit the rate of all torrents together, in bytes a second; 0: no
	// limit. Requests and such count for Down as data do.
	Up, Down int64

	// Connections is the most peers of a torrent that are connected at a time. 0: 50.
	Connections int

	// DHT and PEX find peers without the tracker (BEP 5, 11), for torrents that are
	// not private. DHT asks strangers on the internet, and brings uTP with it. A
	// client with a private torrent may have neither: see [Client.Add].
	DHT, PEX bool

	// MulticastInterface is the name of the network interface by which trackers are
	// asked that are multicast groups, such as eth0. Empty: that of Addr, or of the
	// route. An IPv6 group with a zone has its own.
	MulticastInterface string

	// MulticastTTL is how many networks such requests may pass: 1 is the local one,
	// 2 to 255 go through multicast routers. 0: 1.
	MulticastTTL int

	// Version is what the peer calls itself to others, such as "0.1.0".
	Version string

	// Say is told what the user should know: warnings and errors of trackers, files
	// that changed underneath. One at a time. nil: nobody is.
	Say func(text string)

	// Log is told what the library has to say. nil: nobody is.
	Log *slog.Logger
}

// ErrPrivate is the error of adding a private torrent to a client that has DHT or
// PEX.
var ErrPrivate = errors.New("a private torrent takes peers from its trackers alone: leave DHT and PEX off")

// Client downloads and uploads torrents. Its methods may be called by several
// goroutines at a time. Use [New].
type Client struct {
	options  Options
	lib      *lib.Client
	trackers *trackers
	key      uint32 // by which trackers know it again
	talking  sync.Mutex

	mu       sync.Mutex
	closed   bool
	torrents []*Torrent
}

// New opens a client's port. Nothing is sent before a torrent is added: no router
// is asked for a port, and nobody for an address.
func New(o Options) (*Client, error) {
	if o.Connections <= 0 {
		o.Connections = 50
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	port := o.Port
	if port == 0 {
		port = o.Prefer
	}
	client, err := lib.NewClient(configure(&o, port))
	if err != nil && o.Port == 0 && port != 0 {
		client, err = lib.NewClient(configure(&o, 0))
	}
	if err != nil {
		return nil, fmt.Errorf("port %d cannot be listened on: choose another one: %w", o.Port, err)
	}
	return &Client{options: o, lib: client, trackers: newTrackers("waggle/"+o.Version, &o), key: rand.Uint32()}, nil
}

// configure turns options into the library's.
func configure(o *Options, port uint16) *lib.ClientConfig {
	c := lib.NewDefaultClientConfig()
	host := ""
	if o.Addr.IsValid() {
		host = o.Addr.Unmap().String()
		c.DisableIPv4, c.DisableIPv6 = o.Addr.Unmap().Is6(), o.Addr.Unmap().Is4()
		c.DisableIPv4Peers = c.DisableIPv4
	}
	c.ListenHost = func(string) string { return host }
	c.ListenPort = int(port)
	c.Seed = true
	c.NoDefaultPortForwarding = true
	c.DisableTrackers = true // see announcer
	c.DisableWebtorrent = true
	c.DisableWebseeds = true
	c.NoDHT = !o.DHT
	c.DisableUTP = !o.DHT // whose socket is uTP's
	c.DisablePEX = !o.PEX
	// Within a data centre plain connections save the time of dialling twice.
	c.HeaderObfuscationPolicy = lib.HeaderObfuscationPolicy{}
	c.EstablishedConnsPerTorrent = o.Connections
	c.HalfOpenConnsPerTorrent = min(25, o.Connections)
	c.Bep20 = "-WG0010-"
	c.HTTPUserAgent = "waggle/" + o.Version
	c.ExtendedHandshakeClientVersion = "waggle " + o.Version
	c.UploadRateLimiter = limiter(o.Up)
	if o.Down > 0 {
		c.DownloadRateLimiter = limiter(o.Down)
	}
	c.Slogger = o.Log
	c.DefaultStorage = nowhere{} // each torrent has its own
	// As much as a peer may ask for at a time, 1,024 blocks of 16 KiB. With less the
	// library stops for ever: it waits for room for one block while it has room for
	// another.
	c.MaxAllocPeerRequestDataPerConn = 1024 * 16 << 10
	c.Callbacks.ReadMessage = disarm
	return c
}

// disarm takes from a peer's messages those of version 2 that are about hashes
// (BEP 52): the library panics at some that it does not expect. Nothing is lost,
// as piece layers come with the .torrent. A reject is a message that it ignores.
func disarm(_ *lib.PeerConn, m *protocol.Message) {
	if m.Type == protocol.Hashes || m.Type == protocol.HashRequest {
		m.Type = protocol.HashReject
	}
}

// limiter lets through bytes a second, and a tenth of a second's worth at once.
// A block of 16 KiB must fit, and what is read at once.
func limiter(bytes int64) *rate.Limiter {
	if bytes <= 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(bytes), int(min(max(bytes/10, 64<<10), 16<<20)))
}

// Port returns the TCP port that the client listens on.
func (c *Client) Port() uint16 { return uint16(c.lib.LocalPort()) }

// say tells the user something.
func (c *Client) say(format string, a ...any) {
	if c.options.Say == nil {
		return
	}
	c.talking.Lock()
	defer c.talking.Unlock()
	c.options.Say(fmt.Sprintf(format, a...))
}

// Add begins to fetch what is missing of a torrent, and to upload what is there.
// The data are the client's from here on, in any case. Errors are [ErrPrivate],
// and those of a torrent that the library cannot take.
func (c *Client) Add(ctx context.Context, d *Data) (*Torrent, error) {
	t, err := c.newTorrent(ctx, d)
	if err != nil {
		return nil, errors.Join(err, d.files.close())
	}
	for _, note := range d.notes {
		c.say("%s", note)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		t.lib.Drop()
		return nil, errors.Join(net.ErrClosed, d.files.close())
	}
	c.torrents = append(c.torrents, t)
	t.start()
	return t, nil
}

// Close tells the trackers that the client stops, which takes five seconds at
// most, writes the tables and closes all files and connections. Data that are not
// whole stay for the next time. The error is what could not be written.
func (c *Client) Close() error {
	c.mu.Lock()
	torrents := c.torrents
	c.closed, c.torrents = true, nil
	c.mu.Unlock()
	for _, t := range torrents {
		t.cancel()
	}
	var err error
	for _, t := range torrents {
		<-t.ended
		err = errors.Join(err, t.closed)
	}
	for _, failure := range c.lib.Close() {
		err = errors.Join(err, failure)
	}
	c.trackers.http.CloseIdleConnections()
	return err
}
