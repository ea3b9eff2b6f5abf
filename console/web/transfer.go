package web

import (
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/console/client"
)

// maxPlaces is how many places of a torrent are looked at.
const maxPlaces = client.MaxPage

// transferPage is what the page of a transfer shows.
type transferPage struct {
	client.Transfer
	Unlisted       bool // clients announce it, and it is in no catalogue
	PeerPage       client.PeerPage
	Paging         paging
	TrackerProfile string // "": locality is off
	Located        bool   // there are places, or there may be
	Places         []client.Place
	PlacePaging    paging
	MorePlaces     bool     // than are looked at
	Starving       []string // paths
	Profiles       []choice // empty: none can be chosen
	Line           []event
	Magnet         template.URL // its parts are escaped
	Announce       []string     // URLs
	Roughly        string       // how far it is, in words that change seldom
	DeleteText     string
}

// event is one of a time line.
type event struct {
	Label string
	At    time.Time // zero: not yet
}

const deleteText = "The tracker forgets it with its history, and removes its .torrent from the directory. " +
	"Peers stop finding each other through this tracker."

func (s *Site) transfer(r *http.Request) (view, error) {
	h, err := hashOf(r)
	if err != nil {
		return view{}, err
	}
	p := transferPage{DeleteText: deleteText}
	if p.Transfer, err = s.api.Transfer(r.Context(), h); notFound(err) {
		p.Unlisted, p.InfoHash = true, h
	} else if err != nil {
		return view{}, err
	}
	part := client.Part{Cursor: r.URL.Query().Get("cursor"), Limit: pageSize}
	if p.PeerPage, err = s.api.PeersPart(r.Context(), h, part); err != nil {
		return view{}, err
	}
	p.Paging = pages(r.URL, "cursor", p.PeerPage.Next, "Pages of peers")
	if err := s.locate(r, &p); err != nil {
		return view{}, err
	}
	if !onlyBlocks(r) {
		s.get(r, &p)
	}
	p.Line = []event{
		{"Registered", p.Registered},
		{"First started", p.FirstStarted},
		{"First completed", p.FirstCompleted},
		{"Last started", p.LastStarted},
		{"Last completed", p.LastCompleted},
	}
	if !p.Deactivated.IsZero() {
		p.Line = append(p.Line, event{"Deactivated", p.Deactivated})
	}
	p.Roughly = roughly(&p.Live)
	title := p.Name
	if p.Unlisted {
		title = h.String()
	}
	return view{clip(title, 80), &p}, nil
}

// locate adds what locality says of a transfer.
func (s *Site) locate(r *http.Request, p *transferPage) error {
	locality, err := s.api.Locality(r.Context())
	if err != nil || !locality.On {
		return err
	}
	p.Located, p.TrackerProfile = true, locality.Profile
	places, err := s.api.PlacesPart(r.Context(), p.InfoHash, client.Part{Limit: maxPlaces})
	if err != nil {
		return err
	}
	p.MorePlaces = places.Next != ""
	for i := range places.Places {
		if place := &places.Places[i]; place.Starving {
			p.Starving = append(p.Starving, place.Path)
		}
	}
	p.Places, p.PlacePaging = somePlaces(r.URL, places.Places)
	p.Profiles = []choice{{"", "the tracker's, " + locality.Profile, p.Profile == ""}}
	for _, name := range profiles {
		p.Profiles = append(p.Profiles, choice{name, name, p.Profile == name})
	}
	return nil
}

// somePlaces returns the places that one page shows, from ?place= on.
func somePlaces(u *url.URL, all []client.Place) ([]client.Place, paging) {
	from, err := strconv.Atoi(u.Query().Get("place"))
	if err != nil || from < 0 || from > len(all) {
		from = 0
	}
	next := ""
	if from+pageSize < len(all) {
		next = strconv.Itoa(from + pageSize)
	}
	return all[from:min(from+pageSize, len(all))], pages(u, "place", next, "Pages of places")
}

// get adds where a torrent is to be had. Without the addresses, which the API may be
// unable to say, the page has all else.
func (s *Site) get(r *http.Request, p *transferPage) {
	o, err := s.api.Overview(r.Context())
	if err != nil {
		return
	}
	p.Announce = announceURLs(o.Listen, r.Host)
	if p.Version == "2" {
		return // its whole hash is needed, which is longer than that of trackers
	}
	values := url.Values{}
	if p.Name != "" {
		values.Set("dn", p.Name)
	}
	values["tr"] = p.Announce
	magnet := "magnet:?xt=urn:btih:" + p.InfoHash.String()
	if more := values.Encode(); more != "" {
		magnet += "&" + more
	}
	p.Magnet = template.URL(magnet)
}

// announceURLs returns where clients announce. What listens on all addresses is named as
// the browser names this machine.
func announceURLs(all []client.Listener, host string) (urls []string) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	for _, l := range all {
		if l.Protocol != "udp" && l.Protocol != "http" {
			continue
		}
		addr, err := netip.ParseAddrPort(l.Address)
		if err != nil {
			continue
		}
		at := addr.String()
		if addr.Addr().IsUnspecified() {
			at = net.JoinHostPort(host, fmt.Sprint(addr.Port()))
		}
		urls = append(urls, l.Protocol+"://"+at+"/announce")
	}
	return urls
}

// roughly says how far a transfer is, in tenths.
func roughly(l *client.Live) string {
	switch {
	case l.Peers == 0:
		return "No peers."
	case l.Progress >= 1:
		return "Everybody has everything."
	}
	return fmt.Sprintf("Peers have %d %% or more together.", int(l.Progress*10)*10)
}

// hashOf returns the info hash in the path of a request.
func hashOf(r *http.Request) (bittorrent.InfoHash, error) {
	h, err := bittorrent.ParseInfoHash(r.PathValue("hash"))
	if err != nil {
		return h, &refusal{http.StatusNotFound, "An info hash has 40 hexadecimal digits; this is none."}
	}
	return h, nil
}

func notFound(err error) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

// deletion is what is asked before something is deleted.
type deletion struct{ Name, Text, Action, Back string }

func (s *Site) deleteTorrent(r *http.Request) (view, error) {
	h, err := hashOf(r)
	if err != nil {
		return view{}, err
	}
	if role(r) < account.Operator {
		return view{}, &refusal{http.StatusForbidden, "Deleting takes the role of an operator."}
	}
	t, err := s.api.Transfer(r.Context(), h)
	if err != nil {
		return view{}, err
	}
	path := "/transfers/" + t.InfoHash.String()
	return view{"Delete " + clip(t.Name, 80), deletion{t.Name, deleteText, path + "/delete", path}}, nil
}

// ofTransfer is a change of one transfer.
func (s *Site) ofTransfer(r *http.Request, do func(h bittorrent.InfoHash) (said string, err error)) (text, next string, err error) {
	h, err := hashOf(r)
	if err != nil {
		return "", "", err
	}
	text, err = do(h)
	return text, "/transfers/" + h.String(), err
}

func (s *Site) activate(r *http.Request) (text, next string, err error) {
	return s.ofTransfer(r, func(h bittorrent.InfoHash) (string, error) {
		t, err := s.api.Activate(r.Context(), h)
		return clip(t.Name, 120) + " is active", err
	})
}

func (s *Site) deactivate(r *http.Request) (text, next string, err error) {
	return s.ofTransfer(r, func(h bittorrent.InfoHash) (string, error) {
		t, err := s.api.Deactivate(r.Context(), h)
		return clip(t.Name, 120) + " is not active any more", err
	})
}

func (s *Site) setProfile(r *http.Request) (text, next string, err error) {
	return s.ofTransfer(r, func(h bittorrent.InfoHash) (string, error) {
		t, err := s.api.SetProfile(r.Context(), h, r.PostFormValue("profile"))
		if t.Profile == "" {
			return clip(t.Name, 120) + " has the tracker's profile", err
		}
		return clip(t.Name, 120) + " has the profile " + t.Profile, err
	})
}

func (s *Site) forget(r *http.Request) (text, next string, err error) {
	text, next, err = s.ofTransfer(r, func(h bittorrent.InfoHash) (string, error) {
		name := h.String()
		if t, err := s.api.Transfer(r.Context(), h); err == nil {
			name = t.Name
		}
		return clip(name, 120) + " is deleted", s.api.Delete(r.Context(), h)
	})
	if err == nil {
		next = "/torrents"
	}
	return text, next, err
}
