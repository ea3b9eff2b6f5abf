package web

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"waggle/bittorrent"
	"waggle/console/client"
)

// peerPage is what the page of one peer shows.
type peerPage struct {
	InfoHash    bittorrent.InfoHash
	Torrent     string // its name; "": not known
	Address     string
	Explanation *client.Explanation
	Why         string // why there is none
}

func (s *Site) peer(r *http.Request) (view, error) {
	h, err := hashOf(r)
	if err != nil {
		return view{}, err
	}
	addr, err := netip.ParseAddrPort(r.PathValue("address"))
	if err != nil {
		return view{}, &refusal{http.StatusNotFound, "An address of a peer is IP:PORT; this is none."}
	}
	p := peerPage{InfoHash: h, Address: addr.String()}
	if t, err := s.api.Transfer(r.Context(), h); err == nil {
		p.Torrent = t.Name
	}
	e, err := s.api.Explain(r.Context(), h, addr)
	switch problem, ok := errors.AsType[*client.Problem](err); {
	case err == nil:
		p.Explanation = &e
	case ok && problem.Status == http.StatusNotFound:
		p.Why = sentence(problem.Error()) // it is there, and nobody chose whom it is told of
	default:
		return view{}, err
	}
	return view{"Peer " + p.Address, &p}, nil
}

// peersPage is what the list of all peers shows.
type peersPage struct {
	client.PeerPage
	Paging  paging
	Address string // that is searched for; "": all
	Problem string // why that is none
}

func (s *Site) peers(r *http.Request) (view, error) {
	values := r.URL.Query()
	p := peersPage{Address: strings.TrimSpace(values.Get("address"))}
	found, err := s.api.PeersAtPart(r.Context(), p.Address, client.Part{Cursor: values.Get("cursor"), Limit: pageSize})
	switch problem, ok := errors.AsType[*client.Problem](err); {
	case err == nil:
		p.PeerPage, p.Paging = found, pages(r.URL, "cursor", found.Next, "Pages of peers")
	case ok && problem.Status == http.StatusUnprocessableEntity && p.Address != "":
		_, p.Problem = reason(err)
	default:
		return view{}, err
	}
	return view{"Peers", &p}, nil
}

// historyPage is what the history shows.
type historyPage struct {
	Periods       []client.Period
	Requests      []client.Request
	PeriodPaging  paging
	RequestPaging paging
}

func (s *Site) history(r *http.Request) (view, error) {
	values := r.URL.Query()
	periods, err := s.api.HistoryPart(r.Context(), client.Part{Cursor: values.Get("cursor"), Limit: pageSize})
	if err != nil {
		return view{}, err
	}
	requests, err := s.api.RequestsPart(r.Context(), client.Part{Cursor: values.Get("asked"), Limit: pageSize})
	if err != nil {
		return view{}, err
	}
	return view{"History", &historyPage{
		periods.Periods, requests.Requests,
		pages(r.URL, "cursor", periods.Next, "Pages of periods"), pages(r.URL, "asked", requests.Next, "Pages of torrents that were asked for"),
	}}, nil
}
