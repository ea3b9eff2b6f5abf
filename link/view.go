package link

import (
	"net"
	"slices"
	"time"

	"waggle/link/carrier"
	"waggle/link/core"
)

// Roles of the other end of a link.
const (
	RoleHub  = "hub"
	RoleLeaf = "leaf"
)

// States of a link.
const (
	Active     = "active"     // each end knows what the other does
	Healing    = "healing"    // they compare what they know
	Connecting = "connecting" // it was not there yet
	Split      = "split"      // it was there, and is tried again
	Refused    = "refused"    // one end does not want the other: Why says what to do
)

// View is what there is of links at one moment.
type View struct {
	Name      string
	Listening []string // where leaves join
	Hub       string   // that was joined; "": none, or it was not reached yet
	Own       int      // peers that announced here latest
	Relayed   int      // peers that announced elsewhere
	Torrents  int
	Links     []Neighbour // the hub, then leaves by name
	Invited   []carrier.Invited
}

// Neighbour is the other end of a link.
type Neighbour struct {
	Name      string
	Role      string
	State     string
	Why       string // what is wrong, and what to do; "": nothing
	Since     time.Time
	Address   string
	Software  string
	URLs      []string // where clients reach it, as it says
	Peers     int      // known through it
	Rates     Rates
	Lag       time.Duration // from when the store told of a change to when the other end had taken it in
	LastHeal  *Heal         // nil: none
	Waiting   int           // changes that are not sent yet, or that the node was not told of yet
	Capped    uint64
	Rights    carrier.Rights // of the leaf of the two
	Totals    Totals
	FilesIn   int // .torrent files that came by it
	FilesOut  int
	ClockSkew time.Duration
}

// Heal is a healing that has ended.
type Heal struct {
	At      time.Time
	Took    time.Duration
	Entries int // that were missing here
}

// Totals count from the start on. What a connection did in the second before it broke may
// be missing.
type Totals struct {
	ChangesIn, ChangesOut, BytesIn, BytesOut, Capped, Heals uint64
}

// Rates are of a second, over the last ten.
type Rates struct{ ChangesIn, ChangesOut, BytesIn, BytesOut float64 }

// known is what the loop remembers of a neighbour.
type known struct {
	display  string
	why      string
	whyAt    time.Time
	refused  bool
	up, came bool
	since    time.Time
	healed   *Heal
	heals    uint64
	figures  core.LinkFigures
	gauge    gauge
	lag      time.Duration                // when it was looked at
	waiting  int                          // the same
	saidAt   map[core.EventKind]time.Time // the log did
	agreed   time.Time                    // it told what it has in .torrent files, and it was what was heard; zero: never
	session  core.LinkID                  // that latest is of
	before   Totals                       // of sessions that are over
	latest   Totals                       // of the one that there is
	samples  []sampled                    // one a second
	filesIn  int
	filesOut int
	rights   carrier.Rights
	trackers trackers // that it tells of
	tooMany  bool     // this leaf has more peers than the link may bring, and the log says so
}

type sampled struct {
	at time.Time
	Totals
}

// samplesKept is how many: rates are over one second less.
const samplesKept = 11

func (k *known) copy() *known {
	c := *k
	c.samples = slices.Clone(k.samples)
	return &c
}

// title is how people know a neighbour that the node has by a name.
func (k *known) title(name string) string {
	if k.display != "" {
		return k.display
	}
	return name
}

func (k *known) totals() Totals {
	a, b := k.before, k.latest
	return Totals{a.ChangesIn + b.ChangesIn, a.ChangesOut + b.ChangesOut, a.BytesIn + b.BytesIn, a.BytesOut + b.BytesOut, a.Capped + b.Capped, k.heals}
}

func (k *known) rates() (r Rates) {
	if len(k.samples) < 2 {
		return r
	}
	a, b := &k.samples[0], &k.samples[len(k.samples)-1]
	passed := b.at.Sub(a.at).Seconds()
	if passed <= 0 {
		return r
	}
	over := func(was, is uint64) float64 { return float64(is-was) / passed }
	return Rates{over(a.ChangesIn, b.ChangesIn), over(a.ChangesOut, b.ChangesOut), over(a.BytesIn, b.BytesIn), over(a.BytesOut, b.BytesOut)}
}

func (p *loop) know(name string) *known {
	k := p.known[name]
	if k == nil {
		k = &known{since: time.Now(), saidAt: map[core.EventKind]time.Time{}}
		p.known[name] = k
	}
	return k
}

// sample takes the figures of all links.
func (l *Links) sample(now time.Time) {
	l.sampled = now
	for _, f := range l.node.Links() {
		k := l.know(f.Name)
		k.figures = f
		if k.session != f.Link {
			k.before, k.latest, k.session = k.totals(), Totals{}, f.Link
		}
		if f.Link != 0 {
			k.latest = Totals{ChangesIn: f.ChangesIn, ChangesOut: f.ChangesOut, BytesIn: f.BytesIn, BytesOut: f.BytesOut, Capped: f.Capped}
		}
		if f.Name == hubKey {
			l.sayTooMany(k)
		}
		if n := len(k.samples); n > 0 && now.Sub(k.samples[n-1].at) < time.Second*9/10 {
			continue
		}
		if len(k.samples) == samplesKept {
			k.samples = append(k.samples[:0], k.samples[1:]...)
		}
		k.samples = append(k.samples, sampled{now, k.totals()})
	}
}

// sayTooMany says where a hub leaves out peers of this leaf.
func (l *Links) sayTooMany(k *known) {
	most := k.rights.Peers
	if !k.figures.Up || !k.rights.Send || most <= 0 || len(k.rights.Torrents) > 0 {
		return
	}
	peers := l.node.Figures().Peers - k.figures.Peers
	if peers > most && !k.tooMany {
		l.o.Log.Warn("this tracker has more peers than its link may bring; ask the hub's owner to raise it",
			"link", k.title(hubKey), "peers", peers, "most", most)
	}
	k.tooMany = peers > most
}

// Show returns what there is now. It costs a look at each link.
func (l *Links) Show() View {
	f, links := l.figures()
	v := View{Name: l.o.Name, Listening: l.listening(), Own: f.Owned, Relayed: f.Peers - f.Owned, Torrents: f.Torrents}
	hub, leaf := l.ends()
	if leaf != nil {
		status := leaf.Status()
		one := viewOf(&status, links[hubKey], RoleHub)
		v.Hub = status.Name
		if one.Name == "" {
			one.Name = hubKey
		}
		v.Links = append(v.Links, one)
	}
	if hub == nil {
		v.Invited = l.book.All()
		return v
	}
	for _, status := range hub.Links() {
		leaf, _ := l.book.Find(status.Name)
		k := links[status.Name]
		if status.State == carrier.Absent && (k == nil || !k.came && k.display == "") { // it never opened a link
			v.Invited = append(v.Invited, leaf)
			continue
		}
		one := viewOf(&status, k, RoleLeaf)
		one.Rights = leaf.Rights
		v.Links = append(v.Links, one)
	}
	return v
}

// viewOf joins what the carrier and the node know of a link.
func viewOf(s *carrier.Status, k *known, role string) Neighbour {
	v := Neighbour{Name: s.Name, Role: role, State: string(s.State), Why: s.Why, Since: s.Since, Address: s.Address}
	if s.State == carrier.Absent {
		v.State = Connecting
	}
	if k == nil {
		return v
	}
	if v.Name == "" {
		v.Name = k.display
	}
	v.Peers, v.LastHeal, v.Totals, v.Rates = k.figures.Peers, k.healed, k.totals(), k.rates()
	v.Capped, v.FilesIn, v.FilesOut, v.Rights = v.Totals.Capped, k.filesIn, k.filesOut, k.rights
	v.Software, v.URLs = k.figures.Software, k.trackers.own()
	switch {
	case s.State == carrier.Active && k.figures.Up:
		v.Waiting, v.Lag, v.ClockSkew = k.waiting, k.lag, k.figures.ClockSkew
		v.Since = k.since
		if k.figures.Healing {
			v.State = Healing
		}
	case s.State == carrier.Active && k.why == "":
		v.State = Connecting
	case k.refused && k.whyAt.After(s.Since.Add(-time.Second)):
		v.State, v.Why = Refused, k.why
	case s.State == carrier.Active, s.State == carrier.Absent && k.why != "": // the node has just closed it
		v.State, v.Why = Split, k.why
	case s.State == carrier.Connecting && k.came:
		v.State = Split
	}
	return v
}

func (l *Links) listening() []string {
	hub, _ := l.ends()
	if hub == nil || hub.Addr() == nil {
		return nil
	}
	return []string{hub.Addr().String()}
}

// addresses are where invited leaves find this tracker.
func (l *Links) addresses() []string {
	if len(l.o.Addresses) > 0 {
		return l.o.Addresses
	}
	hub, _ := l.ends()
	a, ok := hub.Addr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	_, port, _ := net.SplitHostPort(a.String())
	if host, _, _ := net.SplitHostPort(l.o.Listen); host != "" && !a.IP.IsUnspecified() {
		return []string{net.JoinHostPort(host, port)}
	}
	var all, here []string
	interfaces, _ := net.InterfaceAddrs() // without them there is loopback
	for _, i := range interfaces {
		n, ok := i.(*net.IPNet)
		if !ok || n.IP.IsLinkLocalUnicast() {
			continue
		}
		address := net.JoinHostPort(n.IP.String(), port)
		if n.IP.IsLoopback() {
			here = append(here, address)
		} else {
			all = append(all, address)
		}
	}
	if len(all) == 0 {
		all = here
	}
	return all[:min(len(all), carrier.MaxAddresses)]
}
