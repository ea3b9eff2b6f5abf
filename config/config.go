package config

import (
	"net/netip"
	"time"
)

// Config is everything that waggle can be told, one key each.
//
// A file holds any of the keys below; it is named with --config FILE or WAGGLE_CONFIG. A key that
// is left out has its default. Each key is also a flag and an environment variable: what is
// announce.interval here is --announce-interval and WAGGLE_ANNOUNCE_INTERVAL there, where the
// entries of a list are separated by commas. Flags win over the environment, the environment wins
// over the file, and the file wins over the defaults.
//
// "waggle config check FILE" names every mistake in a file by its line.
type Config struct {
	// Where clients reach the tracker. An entry is host:port; without a host it means every
	// address of this machine, and port 0 means any free port. An empty list, [], turns that
	// protocol off.
	Listen Listen `key:"listen"`

	// Where swarms are kept, as a URL. sqlite:waggle-data/waggle.db is a file relative to the
	// directory in which waggle is started; sqlite:///var/lib/waggle/waggle.db has an absolute
	// path. "memory:", in quotes, keeps nothing when waggle stops.
	//
	// Several trackers that share a store on a network act as one, and keep nothing themselves:
	// redis://host:6379/0, rediss:// with TLS, redis+cluster://host1,host2,host3,
	// dynamodb://table?region=eu-central-1 and s3://bucket/prefix?region=eu-central-1. A password
	// stands in the URL, as in redis://:password@host, which is best given by WAGGLE_STORE;
	// credentials of AWS come from where its tools have them. docs/stores.md has more.
	Store StoreURL `key:"store" default:"sqlite:waggle-data/waggle.db"`

	// How often clients announce, and how many peers they are told.
	Announce Announce `key:"announce"`

	// Which torrents are served, and what is kept of them and their peers.
	Torrents Torrents `key:"torrents"`

	// Whose word is believed, and who is not held to a rate.
	Access Access `key:"access"`

	// Where peers are, and who is told of whom for that.
	Locality Locality `key:"locality"`

	// With which other trackers this one acts as one: a peer that announces to any of them is told at
	// all. Needs a store in memory or a file. docs/link.md has more.
	Link Link `key:"link"`

	// With which other trackers of this network this one is a cluster: one of them, the master, answers,
	// all know the same, and another one takes over when it dies. Needs a store in memory or a file, and
	// no links. docs/cluster.md has more.
	Cluster Cluster `key:"cluster"`

	// Who may use the console and its API.
	Console Console `key:"console"`

	// What waggle spends at most. Where 0 is allowed it means no limit. A number may be written
	// 20M, 5k or 1_000; k, M and G are thousands, millions and thousand millions.
	Limits Limits `key:"limits"`

	// What waggle writes about itself to standard error.
	Log Log `key:"log"`

	// What waggle tells of announces that leave this machine, because a source of locations or the
	// store must be asked over a network.
	Traces Traces `key:"traces"`
}

// Listen says where clients reach the tracker.
type Listen struct {
	// Addresses of the UDP tracker protocol (BEP 15).
	UDP []Address `key:"udp" default:":6969"`

	// Addresses of the HTTP tracker protocol (BEP 3), with scrape and /health.
	HTTP []Address `key:"http" default:":6969"`

	// Whether browsers are answered, at the addresses of HTTP. They speak WebTorrent's protocol over
	// WebSocket, at any path, and are told of each other alone. docs/websocket.md has more.
	WebSocket bool `key:"websocket" default:"true"`

	// Address of the console, which has the API, figures and profiles. It must be one of this machine
	// alone, unless there is an account or console.token_file is set. off turns it off.
	Console OptionalAddress `key:"console" default:"127.0.0.1:6970"`
}

// Announce says how often clients announce, and how many peers they are told.
type Announce struct {
	// How long a client is told to wait before it announces again. Each is told up to a tenth more
	// or less, so that clients that came together do not come back together.
	Interval time.Duration `key:"interval" default:"30m" range:"1s..24h"`

	// How soon a client may announce again of its own accord. At most interval.
	MinInterval time.Duration `key:"min_interval" default:"15m" range:"0s..24h"`

	// How long a peer that has fallen silent is still told to others. More than a tenth longer than
	// interval, which is told to clients a tenth shorter or longer: so a peer that announces in
	// time is never forgotten.
	PeerLifetime time.Duration `key:"peer_lifetime" default:"45m" range:"2s..168h"`

	// How long a client is told to wait that asks for a torrent which is not served. That is one that
	// is not listed, where torrents.mode is listed, or was deactivated. It is told a tenth more or less
	// here too.
	PassiveInterval time.Duration `key:"passive_interval" default:"5m" range:"1s..24h"`

	// How long a browser is told to wait before it announces again, a tenth more or less. It finds others
	// by the offers that it announces, so it should come more often than other clients.
	WebSocketInterval time.Duration `key:"websocket_interval" default:"2m" range:"1s..24h"`

	// How many peers a client is told that does not say how many it wants. At most max_numwant.
	Numwant int `key:"numwant" default:"50" range:"0..1000"`

	// How many peers a client is told at most, whatever it wants. Over UDP an answer holds no more
	// than fit into one packet either.
	MaxNumwant int `key:"max_numwant" default:"200" range:"0..1000"`

	// File that each announce is appended to, as a line of JSON: for waggle simulate --replay. It has
	// addresses of peers. Empty for none.
	Record Path `key:"record" default:""`

	// Bytes of announces that are recorded from one start to the next; 0 for no limit. With more,
	// recording ends and the tracker goes on.
	RecordLimit Count `key:"record_limit" default:"1G" range:"0..100G"`
}

// Torrents says which torrents are served, and what is kept of them and their peers.
type Torrents struct {
	// Which torrents are served. With open that is any that somebody announces, with listed only those
	// in the directory and those that were uploaded. Either way it is none that was deactivated, or is
	// denied.
	Mode string `key:"mode" default:"open" oneof:"open,listed"`

	// Folder of .torrent files that are listed. It is watched: a file that is added, changed or
	// removed takes effect at once. Empty for none.
	Directory Path `key:"directory" default:""`

	// File of torrents that are refused: an info hash in hexadecimal on each line, and # before
	// comments. It is read again with the configuration. Empty for none.
	Deny Path `key:"deny" default:""`

	// Bytes of the largest .torrent file that is taken.
	MaxUpload Count `key:"max_upload" default:"16M" range:"1k..64M"`

	// Whether to keep more of a peer than its address. That is its id, what it transferred and has
	// left, and when it was first seen. Without, a peer takes some 25 bytes of memory instead of
	// 75, and answers that are not compact have no peer ids.
	PeerDetails bool `key:"peer_details" default:"true"`
}

// Access says whose word is believed, and who is not held to a rate.
type Access struct {
	// Proxies whose X-Forwarded-For header names the client of an HTTP request. Each is a network
	// such as 10.0.0.0/8, or one address. Anybody else's header is ignored.
	TrustedProxies []netip.Prefix `key:"trusted_proxies" default:""`

	// Networks that limits.announces_per_second_per_address is not for. Each is a network or one
	// address, such as that of a large NAT or a proxy that does not name its clients. This machine
	// itself, by its loopback addresses, is never limited.
	UnlimitedNetworks []netip.Prefix `key:"unlimited_networks" default:""`

	// Sites whose pages may connect over WebSocket. Each is an origin, such as https://example.org, with
	// its port if that is not the usual one. Empty for any. It keeps browsers away from the tracker that
	// show pages of others; programs can claim any origin.
	Origins []Origin `key:"origins" default:""`
}

// Console says who may use the console and its API.
type Console struct {
	// File of one line, the token of an admin who needs no account. It is for a first start beyond
	// loopback, and for when no admin can log in; "waggle token create" makes accounts. Others than its
	// owner and group must not be able to read the file. Without it and without an account this machine
	// may do everything, and no other anything; with one of them this machine may read, and everything
	// else needs a token or a log-in. Empty for none.
	TokenFile Path `key:"token_file" default:""`

	// Whether the tracker shows at its own HTTP addresses what it tracks. Everybody sees the active
	// torrents of the catalogue with how many peers they have, fetches their .torrent files, and
	// subscribes to a feed of them. Nobody sees peers, nor anything else of the console.
	Public bool `key:"public" default:"false"`
}

// Limits says what waggle spends at most; 0 is no limit.
type Limits struct {
	// Peers known at once, over all torrents.
	Peers Count `key:"peers" default:"20M" range:"0.."`

	// Torrents known at once.
	Torrents Count `key:"torrents" default:"5M" range:"0.."`

	// Info hashes in one scrape. As many as 74 fit into one UDP packet.
	ScrapeHashes Count `key:"scrape_hashes" default:"74" range:"1..74"`

	// HTTP connections open at once, on each address. More wait until one ends.
	HTTPConnections Count `key:"http_connections" default:"10k" range:"0.."`

	// WebSocket connections open at once. More are refused. They do not count as those of HTTP.
	WebSocketConnections Count `key:"websocket_connections" default:"50k" range:"0..10M"`

	// WebSocket connections open at once from one address. Of an IPv6 address the first 64 bits count.
	// More are refused. It is not for access.unlimited_networks, nor for this machine itself.
	WebSocketConnectionsPerAddress Count `key:"websocket_connections_per_address" default:"500" range:"0..10M"`

	// Torrents that one WebSocket connection announces at a time.
	WebSocketTorrents Count `key:"websocket_torrents" default:"1k" range:"0..1M"`

	// Browsers known at once, over all torrents. Each takes some 100 bytes.
	WebSocketPeers Count `key:"websocket_peers" default:"1M" range:"0..1G"`

	// Bytes of messages that wait over WebSocket for clients to take them, or to send the rest. With more,
	// the connections of those who make others wait are closed.
	WebSocketMemory Count `key:"websocket_memory" default:"256M" range:"0.."`

	// Announces a second that intervals are lengthened for. As long as clients keep to what they are
	// told, no more than these come back; the longest interval is eight times announce.interval, and
	// peers live as much longer. Announces beyond twice the number are refused for some minutes, but
	// for those of peers that leave or have just completed.
	AnnouncesPerSecond Count `key:"announces_per_second" default:"0" range:"0..1G"`

	// Announces and scrapes a second from one address. Ten seconds' worth of them may come at once.
	// Of an IPv6 address the first 64 bits count. 50 a second are what 90,000 torrents need at an
	// interval of 30m, of one client or of many behind one NAT.
	AnnouncesPerSecondPerAddress Count `key:"announces_per_second_per_address" default:"50" range:"0..100k"`

	// Addresses that are held to that rate at a time, in 8 bytes each. With more, those that have
	// been quiet for longest are forgotten, and may begin anew.
	Addresses Count `key:"addresses" default:"1M" range:"1k..100M"`
}

// Log says what waggle writes about itself.
type Log struct {
	// The least important message that is written.
	Level string `key:"level" default:"info" oneof:"debug,info,warn,error"`

	// How a message looks. text is for people, json for machines.
	Format string `key:"format" default:"text" oneof:"text,json"`
}

// Traces says what waggle tells of announces that leave this machine.
type Traces struct {
	// URL of what receives OpenTelemetry's traces. It takes OTLP over HTTP, as http://127.0.0.1:4318
	// would, to which /v1/traces is added. It is told the info hash of a torrent, the group that a
	// peer is in, and how long the store and each source of locations took, but no address and no
	// peer id. Headers that it wants stand in the variable OTEL_EXPORTER_OTLP_HEADERS, as in
	// authorization=Bearer%20abc. Empty for none. docs/traces.md has more.
	Endpoint ReceiverURL `key:"endpoint" default:""`

	// Which share of the announces that leave this machine is traced. 0.1 or 10% is a tenth of them,
	// chosen by chance.
	Share Share `key:"share" default:"1"`
}

// Default returns the configuration of a waggle that is told nothing.
func Default() Config {
	var c Config
	for _, k := range keys() {
		k.put(&c, k.defaults())
	}
	return c
}
