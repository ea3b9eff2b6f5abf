package console

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/swarm"
)

func (a *api) addPeers() {
	huma.Register(a.huma, operation(http.MethodGet, "/peers", "list-peers", "List the peers of all torrents, by torrent and address"), a.allPeers)
	huma.Register(a.huma, operation(http.MethodGet, "/transfers/{hash}/peers", "list-peers-of-transfer", "List the peers of a transfer, or of a torrent that is not listed, by address",
		http.StatusNotFound), a.peersOf)
}

type peersRequest struct {
	ByHash
	ByPage
}

func (a *api) peersOf(ctx context.Context, in *peersRequest) (*answer[client.PeerPage], error) {
	after, err := parsePlace(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	hashes, err := a.swarmsOf(ctx, in.hash())
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	if err := a.takeWalk(ctx); err != nil {
		return nil, a.failed(ctx, err)
	}
	defer a.freeWalk()
	first := firstPeers{after: after.addr, limit: in.Limit + 1}
	for _, h := range hashes {
		if err := a.look(ctx, h, &first); err != nil {
			return nil, a.failed(ctx, err)
		}
	}
	return a.answerPeers(first.list(), in.Limit), nil
}

// swarmsOf returns the hashes under which a torrent has peers. One that is not
// listed may have some, too; the error is [catalog.ErrUnknown] if it has none, or the
// store's.
func (a *api) swarmsOf(ctx context.Context, h bittorrent.InfoHash) ([]bittorrent.InfoHash, error) {
	t, err := a.catalog.Get(h)
	if err == nil {
		return t.InfoHashes(), nil
	}
	hashes, counts := []bittorrent.InfoHash{h}, make([]bittorrent.ScrapeCounts, 1)
	if err := a.swarms.Scrape(ctx, hashes, counts); err != nil {
		return nil, err
	}
	if counts[0] != (bittorrent.ScrapeCounts{}) {
		return hashes, nil
	}
	return nil, err
}

type allPeersRequest struct {
	ByPage
	Address string `query:"address" maxLength:"128" doc:"Those at an IP address, at an address with a port, or in a network; left out for all." example:"10.1.0.0/16"`
}

// allPeers goes through the torrents in the order of their hashes, which is that in
// which the store has them.
func (a *api) allPeers(ctx context.Context, in *allPeersRequest) (*answer[client.PeerPage], error) {
	after, err := parsePlace(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	wanted, err := parseAddresses(in.Address)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err := a.takeWalk(ctx); err != nil {
		return nil, a.failed(ctx, err)
	}
	defer a.freeWalk()
	var found []foundPeer
	buf := make([]swarm.Peer, 0, peersAtOnce) // there may be a hundred thousand torrents
	for b := int(after.hash[0]); b <= 0xff && len(found) <= in.Limit; b++ {
		torrents, err := a.swarms.Torrents(ctx, b)
		if err != nil {
			return nil, a.failed(ctx, err)
		}
		for _, h := range torrents {
			first := firstPeers{wanted: wanted, buf: buf, limit: in.Limit + 1 - len(found)}
			switch compareHashes(h, after.hash) {
			case -1:
				continue
			case 0:
				first.after = after.addr
			}
			if err := a.look(ctx, h, &first); err != nil {
				return nil, a.failed(ctx, err)
			}
			if found = append(found, first.list()...); len(found) > in.Limit {
				break
			}
		}
	}
	page := a.answerPeers(found, in.Limit)
	a.nameTorrents(page.Body.Peers)
	return page, nil
}

// nameTorrents gives peers, those of a torrent together, the names of their torrents.
func (a *api) nameTorrents(peers []client.Peer) {
	for i := range peers {
		p := &peers[i]
		if i > 0 && p.InfoHash == peers[i-1].InfoHash {
			p.Name = peers[i-1].Name
			continue
		}
		if t, err := a.catalog.Get(p.InfoHash); err == nil {
			p.Name = t.Name
		}
	}
}

// addresses are those of peers that are asked for. The zero value has all.
type addresses struct {
	network netip.Prefix // invalid: any
	port    uint16       // 0: any
}

// parseAddresses reads an IP address, one with a port, or a network. The empty text is
// all addresses. The error says what is wanted.
func parseAddresses(text string) (addresses, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return addresses{}, nil
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		return addresses{network: plainNetwork(network)}, nil
	}
	if at, err := netip.ParseAddrPort(text); err == nil && at.Port() != 0 && at.Addr().Zone() == "" {
		return addresses{networkOf(at.Addr()), at.Port()}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return addresses{network: networkOf(addr)}, nil
	}
	return addresses{}, fmt.Errorf("%.80q is no address of peers: give an IP address such as 10.1.2.1, one with its port such as 10.1.2.1:6881 or [2001:db8::1]:6881, or a network such as 10.1.0.0/16", text)
}

// networkOf returns the network of one address.
func networkOf(addr netip.Addr) netip.Prefix {
	return plainNetwork(netip.PrefixFrom(addr, addr.BitLen()))
}

// plainNetwork returns a network of IPv4 as one, also where it is written in IPv6, since
// peers have plain addresses.
func plainNetwork(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before those of IPv4
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p.Masked()
}

func (a *addresses) has(addr netip.AddrPort) bool {
	return (!a.network.IsValid() || a.network.Contains(addr.Addr())) && (a.port == 0 || a.port == addr.Port())
}

// peersAtOnce is how many peers the store shows at a time.
const peersAtOnce = 256

// look shows the peers of a torrent to first. The error is that of ctx, or the store's.
func (a *api) look(ctx context.Context, h bittorrent.InfoHash, first *firstPeers) error {
	return a.walk(ctx, h, first.buf, func(peers []swarm.Peer) bool {
		first.see(h, peers)
		return true
	})
}

// answerPeers makes a page of peers, of which one more than the limit may be there.
func (a *api) answerPeers(found []foundPeer, limit int) *answer[client.PeerPage] {
	page := client.PeerPage{Peers: make([]client.Peer, min(len(found), limit))}
	for i := range page.Peers {
		page.Peers[i] = a.peerOf(&found[i])
	}
	if len(found) > limit {
		last := &found[limit-1]
		page.Next = place{hash: last.hash, addr: last.Addr}.String()
	}
	return &answer[client.PeerPage]{page}
}

// foundPeer is a peer and its torrent.
type foundPeer struct {
	swarm.Peer
	hash bittorrent.InfoHash
}

// firstPeers picks of many peers, in any order, those with the lowest addresses
// after a given one. It holds twice as many as it is to pick.
type firstPeers struct {
	wanted addresses      // others are passed over
	after  netip.AddrPort // the zero one is before all others
	limit  int            // at least 1
	last   netip.AddrPort // once there are enough: the highest of them
	found  []foundPeer
	buf    []swarm.Peer // that looks may use; nil: none
}

func (f *firstPeers) see(h bittorrent.InfoHash, peers []swarm.Peer) {
	for i := range peers {
		addr := peers[i].Addr
		if addr.Compare(f.after) <= 0 || f.last.IsValid() && addr.Compare(f.last) > 0 || !f.wanted.has(addr) {
			continue
		}
		f.found = append(f.found, foundPeer{peers[i], h})
		if len(f.found) >= 2*f.limit {
			f.cut()
		}
	}
}

// cut leaves the lowest. Of a peer that is in both swarms of a hybrid torrent it
// leaves one.
func (f *firstPeers) cut() {
	slices.SortStableFunc(f.found, func(a, b foundPeer) int { return a.Addr.Compare(b.Addr) })
	f.found = slices.CompactFunc(f.found, func(a, b foundPeer) bool { return a.Addr == b.Addr })
	if len(f.found) >= f.limit {
		f.found = f.found[:f.limit]
		f.last = f.found[f.limit-1].Addr
	}
}

func (f *firstPeers) list() []foundPeer {
	f.cut()
	return f.found
}

func (a *api) peerOf(f *foundPeer) client.Peer {
	p := client.Peer{
		InfoHash: f.hash, Address: f.Addr.String(), Kind: f.Kind.String(),
		Uploaded: f.Uploaded, Downloaded: f.Downloaded, FirstSeen: seen(f.First), LastSeen: seen(f.Last), Browser: f.Browser,
	}
	if f.ID != (bittorrent.PeerID{}) {
		p.Client, p.ID = clientName(f.ID), f.ID.String()
	}
	if f.Left != bittorrent.LeftUnknown {
		p.Left = new(f.Left)
	}
	if a.reach != nil {
		p.Reachable = reachable(a.reach(f.Addr))
	}
	return p
}

// reachable says whether a peer can be connected to.
func reachable(r swarm.Reach) string {
	switch r {
	case swarm.Reachable:
		return client.Yes
	case swarm.Unreachable:
		return client.No
	}
	return ""
}

// seen returns a time of a peer, or zero where it is not known.
func seen(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}
