package config

import (
	"time"
)

// Locality says where peers are, and who is told of whom for that.
type Locality struct {
	// Names of the levels of a location, outermost first, such as [site, row, rack]. The last one
	// is what shares an uplink that should carry a file once. A location is a path of that many
	// names: ams1/row3/r12.
	Levels []Level `key:"levels" default:"rack"`

	// How many peers of a group may download across its uplink. strict has one that does, and one
	// more that stands by; balanced has two; parity has two as well, with more peers each, as
	// p2ptracker has.
	Profile string `key:"profile" default:"strict" oneof:"strict,balanced,parity"`

	// How long a peer is told to wait that others wait for, such as one that downloads for its
	// rack. At most passive_interval.
	ActiveInterval time.Duration `key:"active_interval" default:"15s" range:"1s..24h"`

	// How long other peers with a location are told to wait.
	PassiveInterval time.Duration `key:"passive_interval" default:"5m" range:"1s..24h"`

	// Peers of a group that may download across its uplink, by level, as in {rack: 1, row: 4}. A
	// level that is left out has what the profile says.
	Importers []LevelCount `key:"importers" default:""`

	// Peers of a group that may upload across its uplink, by level. A level that is left out has
	// what the profile says.
	Exporters []LevelCount `key:"exporters" default:""`

	// Peers outside its rack that an importer is told of; 0 for what the profile says.
	Edges int `key:"edges" default:"0" range:"0..100"`

	// Peers of a group that stand by to take an importer's place; 0 for what the profile says.
	Standby int `key:"standby" default:"0" range:"0..100"`

	// What all transfers together may take of a rack's uplink, in bits a second; 0 for no limit. It
	// needs client_bandwidth: as many peers may cross the uplink as that fits in.
	RackBandwidth Bandwidth `key:"rack_bandwidth" default:"0"`

	// What one client may take, in bits a second, as clients are set up; 0 where that is not known.
	// At most rack_bandwidth.
	ClientBandwidth Bandwidth `key:"client_bandwidth" default:"0"`

	// How often those that download or upload across an uplink are tried by TCP; 0s for never. Two
	// failures have another take the place.
	ProbeInterval time.Duration `key:"probe_interval" default:"5s" range:"0s..1h"`

	// How long an announce waits for the location of an address that is not known yet. Then the
	// peer counts as one without a location, until its next announce.
	LookupTimeout time.Duration `key:"lookup_timeout" default:"2s" range:"10ms..30s"`

	// How long a location is remembered that rest, dns, hostname or program found. Older ones are
	// looked up again in the background.
	CacheTime time.Duration `key:"cache_time" default:"10m" range:"1s..24h"`

	// How long it is remembered that none of them knows an address, or that one of them failed.
	CacheUnknown time.Duration `key:"cache_unknown" default:"1m" range:"1s..24h"`

	// Addresses that are remembered, in some 120 bytes each. With more, those that have not been
	// asked for lately are forgotten. Names of hosts take some bytes more.
	CacheAddresses Count `key:"cache_addresses" default:"1M" range:"64..100M"`

	// Look-ups under way at a time. While there are as many, other addresses that are not known yet
	// count as without a location.
	Lookups int `key:"lookups" default:"256" range:"1..10000"`

	// Locations of the innermost level that are told apart. No source can make up more.
	MaxGroups Count `key:"max_groups" default:"100k" range:"1..10M"`

	// Who knows where an address is, asked in this order until one knows. Without any, locality is
	// off. Each entry is one of the kinds below, with its keys indented, as in
	//
	//	sources:
	//	  - subnets: topology.csv
	//	  - rest: {url: "http://smdb.example", path: "{/server/cabinet}"}
	//
	// A value in place of keys is that of the first key of its kind. A path is a text with places
	// to fill, in braces, which together are a name per level. A flag or a variable has the same
	// text in brackets: [subnets: topology.csv].
	Sources []LocalitySource `key:"sources" default:""`
}

// LocalitySource is one source of locations. Exactly one of its fields is set.
type LocalitySource struct {
	Subnets    *SubnetsSource    `key:"subnets"`
	REST       *RESTSource       `key:"rest"`
	DNS        *DNSSource        `key:"dns"`
	Hostname   *HostnameSource   `key:"hostname"`
	Program    *ProgramSource    `key:"program"`
	MaxMind    *MaxMindSource    `key:"maxmind"`
	Kubernetes *KubernetesSource `key:"kubernetes"`
}

// SubnetsSource is a file of subnets, read again at SIGHUP.
type SubnetsSource struct {
	// The file: a subnet, a comma and a path on each line, and # before comments.
	File Path `key:"file" default:""`
}

// RESTSource is a web service that answers in JSON.
type RESTSource struct {
	// What to ask, with {ip} for the address; without {ip}, as p2ptracker does, what lies below it
	// at /servers/ipaddresses/{ip}. An answer of 404 is an address that is not known.
	URL URL `key:"url" default:""`

	// The path, of JSON pointers into the answer.
	Path Template `key:"path" default:"{/server/cabinet}"`

	// The name of the host, of JSON pointers as well, such as {/server/name}. Empty for none. A store
	// in Redis keeps it, for who looks with redis-cli.
	Host Template `key:"host" default:""`

	// File with a token to show, which is read for each look-up. Empty for none.
	TokenFile Path `key:"token_file" default:""`
}

// DNSSource is TXT or LOC records.
type DNSSource struct {
	// Name whose TXT record is the path, such as {reversed}.loc.example.com. {reversed} is 4.3.2.1
	// of 1.2.3.4, and of an IPv6 address its 32 digits from the last; {arpa} is the same with
	// in-addr.arpa or ip6.arpa behind it.
	TXT Template `key:"txt" default:""`

	// Name of a LOC record instead (RFC 1876), which needs path.
	LOC Template `key:"loc" default:""`

	// The path of a LOC record, of {lat}, {long} and {alt}: degrees and metres, rounded down to as
	// many decimals as follow a dot, as in {lat.1},{long.1}/{lat.4},{long.4}.
	Path Template `key:"path" default:""`

	// The name server, as host or host:port. Empty for those of /etc/resolv.conf.
	Server Server `key:"server" default:""`
}

// HostnameSource is reverse names (PTR records).
type HostnameSource struct {
	// A regular expression for the whole name, in small letters, without its last dot. It has a
	// named group for each level, as in (?P<rack>r[0-9]+)-.*\.example\.com.
	Pattern Pattern `key:"pattern" default:""`

	// Whether the name must lead back to the address. Without, whoever owns the reverse zone of an
	// address can have it in any rack.
	Confirm bool `key:"confirm" default:"true"`

	// The name server, as host or host:port. Empty for those of /etc/resolv.conf.
	Server Server `key:"server" default:""`
}

// ProgramSource is a program that prints a path.
type ProgramSource struct {
	// The program and its arguments; the address follows as the last one. It prints a path, or
	// nothing if it does not know the address, and exits with 0. At most 16 run at a time.
	Command []string `key:"command" default:""`
}

// MaxMindSource is files in MaxMind's format, read again at SIGHUP.
type MaxMindSource struct {
	// The files. A field is taken from the first file that has it.
	Files []Path `key:"files" default:""`

	// The path, of fields with dots between their parts.
	Path Template `key:"path" default:"{country.iso_code}/AS{autonomous_system_number}"`
}

// KubernetesSource is labels of the nodes of a cluster, for their addresses and podCIDRs.
type KubernetesSource struct {
	// The path, of labels of a node.
	Path Template `key:"path" default:"{topology.kubernetes.io/zone}"`

	// The API server. Empty for that of the cluster that waggle runs in.
	URL URL `key:"url" default:""`

	// File with the token to show. Empty for that of the pod's service account; with url, for none.
	TokenFile Path `key:"token_file" default:""`

	// File with the certificates that the server is known by. Empty for that of the service
	// account; with url, for those of the system.
	CAFile Path `key:"ca_file" default:""`

	// How often the nodes are listed.
	Interval time.Duration `key:"interval" default:"1m" range:"5s..1h"`
}

// On reports whether there is any source of locations.
func (l *Locality) On() bool { return len(l.Sources) > 0 }
