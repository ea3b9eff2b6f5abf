package web

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"waggle/account"
	"waggle/console/client"
)

// clusterPage is what the cluster shows.
type clusterPage struct {
	client.Cluster
	Why string // there is none; "": there is one

	Notice    string // what must not be overlooked; "": all is well
	PerSecond string // requests that are committed
	Alive     int    // instances
	Instances []instance
	Counts    []shown
	Clock     string // how far this machine's is off; "": it is not
	Ways      []ending
}

// instance is one of a cluster as a page shows it.
type instance struct {
	client.ClusterMember
	Self                  bool
	SequenceText, LagText string
}

func (s *Site) cluster(r *http.Request) (view, error) {
	c, err := s.api.Cluster(r.Context())
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusNotFound {
		return view{"Cluster", &clusterPage{Why: sentence(problem.Error())}}, nil
	}
	if err != nil {
		return view{}, err
	}
	p := &clusterPage{
		Cluster: c, Notice: notice(&c), PerSecond: "–", Alive: 1 + len(c.Members), Instances: instances(&c), Counts: counts(&c.Totals), Clock: clockText(c.Ahead),
	}
	if c.Role == client.ClusterLeft {
		p.Alive = 0 // it knows of none any more
	}
	if rate, known := s.commits.perSecond(s.options.Now(), c.Totals.Committed); known {
		p.PerSecond = rateText(rate)
	}
	if canStepDown(&c) {
		p.Ways = append(p.Ways, stepDownEnding)
	}
	if c.Role != client.ClusterLeft {
		p.Ways = append(p.Ways, leaveEnding(&c))
	}
	return view{"Cluster", p}, nil
}

// notice says what is not as it should be.
func notice(c *client.Cluster) string {
	switch {
	case c.Role == client.ClusterLeft:
		return "This instance has left the cluster, and turns clients away. Start it again to join."
	case c.Electing:
		return "A master is being elected: until there is one, nobody is answered."
	case c.Role == client.ClusterNewcomer:
		return "This instance looks for others, or waits for them to take it in: it answers nobody yet."
	case !c.Serving && c.Role == client.ClusterMaster:
		return "This instance looks what the others know: it answers nobody yet."
	case !c.Serving:
		return "This instance is brought what it lacks: it answers nobody yet."
	case len(c.Members) == 0:
		return "There is no other instance: what this one knows goes with it. Start another one with the same group and secret."
	}
	return ""
}

// instances returns all instances: this one, the master, and the others by address.
func instances(c *client.Cluster) []instance {
	self := instance{ClusterMember: client.ClusterMember{IP: c.Address, ID: c.ID, Role: c.Role}, Self: true, SequenceText: countText(c.Totals.Committed), LagText: "–"}
	if ip, port, err := net.SplitHostPort(c.Address); err == nil {
		self.IP = ip
		self.Port, _ = strconv.Atoi(port)
	}
	all := []instance{self}
	for _, m := range c.Members {
		one := instance{ClusterMember: m, SequenceText: "–", LagText: "–"}
		if c.Role == client.ClusterMaster && m.Role == client.ClusterSlave {
			one.SequenceText, one.LagText = countText(m.Sequence), shortText(m.Lag)
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all[1:], func(a, b instance) int { return cmp.Compare(rank(a.Role), rank(b.Role)) })
	return all
}

// rank is lower for what comes first.
func rank(role string) int {
	return slices.Index([]string{client.ClusterMaster, client.ClusterSlave, client.ClusterNewcomer}, role)
}

// counts are what the totals of an instance say.
func counts(t *client.ClusterTotals) []shown {
	failed := "Packets that could not be sent"
	if t.Fault != "" {
		failed += ", the last one because of: " + clip(t.Fault, 200)
	}
	return []shown{
		{Label: "Committed", Text: countText(t.Committed), Note: "Requests that were recorded"},
		{Label: "Waited", Text: countText(t.Heard), Note: "Requests that a slave heard, or that came while there was no master"},
		{Label: "Asked again", Text: countText(t.Again), Note: "Requests that were committed before, and that their peers have sent again"},
		{Label: "Sent again", Text: countText(t.Resent), Note: "Requests and commits that a member seemed to have missed"},
		{Label: "Elections", Text: countText(t.Elections), Note: "That this instance took part in"},
		{Label: "Refused", Text: countText(t.Refused), Note: "Requests for which there was no room, as too many were under way"},
		{Label: "Without room", Text: countText(t.Full), Note: "Peers for which there was no room: raise cluster.max_rows"},
		{Label: "Forged", Text: countText(t.Forged), Note: "Packets sealed with another secret, or of another cluster"},
		{Label: "Replayed", Text: countText(t.Replayed), Note: "Packets that came before, or far too late"},
		{Label: "Broken", Text: countText(t.Bad), Note: "Packets that are none of a cluster's"},
		{Label: "Out of place", Text: countText(t.Strange), Note: "Messages that came late, or from strangers"},
		{Label: "Lost", Text: countText(t.Lost), Note: "Packets that came faster than they were taken in"},
		{Label: "Not sent", Text: countText(t.Failed), Note: failed},
	}
}

// clockText says by how much the time of the cluster differs, where people would see it.
func clockText(ahead float64) string {
	switch {
	case ahead >= 1:
		return spanText(seconds(ahead)) + " behind the time of the cluster"
	case ahead <= -1:
		return spanText(seconds(-ahead)) + " ahead of the time of the cluster"
	}
	return ""
}

// Paths at which an instance steps down and leaves.
const (
	stepDownPath     = "/cluster/stepdown"
	leaveClusterPath = "/cluster/leave"
)

var stepDownEnding = ending{
	"Step down?", "The instance with the lowest ID among the others becomes master, and peers wait for it for some seconds. Nothing that was answered is lost. " +
		"This instance joins again, as a slave.", "Step down", stepDownPath, "Stay", "/cluster",
}

// canStepDown reports whether there is one that could take over.
func canStepDown(c *client.Cluster) bool {
	return c.Role == client.ClusterMaster && slices.ContainsFunc(c.Members, func(m client.ClusterMember) bool { return m.ID != "" })
}

func leaveEnding(c *client.Cluster) ending {
	text := []string{"This tracker turns its clients away until it is started again; then it joins."}
	switch {
	case len(c.Members) == 0:
		text = append(text, "It is the only instance: nobody answers meanwhile.")
	case c.Role == client.ClusterMaster:
		text = append(text, "Another instance becomes master, and the cluster goes on.")
	default:
		text = append(text, "The others go on without it.")
	}
	return ending{"Leave the cluster?", strings.Join(text, " "), "Leave", leaveClusterPath, "Stay", "/cluster"}
}

func (s *Site) stepDownPage(r *http.Request) (view, error) {
	return s.clusterEnding(r, func(*client.Cluster) ending { return stepDownEnding })
}

func (s *Site) leaveClusterPage(r *http.Request) (view, error) {
	return s.clusterEnding(r, leaveEnding)
}

// clusterEnding asks before something is ended.
func (s *Site) clusterEnding(r *http.Request, of func(*client.Cluster) ending) (view, error) {
	if role(r) < account.Operator {
		return view{}, &refusal{http.StatusForbidden, "Instances of a cluster step down and leave at the word of operators."}
	}
	c, err := s.api.Cluster(r.Context())
	if err != nil {
		return view{}, err
	}
	e := of(&c)
	return view{e.Title, e}, nil
}

func (s *Site) stepDown(r *http.Request) (text, next string, err error) {
	return "This instance has stepped down: another one becomes master, and this one joins again", "/cluster", s.api.StepDown(r.Context())
}

func (s *Site) leaveCluster(r *http.Request) (text, next string, err error) {
	return "This instance has left the cluster", "/cluster", s.api.LeaveCluster(r.Context())
}

// pace measures how fast a count grows from one look at it to a later one. It may be used
// concurrently.
type pace struct {
	mu    sync.Mutex
	looks []look // some ten
}

type look struct {
	at time.Time
	n  uint64
}

// Times of a [pace].
const (
	paceOver    = 10 * time.Second // over which it measures, at least if there was a look then
	paceForgets = time.Minute      // what is older says nothing about now
)

// perSecond returns how fast a count grows that is n now, if there was a look at it before.
func (p *pace) perSecond(now time.Time, n uint64) (rate float64, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.looks) > 0 && (now.Sub(p.looks[0].at) > paceForgets || len(p.looks) > 1 && now.Sub(p.looks[1].at) >= paceOver) {
		p.looks = p.looks[1:]
	}
	if last := len(p.looks) - 1; last < 0 || now.Sub(p.looks[last].at) >= time.Second {
		p.looks = append(p.looks, look{now, n})
	}
	first := p.looks[0]
	span := now.Sub(first.at)
	if span < time.Second || n < first.n {
		return 0, false
	}
	return float64(n-first.n) / span.Seconds(), true
}
