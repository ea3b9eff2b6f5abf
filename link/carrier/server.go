package carrier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	maxPayload     = 512 << 10 // bytes of a frame, at most; a welcome with many rights is the longest
	maxPending     = 2 * Window
	maxConnections = 2 * (MaxLeaves + 1000) // a desk for each leaf, the leaf, and those that show yet who they are
)

// inside is the NATS in a hub's own process, and who is connected to it.
type inside struct {
	server *server.Server
	token  string // of this process's own connections

	mu       sync.Mutex
	visitors map[string]map[uint64]visitor // by leaf and the number of the connection
}

// visitor is a connection that has shown to be a leaf's.
type visitor struct {
	key     string // public
	address string
	since   time.Time
}

// mostVisitors is the most connections of one leaf at a time.
const mostVisitors = 8

// listen starts the NATS.
func (h *Hub) listen() error {
	id, err := openIdentity(h.o.Book.dir)
	if err != nil {
		return err
	}
	if _, err := id.current(h.o.Now()); err != nil {
		return err
	}
	host, port, err := splitListen(h.o.Listen)
	if err != nil {
		return err
	}
	in := &inside{token: fmt.Sprintf("%016x%016x", number(), number()), visitors: make(map[string]map[uint64]visitor)}
	in.server, err = server.NewServer(&server.Options{
		ServerName: h.o.Name, Host: host, Port: port,
		TLSConfig: tlsOfHub(id, h.o.Now), TLSHandshakeFirst: true,
		TLSTimeout: h.o.pace.stranger.Seconds(), AuthTimeout: h.o.pace.stranger.Seconds(),
		CustomClientAuthentication: &porter{h}, AlwaysEnableNonce: true,
		MaxPayload: maxPayload, MaxPending: maxPending, MaxConn: h.o.connections, MaxSubs: 8, MaxControlLine: 1024,
		WriteDeadline: h.o.pace.silence, PingInterval: 3 * time.Second, MaxPingsOut: 2, MaxClosedClients: 16,
		NoSigs: true, NoSystemAccount: true, NoHeaderSupport: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	h.inside = in
	reports := &reports{h: h}
	in.server.SetLoggerV2(reports, false, false, false)
	in.server.Start()
	if fatal := reports.fatal(); fatal != "" || !in.server.ReadyForConnections(10*time.Second) {
		in.server.Shutdown()
		in.server.WaitForShutdown()
		return fmt.Errorf("links cannot be listened for on %s: %s", h.o.Listen, fatal)
	}
	return nil
}

// splitListen takes an address apart as the NATS wants it.
func splitListen(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	n, err2 := strconv.ParseUint(text, 10, 16)
	if err != nil || err2 != nil {
		return "", 0, fmt.Errorf("%q is no address to listen on: it is a host, which may be missing, and a port, as in :6970", address)
	}
	if host == "" {
		host = anyHost()
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// anyHost returns what stands for all addresses of this machine.
func anyHost() string {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "[::]:0")
	if err != nil {
		return "0.0.0.0" // it has no IPv6
	}
	_ = l.Close() // nothing was taken in
	return "::"
}

// reports takes the log of the NATS.
type reports struct {
	h *Hub

	mu   sync.Mutex
	last string // of what is fatal
}

func (r *reports) fatal() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Fatalf keeps what kept the NATS from starting.
func (r *reports) Fatalf(format string, v ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = strings.TrimPrefix(fmt.Sprintf(format, v...), "Error listening on port: ")
}

// Errorf is told of connections that were refused, first of all.
func (r *reports) Errorf(format string, v ...any) {
	report := fmt.Sprintf(format, v...)
	if strings.Contains(report, server.ErrAuthentication.Error()) {
		return // the porter has said why
	}
	if words := explainToHub(report); words != "" {
		r.h.turnedAway("", strings.TrimSpace(strings.SplitN(report, " - ", 2)[0]), words)
		return
	}
	r.Warnf("%s", report)
}

// Warnf says what is rarely of interest.
func (r *reports) Warnf(format string, v ...any) {
	r.h.o.Log.Debug("the NATS inside says", "text", clean(fmt.Sprintf(format, v...)))
}

// Noticef, Debugf and Tracef say nothing.
func (*reports) Noticef(string, ...any) {}

// Debugf says nothing.
func (*reports) Debugf(string, ...any) {}

// Tracef says nothing.
func (*reports) Tracef(string, ...any) {}

// attend opens the desk of a leaf, if it has none.
func (h *Hub) attend(name string) {
	d := &desk{hub: h, name: name}
	h.mu.Lock()
	if h.stopped || h.desks[name] != nil {
		h.mu.Unlock()
		return
	}
	h.desks[name] = d
	h.works.Add(1)
	h.mu.Unlock()
	go func() {
		defer h.works.Done()
		defer h.dropDesk(d)
		if err := h.inside.serve(d); err != nil && h.said.fresh(name+err.Error()) {
			h.o.Log.Error("a leaf cannot be attended to; it is tried again when it comes again", "leaf", name, "error", err)
		}
	}()
}

// serve connects a desk to the NATS, by a connection of its own, until that is closed.
func (in *inside) serve(d *desk) error {
	w, err := openWire(context.Background(), nil, nats.DefaultURL, 5*time.Second,
		nats.InProcessServer(in.server), nats.Token(in.token), nats.Name(d.name))
	if err != nil {
		return err
	}
	post := func(frame []byte) error { return w.nc.Publish(ownPrefix+".down."+d.name, frame) }
	if !d.connect(post, w.flush, w.close) {
		w.close()
		return nil
	}
	_, err = w.hear(ownPrefix+".up."+d.name, d.arrived)
	if err == nil {
		_, err = w.hear(ownPrefix+".knock."+d.name, d.knocked)
	}
	if err != nil {
		w.close()
		return err
	}
	<-w.closed
	d.fail(errFlood)
	return nil
}

// The connections of leaves.

// add takes note of a connection. It returns false where the leaf has too many.
func (in *inside) add(name string, client uint64, v visitor) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	of := in.visitors[name]
	if of == nil {
		of = make(map[uint64]visitor)
		in.visitors[name] = of
	}
	for old := range of {
		if in.server.GetClient(old) == nil {
			delete(of, old)
		}
	}
	if len(of) >= mostVisitors {
		return false
	}
	of[client] = v
	return true
}

func (in *inside) address(name string, client uint64) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.visitors[name][client].address
}

// isHere reports whether a connection is this leaf's, and open.
func (in *inside) isHere(name string, client uint64) bool {
	in.mu.Lock()
	_, ok := in.visitors[name][client]
	in.mu.Unlock()
	return ok && in.server.GetClient(client) != nil
}

// awaitEnd waits until a connection is closed, but not for long. The NATS tells nobody.
func (in *inside) awaitEnd(name string, client uint64) {
	end := time.NewTimer(300 * time.Millisecond)
	defer end.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for in.isHere(name, client) {
		select {
		case <-ticker.C:
		case <-end.C:
			return
		}
	}
}

// kick closes a connection, if it is this leaf's.
func (in *inside) kick(name string, client uint64) {
	in.mu.Lock()
	_, ok := in.visitors[name][client]
	delete(in.visitors[name], client)
	in.mu.Unlock()
	if ok {
		_ = in.server.DisconnectClientByID(client) // it may be gone
	}
}

// kickAll closes the connections of a leaf but for one.
func (in *inside) kickAll(name string, but uint64) {
	in.mu.Lock()
	clients := slices.Collect(maps.Keys(in.visitors[name]))
	in.mu.Unlock()
	for _, client := range clients {
		if client != but {
			in.kick(name, client)
		}
	}
}

// sweep ends sessions whose connections are gone, and closes connections that have no
// session, or are of nobody that is known.
func (in *inside) sweep(h *Hub) {
	for _, d := range h.allDesks() {
		if link := d.open(); link != nil && !in.isHere(d.name, link.client) {
			link.end(errGone, nil)
		}
	}
	type stray struct {
		name    string
		client  uint64
		another bool // who was invited by that name has another key
	}
	var strays []stray
	now := time.Now()
	in.mu.Lock()
	for name, of := range in.visitors {
		leaf, known := h.o.Book.Find(name)
		for client, v := range of {
			another := known && v.key != leaf.Key
			if !known || another || now.Sub(v.since) > h.o.pace.silence {
				strays = append(strays, stray{name, client, another})
			}
		}
		if len(of) == 0 {
			delete(in.visitors, name)
		}
	}
	in.mu.Unlock()
	for _, s := range strays {
		switch {
		case h.session(s.name) != s.client:
			in.kick(s.name, s.client)
		case s.another:
			h.strike(s.name)
		}
	}
}

var errGone = errors.New("the leaf's connection was closed: its process ended, or the network between was cut")
