package console

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/locality"
	"waggle/roster"
	"waggle/swarm"
)

func (a *api) addExplanation() {
	huma.Register(a.huma, operation(http.MethodGet, "/transfers/{hash}/peers/{address}/explanation", "explain-peer",
		"Why a located peer is told of whom", http.StatusNotFound), a.explain)
}

type explainRequest struct {
	ByHash
	Address string `path:"address" maxLength:"64" doc:"IP address and port, as the list of peers has it." example:"192.0.2.1:6881"`
}

func (a *api) explain(ctx context.Context, in *explainRequest) (*answer[client.Explanation], error) {
	addr, err := netip.ParseAddrPort(in.Address)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("this is no address of a peer",
			&huma.ErrorDetail{Message: "say IP:PORT, or [IP]:PORT of IPv6", Location: "path.address", Value: in.Address})
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
	hashes, err := a.swarmsOf(ctx, in.hash())
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	for _, h := range hashes {
		if a.roster == nil {
			break
		}
		e, ok, err := a.roster.Explain(ctx, h, addr)
		if err != nil {
			return nil, a.failed(ctx, err)
		}
		if ok {
			return &answer[client.Explanation]{explanationOf(h, &e)}, nil
		}
	}
	return nil, a.unexplained(ctx, hashes, addr)
}

// unexplained returns the problem of a peer of which no roster knows.
func (a *api) unexplained(ctx context.Context, hashes []bittorrent.InfoHash, addr netip.AddrPort) error {
	located, err := a.hasLocated(ctx, hashes)
	if err != nil {
		return a.failed(ctx, err)
	}
	is, err := a.isPeer(ctx, hashes, addr)
	if err != nil {
		return a.failed(ctx, err)
	}
	switch {
	case !is:
		return huma.Error404NotFound(addr.String() + " is no peer of this torrent; /transfers/{hash}/peers lists those that are")
	case a.locality == nil:
		return huma.Error404NotFound("locality is off, so peers are told of others at random: set locality.sources")
	case !located:
		return huma.Error404NotFound("no peer of this torrent is located, so they are told of others at random: see /locality/{address}")
	}
	return huma.Error404NotFound(addr.String() + " is not located, and is told of others that are not, at random: see /locality/{address}")
}

// isPeer reports whether a peer is in one of the swarms. The error is that of ctx.
func (a *api) isPeer(ctx context.Context, hashes []bittorrent.InfoHash, addr netip.AddrPort) (is bool, err error) {
	if err := a.takeWalk(ctx); err != nil {
		return false, err
	}
	defer a.freeWalk()
	for _, h := range hashes {
		err := a.walk(ctx, h, nil, func(peers []swarm.Peer) bool {
			is = is || slices.ContainsFunc(peers, func(p swarm.Peer) bool { return p.Addr == addr })
			return !is
		})
		if is || err != nil {
			return is, err
		}
	}
	return false, nil
}

func explanationOf(h bittorrent.InfoHash, e *roster.Explanation) client.Explanation {
	out := client.Explanation{
		InfoHash: h, Address: e.Peer.String(), Location: pathOf(e.Location), Kind: e.Kind.String(),
		Reach: e.Reach, Standby: e.Standby, Stalled: e.Stalled, Pace: paceOf(e.Pace),
		FirstSeen: e.First.UTC(), LastSeen: e.Last.UTC(), Health: e.Health, Depth: e.Depth,
		Told: toldOf(e.Told), Orphans: toldOf(e.Orphans), Sentences: e.Sentences,
	}
	if e.ID != (bittorrent.PeerID{}) {
		out.Client, out.ID = clientName(e.ID), e.ID.String()
	}
	if e.Left < roster.UnknownLeft {
		out.Left = new(e.Left)
	}
	return out
}

func toldOf(told []roster.Told) []client.Told {
	all := make([]client.Told, len(told))
	for i, t := range told {
		all[i] = client.Told{Address: t.Peer.String(), Location: pathOf(t.Location), Kind: t.Kind.String(), Why: string(t.Why), Children: t.Children}
	}
	return all
}

// pathOf returns "" where nobody knows.
func pathOf(g *locality.Group) string {
	if g == nil {
		return ""
	}
	return g.Path()
}

func paceOf(p swarm.Pace) string {
	switch p {
	case swarm.Active:
		return "active"
	case swarm.Passive:
		return "passive"
	}
	return "usual"
}
