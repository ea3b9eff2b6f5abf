package metrics

import (
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"waggle/locality"
)

// Type is what a metric is to Prometheus.
type Type string

// The types.
const (
	Counter   Type = "counter"   // counts from the start of the process on
	Gauge     Type = "gauge"     // is as it is now
	Histogram Type = "histogram" // counts how many took how long, from the start on
)

func (t Type) value() prometheus.ValueType {
	if t == Counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// Metric is one name, with as many series as its labels have values.
type Metric struct {
	Name    string
	Type    Type
	Unit    string               // in words; "": it counts things
	Labels  []string             // names
	Help    string               // one sentence without a full stop
	Remote  bool                 // it is there where the store is on a network, and not elsewhere
	Linked  bool                 // it is there where the store has a use for links, and not elsewhere
	absent  func(*Snapshot) bool // it is not there where this is so; nil: it is
	collect func(*Snapshot, *emitter)
}

// Units, in words.
const (
	inSeconds = "seconds"
	inBytes   = "bytes"
	truth     = "0 or 1"
)

// count makes a counter without labels.
func count(name, help string, read func(*Snapshot) uint64) Metric {
	return Metric{Name: name, Type: Counter, Help: help, collect: func(s *Snapshot, e *emitter) { e.count(read(s)) }}
}

// gauge makes a gauge without labels.
func gauge(name, unit, help string, read func(*Snapshot) float64) Metric {
	return Metric{Name: name, Type: Gauge, Unit: unit, Help: help, collect: func(s *Snapshot, e *emitter) { e.value(read(s)) }}
}

// remotely makes metrics those of stores on a network, which all begin alike.
func remotely(metrics ...Metric) []Metric {
	for i := range metrics {
		m := &metrics[i]
		m.Name, m.Help, m.Remote = "waggle_store_"+m.Name, "Store on a network: "+m.Help, true
	}
	return metrics
}

// absentWhere has metrics left out where something is so.
func absentWhere(so func(*Snapshot) bool, metrics []Metric) []Metric {
	for i := range metrics {
		metrics[i].absent = so
	}
	return metrics
}

// Table is every metric of waggle's own but those of clusters, events and attempts to connect, in the order of docs/metrics.md.
var Table = slices.Concat(ofTracker, ofAccess, ofPasskeys, ofRemoteStores, ofLinks, ofFrontends, ofWebSocket, ofTLS)

var ofTracker = []Metric{
	{
		Name: "waggle_announces_total", Type: Counter, Labels: []string{"protocol"},
		Help: "Announces that the tracker decided, those that it refused included; protocol is udp, http or websocket",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.UDP.Figures.Announces, "udp")
			e.count(s.HTTP.Figures.Announces, "http")
			e.count(s.WebSocket.Figures.Announces, "websocket")
		},
	},
	{
		Name: "waggle_announces_refused_total", Type: Counter, Labels: []string{"reason"},
		Help: "Announces that were refused, by reason: address (nobody could connect to it), access (the client, token or passkey was not let in), denied (the torrent is), early (it came too early, after others that did), shed (all together were too many), store (one on a network could not take them in, scrapes included)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Tracker.Refused-s.Tracker.AtDoors, "address")
			e.count(s.Tracker.AtDoors, "access")
			e.count(s.Tracker.Denied, "denied")
			e.count(s.Tracker.Early, "early")
			e.count(s.Tracker.Shed, "shed")
			e.count(s.Tracker.Busy, "store")
		},
	},
	count("waggle_announces_passive_total", "Announces answered without peers, because their torrent is not served", func(s *Snapshot) uint64 { return s.Tracker.Passive }),
	count("waggle_announces_completed_total", "Announces that told of a completed download", func(s *Snapshot) uint64 { return s.Tracker.Completed }),
	count("waggle_announces_lengthened_total", "Announces answered with a longer interval, to have fewer of them", func(s *Snapshot) uint64 { return s.Tracker.Lengthened }),
	{
		Name: "waggle_announces_located_total", Type: Counter, Labels: []string{"located"},
		Help: "Announces where locality is on, by whether a source knows where they come from: yes or no",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Tracker.Located, "yes")
			e.count(s.Tracker.Unlocated, "no")
		},
	},
	count("waggle_requests_limited_total", "Announces and scrapes refused unread, because their address sent too many", func(s *Snapshot) uint64 { return s.Tracker.Limited }),
	count("waggle_scrapes_total", "Scrapes, of one or many torrents", func(s *Snapshot) uint64 { return s.Tracker.Scrapes }),
	{
		Name: "waggle_answer_seconds", Type: Histogram, Unit: inSeconds, Labels: []string{"protocol"},
		Help: "How long packets over UDP, announces and scrapes over HTTP, and messages over WebSocket took from when they were read to when the system had their answers; those of a batch all took as long as the batch; protocol is udp, http or websocket",
		collect: func(s *Snapshot, e *emitter) {
			e.histogram(s.UDP.Latencies, "udp")
			e.histogram(s.HTTP.Latencies, "http")
			e.histogram(s.WebSocket.Latencies, "websocket")
		},
	},
	count("waggle_peers_told_total", "Peers told to others", func(s *Snapshot) uint64 { return s.Tracker.Told }),
	count("waggle_peers_expired_total", "Peers forgotten because they were silent", func(s *Snapshot) uint64 { return s.Tracker.Expired }),
	count("waggle_peers_probed_total", "Attempts to connect to peers that others depend on", func(s *Snapshot) uint64 { return s.Tracker.Probes }),
	count("waggle_peers_dead_total", "Peers forgotten because they could be connected to no more", func(s *Snapshot) uint64 { return s.Tracker.Dead }),
	{
		Name: "waggle_peers", Type: Gauge, Labels: []string{"kind"},
		Help: "Peers of all torrents in the store, by kind: seeder, or leecher, which partial seeds count as",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Store.Seeders), "seeder")
			e.value(float64(s.Store.Peers-s.Store.Seeders), "leecher")
		},
	},
	gauge("waggle_peers_limit", "", "Peers that there may be, by limits.peers; +Inf: any number", func(s *Snapshot) float64 { return limit(s.Limits.Peers) }),
	gauge("waggle_swarms", "", "Torrents that have peers, or a count of completed downloads", func(s *Snapshot) float64 { return float64(s.Store.Torrents) }),
	gauge("waggle_swarms_limit", "", "Swarms that there may be, by limits.torrents; +Inf: any number", func(s *Snapshot) float64 { return limit(s.Limits.Torrents) }),
	{
		Name: "waggle_torrents", Type: Gauge, Labels: []string{"state"},
		Help: "Torrents in the catalogue, by state: active or inactive",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.ActiveTorrents), "active")
			e.value(float64(s.InactiveTorrents), "inactive")
		},
	},
	gauge("waggle_torrents_limit", "", "Torrents that the catalogue has room for", func(s *Snapshot) float64 { return limit(s.Limits.CatalogTorrents) }),
	{
		Name: "waggle_store_info", Type: Gauge, Labels: []string{"kind"},
		Help:    "1, with what keeps the swarms: memory, sqlite, redis, dynamodb, s3 and so on, as store begins",
		collect: func(s *Snapshot, e *emitter) { e.value(1, s.StoreKind) },
	},
	gauge("waggle_store_healthy", truth, "0 while the journal cannot be written, and announces are answered and would not survive a restart; or while a store on a network cannot be reached", func(s *Snapshot) float64 { return zeroOrOne(s.StoreHealthy) }),
	count("waggle_store_failures_total", "Announces, scrapes and cleanings that the store failed at", func(s *Snapshot) uint64 { return s.Tracker.Failed }),
}

// ofRemoteStores count what was asked for, so that a bill and a fault can be told from
// what clients did.
var ofRemoteStores = remotely(
	Metric{
		Name: "requests_total", Type: Counter, Labels: []string{"operation"},
		Help: "requests, each attempt counted, by operation: that of DynamoDB (GetItem, UpdateItem and so on) or S3 (GET, PUT, DELETE, LIST), or of Redis script (which may change something) and read",
		collect: func(s *Snapshot, e *emitter) {
			for _, r := range s.Remote.Requests {
				e.count(r.Count, r.Operation)
			}
		},
	},
	Metric{
		Name: "attempts_failed_total", Type: Counter, Labels: []string{"reason"},
		Help: "requests that did not do what they were for, of which most were tried again, by reason: throttled (they were too many for the service), unanswered (or answered with a fault of the server), conflict (another tracker was quicker)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Remote.Throttled, "throttled")
			e.count(s.Remote.Unanswered, "unanswered")
			e.count(s.Remote.Conflicts, "conflict")
		},
	},
	count("refused_total", "announces, scrapes and the like that were refused because it was away, too slow or full", func(s *Snapshot) uint64 { return s.Remote.Refused }),
	Metric{
		Name: "capacity_units_total", Type: Counter, Labels: []string{"kind"},
		Help: "units that DynamoDB says it charges for, by kind: read or write",
		collect: func(s *Snapshot, e *emitter) {
			e.value(s.Remote.ReadUnits, "read")
			e.value(s.Remote.WriteUnits, "write")
		},
	},
	count("changes_total", "changes that S3 was written, of swarms and of located peers", func(s *Snapshot) uint64 { return s.Remote.Changes }),
	count("objects_written_total", "objects of S3 that these changes were put together in", func(s *Snapshot) uint64 { return s.Remote.Objects }),
	Metric{
		Name: "objects_reshaped_total", Type: Counter, Labels: []string{"how"},
		Help: "objects of swarms in S3 that this tracker reshaped, by how: split, joined",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Remote.Splits, "split")
			e.count(s.Remote.Joins, "joined")
		},
	},
	gauge("rosters", "", "torrents with located peers that this tracker remembers", func(s *Snapshot) float64 { return float64(s.Remote.Rosters.Torrents) }),
	gauge("roster_peers", "", "located peers that this tracker remembers", func(s *Snapshot) float64 { return float64(s.Remote.Rosters.Peers) }),
	gauge("roster_waiting", "", "announces of located peers that wait for their turn", func(s *Snapshot) float64 { return float64(s.Remote.Rosters.Waiting) }),
	count("roster_updates_total", "updates of located peers, each some requests", func(s *Snapshot) uint64 { return s.Remote.Rosters.Updates }),
	count("roster_loads_total", "updates of located peers that asked for all of a torrent", func(s *Snapshot) uint64 { return s.Remote.Rosters.Loads }),
	count("roster_commits_total", "updates of located peers that wrote what was decided", func(s *Snapshot) uint64 { return s.Remote.Rosters.Commits }),
	count("roster_conflicts_total", "decisions about located peers that were made anew because another tracker was quicker", func(s *Snapshot) uint64 { return s.Remote.Rosters.Conflicts }),
	count("roster_lost_total", "decisions about located peers that were given up after too many conflicts", func(s *Snapshot) uint64 { return s.Remote.Rosters.Lost }),
)

var ofFrontends = []Metric{
	count("waggle_udp_connects_total", "Connect requests answered", func(s *Snapshot) uint64 { return s.UDP.Figures.Connects }),
	count("waggle_udp_errors_total", "Requests over UDP answered with an error", func(s *Snapshot) uint64 { return s.UDP.Figures.Errors }),
	{
		Name: "waggle_udp_dropped_total", Type: Counter, Labels: []string{"reason"},
		Help: "Packets over UDP that were not answered, by reason: connection_id (wrong or too old), malformed (none of the protocol), proxy (from one of access.proxy_protocol_udp, without its header), overflow (the system had no room, as more came than was read)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.UDP.Figures.BadConnection, "connection_id")
			e.count(s.UDP.Figures.Malformed, "malformed")
			e.count(s.UDP.Figures.Unproxied, "proxy")
			e.count(s.UDP.Figures.Overflowed, "overflow")
		},
	},
	{
		Name: "waggle_udp_system_errors_total", Type: Counter, Labels: []string{"operation"},
		Help: "What the system refused on UDP sockets, by operation: read (a call) or write (an answer)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.UDP.Figures.ReadErrors, "read")
			e.count(s.UDP.Figures.WriteErrors, "write")
		},
	},
	count("waggle_http_connections_total", "Connections accepted over HTTP", func(s *Snapshot) uint64 { return s.HTTP.Figures.Connections }),
	count("waggle_http_connections_handed_over_total", "Connections that asked for more than plain announces and scrapes", func(s *Snapshot) uint64 { return s.HTTP.Figures.HandedOver }),
	count("waggle_http_crowded_total", "Connections closed because their address had more than limits.http_connections_per_address, or because they waited longest where limits.http_connections were open", func(s *Snapshot) uint64 { return s.HTTP.Figures.Crowded }),
	count("waggle_http_proxy_refused_total", "Connections closed because their PROXY header was missing or wrong, or came from who is not in access.proxy_protocol", func(s *Snapshot) uint64 { return s.HTTP.Figures.RefusedHeaders }),
	count("waggle_http_failures_total", "Requests over HTTP answered with a failure reason", func(s *Snapshot) uint64 { return s.HTTP.Figures.Failures }),
	count("waggle_http_not_found_total", "Requests over HTTP for a path that there is not", func(s *Snapshot) uint64 { return s.HTTP.Figures.NotFound }),
	{
		Name: "waggle_panics_total", Type: Counter, Labels: []string{"protocol"},
		Help: "Faults of waggle's that a request found, and that the log tells more of; protocol is udp, http or websocket",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.UDP.Figures.Panics, "udp")
			e.count(s.HTTP.Figures.Panics, "http")
			e.count(s.WebSocket.Figures.Panics, "websocket")
		},
	},
	{
		Name: "waggle_location_answers_total", Type: Counter, Labels: []string{"number", "source", "answer"},
		Help: "What sources of locations answered: known, unknown, failed (it could not be asked), timeout, rubbish (no location); number is its place in locality.sources, from 1",
		collect: eachSource(func(f *locality.SourceFigures, e *emitter, number string) {
			for answer, n := range map[string]int64{"known": f.Known, "unknown": f.Unknown, "failed": f.Failed, "timeout": f.TimedOut, "rubbish": f.Rubbish} {
				e.value(float64(n), number, f.Source, answer)
			}
		}),
	},
	{
		Name: "waggle_location_left_out_total", Type: Counter, Labels: []string{"number", "source"},
		Help: "How often a source of locations was not asked, because it had failed several times in a row",
		collect: eachSource(func(f *locality.SourceFigures, e *emitter, number string) {
			e.value(float64(f.LeftOut), number, f.Source)
		}),
	},
	{
		Name: "waggle_location_resting", Type: Gauge, Unit: truth, Labels: []string{"number", "source"},
		Help: "1 while a source of locations is left out",
		collect: eachSource(func(f *locality.SourceFigures, e *emitter, number string) {
			e.value(zeroOrOne(f.Resting), number, f.Source)
		}),
	},
	{
		Name: "waggle_location_last_answer_seconds", Type: Gauge, Unit: inSeconds, Labels: []string{"number", "source"},
		Help: "How long the last answer of a source of locations took; 0 for one that answers from memory",
		collect: eachSource(func(f *locality.SourceFigures, e *emitter, number string) {
			e.value(f.LastDuration.Seconds(), number, f.Source)
		}),
	},
	gauge("waggle_location_lookups_in_progress", "", "Addresses that sources are asked for now", func(s *Snapshot) float64 { return float64(s.Lookups.UnderWay) }),
	count("waggle_location_lookups_refused_total", "Addresses that count as unlocated because too many others were asked for", func(s *Snapshot) uint64 { return uint64(s.Lookups.Refused) }),
	gauge("waggle_location_remembered_addresses", "", "Addresses of which is remembered what sources answered", func(s *Snapshot) float64 { return float64(s.Lookups.Remembered) }),
	count("waggle_console_requests_total", "Requests to the console: pages, API and scrapes, refused ones included", func(s *Snapshot) uint64 { return s.ConsoleRequests }),
	gauge("waggle_console_requests_in_progress", "", "Requests to the console that have not ended, pages that stay open included", func(s *Snapshot) float64 { return float64(s.ConsoleUnderWay) }),
	gauge("waggle_memory_limit_bytes", inBytes, "Memory that the process may have: the least of what the machine, the control group and GOMEMLIMIT allow; +Inf: not known", func(s *Snapshot) float64 { return limit(s.Limits.Memory) }),
	{
		Name: "waggle_build_info", Type: Gauge, Labels: []string{"version", "revision", "go_version"},
		Help:    "1, with what was built from what",
		collect: func(s *Snapshot, e *emitter) { e.value(1, s.Version, s.Revision, s.GoVersion) },
	},
}

// eachSource makes series of each source of locations. Two may have the same name, and
// no two the same number.
func eachSource(collect func(f *locality.SourceFigures, e *emitter, number string)) func(*Snapshot, *emitter) {
	return func(s *Snapshot, e *emitter) {
		for i := range s.Sources {
			collect(&s.Sources[i], e, strconv.Itoa(i+1))
		}
	}
}

// limit returns a limit, of which 0 stands for none.
func limit[N int | int64](n N) float64 {
	if n == 0 {
		return math.Inf(1)
	}
	return float64(n)
}

func zeroOrOne(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
