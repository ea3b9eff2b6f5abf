//go:build !function

package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"

	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/cluster/instance"
	"waggle/frontend"
	"waggle/frontend/udp"
)

// openPeers hears the group that peers ask. It does so after the addresses are listened on, as
// those may be on the port of the group too.
func (s *service) openPeers() error {
	c := &s.config.Cluster
	if !c.On() || c.Peers == "" {
		return nil
	}
	g, err := carrier.JoinGroup(carrier.GroupOptions{Group: c.Peers.AddrPort(), Interface: c.Interface, TTL: c.TTL})
	if err != nil {
		return fmt.Errorf("cluster.peers: %w; set it to off if no peer asks a group", withRoute(err))
	}
	s.peers = &peersGroup{socket: g, stopped: make(chan struct{})}
	s.peers.group = udp.NewGroup(udp.GroupOptions{
		Tracker: s.tracker, Cluster: hearing{s.instance}, Packets: s.peers, Secret: s.connectionSecret(),
		MaxScrape: int(s.config.Limits.ScrapeHashes), Log: s.log,
	})
	s.answering.Store(s.peers.group)
	return nil
}

// connectionSecret is the key of connection ids, which all instances have in common, so that
// an id of one is good at the next. Without a secret of the cluster everybody has it.
func (s *service) connectionSecret() (key udp.Secret) {
	mac := hmac.New(sha256.New, s.secret)
	_, _ = mac.Write([]byte("connection ids of peers of " + s.config.Cluster.Peers.String())) // never fails
	copy(key[:], mac.Sum(nil))
	return key
}

func (s *service) closePeers() error {
	if s.peers == nil {
		return nil
	}
	return s.peers.close()
}

// groupFigures returns what came by the group of the peers.
func (s *service) groupFigures() (f udp.Figures) {
	if s.peers == nil {
		return f
	}
	f = s.peers.group.Figures()
	f.Overflowed = s.peers.socket.Figures().Lost
	return f
}

func (s *service) groupLatencies() (l frontend.Latencies) {
	if s.peers == nil {
		return l
	}
	return s.peers.group.Latencies()
}

// groupURLs returns where peers ask all instances.
func (s *service) groupURLs() []string {
	if s.peers == nil {
		return nil
	}
	return []string{fmt.Sprintf("udp://%s/announce", s.config.Cluster.Peers)}
}

// answerCommitted answers a request whose master has died.
func (s *service) answerCommitted(r *cluster.Request) {
	if g := s.answering.Load(); g != nil {
		g.AnswerCommitted(r.Source, r.Packet[:])
	}
}

// peersGroup is the group that peers ask, as udp reads it.
type peersGroup struct {
	socket  *carrier.Group
	group   *udp.Group
	stop    sync.Once
	stopped chan struct{}
}

func (p *peersGroup) Receive() (packet []byte, from netip.AddrPort, ok bool) {
	select {
	case d, ok := <-p.socket.Receive():
		return d.Bytes, d.From, ok
	case <-p.stopped:
		return nil, from, false
	}
}

func (p *peersGroup) Answer(to netip.AddrPort, packet []byte) error {
	return p.socket.Answer(to, packet)
}

// close answers what is under way.
func (p *peersGroup) close() error {
	p.stop.Do(func() { close(p.stopped) })
	p.group.Close()
	return p.socket.Close()
}

// hearing is an instance as those see it who hear the group of the peers.
type hearing struct{ *instance.Instance }

func request(from netip.AddrPort, announce []byte) *cluster.Request {
	r := &cluster.Request{Source: from}
	copy(r.Packet[:], announce)
	return r
}

// The methods are documented at [udp.Cluster].

func (h hearing) Hear(from netip.AddrPort, announce []byte) {
	h.Instance.Heard(request(from, announce))
}

func (hearing) Heard(ctx context.Context, from netip.AddrPort, announce []byte) context.Context {
	return instance.Heard(ctx, request(from, announce))
}

func (hearing) Committed(ctx context.Context) context.Context { return instance.Committed(ctx) }
