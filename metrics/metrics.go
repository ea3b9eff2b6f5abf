package metrics

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waggle/certificate"
	"waggle/frontend"
	webfront "waggle/frontend/http"
	"waggle/frontend/udp"
	"waggle/frontend/websocket"
	"waggle/locality"
	"waggle/swarm"
	"waggle/tracker"
)

// Snapshot is what there is to be shown at one moment.
type Snapshot struct {
	Version   string // of waggle
	Revision  string // of its source; "": not known
	GoVersion string

	Tracker tracker.Figures
	Access  Access
	UDP     Frontend[udp.Figures]
	HTTP    Frontend[webfront.Figures]

	WebSocket Frontend[websocket.Figures]
	Browsers  swarm.Totals // which are not in the store

	StoreKind    string // such as "sqlite"
	StoreHealthy bool   // false: what is announced would not survive a restart, or cannot be kept
	Store        swarm.Totals
	Remote       *RemoteStore         // nil: the store is on this machine
	Links        *Links               // nil: it has no use for links
	Cluster      *Cluster             // nil: the tracker is in none
	TLS          *certificate.Figures // nil: nothing speaks TLS
	Passkeys     *Passkeys            // nil: there are none
	Events       *Events              // nil: nobody is told of announces
	Reach        *Reach               // nil: nobody tries whether peers can be connected to
	Limits       Limits

	ActiveTorrents   int // of the catalogue
	InactiveTorrents int

	Sources []locality.SourceFigures // of locations, in the order in which they are asked
	Lookups locality.LookupFigures

	ConsoleRequests uint64
	ConsoleUnderWay int
}

// Frontend is what one frontend did.
type Frontend[F any] struct {
	Figures   F
	Latencies frontend.Latencies
}

// RemoteStore is what a store on a network did since it was opened. What a kind of store
// does not know is 0.
type RemoteStore struct {
	Requests []Requests // of each operation that the store has

	Throttled  uint64 // attempts that the service refused because they were too many
	Unanswered uint64 // attempts that got no answer, or an error of the server
	Conflicts  uint64 // writes that were refused because another tracker was quicker
	Refused    uint64 // announces, scrapes and the like that got swarm.ErrBusy

	ReadUnits, WriteUnits float64 // what a service charges that is paid by units

	Changes, Objects uint64 // changes that were written, in so many objects
	Splits, Joins    uint64 // objects of swarms that were divided, and put together

	Rosters Rosters
}

// Links are those with other trackers.
type Links struct {
	Own     int // peers that announced here latest
	Relayed int // peers that announced at other trackers
	Links   []Link
}

// Link is one tracker that this one is linked with. No two have the same name and role.
type Link struct {
	Name    string
	Role    string // what it is to this tracker: hub or leaf
	Up      bool   // connected, and each end knows what the other does, or is being told
	Peers   int    // that are known through it
	Waiting int    // changes that are not sent yet
	Lag     time.Duration

	// From the start of the process on.
	ChangesIn, ChangesOut uint64 // of peers
	BytesIn, BytesOut     uint64
	Capped                uint64 // changes that were not taken in, as it told of more peers than it may
	Heals                 uint64
	LastHeal              time.Duration // how long the last took; 0: there was none
}

// Cluster is that of which the tracker is an instance.
type Cluster struct {
	Role     string // of this instance: newcomer, slave, master or left
	Serving  bool   // announces are taken in
	Electing bool

	Newcomers, Slaves, Masters int // other instances that are alive

	Rows     int // peers, those that have left lately and counts of completed downloads
	UnderWay int // requests

	Commit time.Duration // how long a request takes a master until all have it, on average
	Lag    time.Duration // that of the slowest slave, of a master
	Ahead  time.Duration // by how much the cluster's time is ahead of this instance's clock

	// From the start of the process on.
	Elections uint64 // that it took part in
	Committed uint64 // requests that it recorded
	Heard     uint64 // requests that waited for a master
	Again     uint64 // requests that were committed before
	Resent    uint64 // requests and commits that were sent again
	Refused   uint64 // requests for which there was no room
	Full      uint64 // peers for which there was no room

	// Packets, from the start of the process on.
	Forged, Replayed, Bad, Strange, Lost uint64 // of others, that were not taken
	Failed                               uint64 // that could not be sent
}

// Requests are those of one operation, attempts of the same one counted each.
type Requests struct {
	Operation string
	Count     uint64
}

// Rosters are torrents with located peers, about which several trackers decide.
type Rosters struct {
	Torrents, Peers int    // that this tracker remembers
	Waiting         int    // announces and the like that wait for their turn
	Updates         uint64 // requests to the store for what it has of a torrent
	Loads           uint64 // of them, those that asked for all of it
	Commits         uint64 // of them, those that wrote what was decided
	Conflicts       uint64 // commits that were refused because another tracker was quicker
	Lost            uint64 // decisions that were given up after too many conflicts
}

// Limits are what may be used at most; 0: there is no limit.
type Limits struct {
	WebSocketConnections int
	Peers                int
	Torrents             int   // that have peers
	CatalogTorrents      int   // in the catalogue
	Memory               int64 // bytes
}

// Options are the settings of a handler.
type Options struct {
	Read func() Snapshot // called for each scrape, concurrently
	Log  *slog.Logger    // is told of metrics that cannot be made; nil: nobody is
}

// scrapesAtOnce is how many are answered at a time. More are refused.
const scrapesAtOnce = 4

// Handler answers scrapes, in Prometheus' text format or as OpenMetrics, whichever the
// client asks for.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return promhttp.HandlerFor(registry(o.Read), promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
		EnableOpenMetrics:   true,
	})
}

func registry(read func() Snapshot) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(newCollector(read), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector makes metrics of snapshots.
type collector struct {
	read  func() Snapshot
	table []Metric
	descs []*prometheus.Desc // of the table
}

func newCollector(read func() Snapshot) *collector {
	c := &collector{read: read, table: slices.Concat(Table, ClusterTable, EventsTable, ReachTable)}
	for _, m := range c.table {
		c.descs = append(c.descs, prometheus.NewDesc(m.Name, m.Help, m.Labels, nil))
	}
	return c
}

// Describe is of [prometheus.Collector].
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect is of [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.read()
	for i := range c.table {
		m := &c.table[i]
		if m.Remote && s.Remote == nil || m.Linked && s.Links == nil || m.absent != nil && m.absent(&s) {
			continue
		}
		m.collect(&s, &emitter{desc: c.descs[i], is: m.Type.value(), out: out})
	}
}

// emitter sends the series of one metric.
type emitter struct {
	desc *prometheus.Desc
	is   prometheus.ValueType
	out  chan<- prometheus.Metric
}

// value sends a number. Labels are in the order of the table.
func (e *emitter) value(v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(e.desc, e.is, v, valid(labels)...)
	e.send(m, err)
}

func (e *emitter) count(n uint64, labels ...string) { e.value(float64(n), labels...) }

// histogram sends how long answers took.
func (e *emitter) histogram(l frontend.Latencies, labels ...string) {
	below, buckets := uint64(0), make(map[float64]uint64, frontend.Steps)
	for i := range frontend.Steps {
		below += l.Steps[i]
		buckets[frontend.Bound(i).Seconds()] = below
	}
	m, err := prometheus.NewConstHistogram(e.desc, l.Total(), l.Sum.Seconds(), buckets, valid(labels)...)
	e.send(m, err)
}

func (e *emitter) send(m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(e.desc, err)
	}
	e.out <- m
}

// valid replaces what is no UTF-8, which an operator may have in a path.
func valid(labels []string) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return out
}
