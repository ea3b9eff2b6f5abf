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

	// What proves the names of this tracker over TLS: certificates in files, or by ACME.
	TLS TLS `key:"tls"`

	// How often clients announce, and how many peers they are told.
	Announce Announce `key:"announce"`

	// Which torrents are served, and what is kept of them and their peers.
	Torrents Torrents `key:"torrents"`

	// Who may announce, whose word is believed, and who is not held to a rate. docs/access.md has
	// more.
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

	// Who is told of announces, in signed batches: a receiver over HTTP, a NATS, or both. docs/events.md
	// has more.
	Events Events `key:"events"`
}

// Listen says where clients reach the tracker.
type Listen struct {
	// Addresses of the UDP tracker protocol (BEP 15).
	UDP []Address `key:"udp" default:":6969"`

	// Addresses of the HTTP tracker protocol (BEP 3), with scrape and /health.
	HTTP []Address `key:"http" default:":6969"`

	// Addresses of the same over TLS, by HTTP/1.1 and HTTP/2. They need tls.certificate and tls.key, or
	// tls.acme_hosts.
	HTTPS []Address `key:"https" default:""`
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

	// Announces that come too early from which on a peer is warned; 0 for never. Too early is before the
	// least interval that it was told has passed, less a quarter. One that is in time forgives half of
	// those before; a first event is never too early, and nothing that comes from
	// access.unlimited_networks. Over UDP there is no place for a warning.
	EarlyWarned int `key:"early_warned" default:"4" range:"0..10000"`

	// Announces that come too early from which on a peer is told of five others at most; 0 for never.
	EarlyShortened int `key:"early_shortened" default:"8" range:"0..10000"`

	// Announces that come too early from which on a peer is refused until it is time; 0 for never. Over
	// UDP that is silence.
	EarlyRefused int `key:"early_refused" default:"16" range:"0..10000"`

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

	// Whether the tracker tries whether peers can be connected to, by TCP and the BitTorrent handshake. It
	// shows so, and prefers those that can be for the part of a representative of their rack. It tries an
	// address that a peer announced from and the port that it named, once in some hours. docs/nat.md has more.
	NATCheck bool `key:"nat_check" default:"false"`

	// Whether a client that could not be connected to is told so over HTTP, in words for its user.
	NATWarning bool `key:"nat_warning" default:"false"`

	// Whether ports below 1024 are tried too, where there are other services as a rule.
	NATPrivileged bool `key:"nat_privileged" default:"false"`
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

// Access says who may announce, whose word is believed, and who is not held to a rate.
type Access struct {
	// File of clients that may announce, and no others. Each line has what the peer id of a client
	// begins with, as -TR2940- or -UT*, or its User-Agent, as User-Agent: Transmission/4. What follows
	// # is a comment. The longest of all lines that a client begins with, denied ones too, counts. It
	// is read again when it changes. Empty for any client.
	ClientsAllow Path `key:"clients_allow" default:""`

	// File of clients that may not announce, with such lines. It is read again when it changes. Empty
	// for none.
	ClientsDeny Path `key:"clients_deny" default:""`

	// File of networks that may announce and scrape, and no others. Each line has a network such as
	// 10.1.0.0/16, or one address, and # before comments. The smallest of all networks that an address
	// is in, denied ones too, counts. It is read again when it changes. Empty for any network.
	NetworksAllow Path `key:"networks_allow" default:""`

	// File of networks of which nothing is looked at, with such lines. It is read again when it
	// changes. Empty for none.
	NetworksDeny Path `key:"networks_deny" default:""`

	// URL of the keys that sign the tokens which announces must carry. It is a JSON Web Key Set, at
	// https, or at http on this machine; a token is a JSON Web Token in the parameter jwt of the
	// announce URL. Empty for none, and then no token is asked for.
	TokensJWKS KeySetURL `key:"tokens_jwks" default:""`

	// Who must have issued a token: its claim iss.
	TokensIssuer string `key:"tokens_issuer" default:""`

	// For whom a token must be: one of its claim aud.
	TokensAudience string `key:"tokens_audience" default:""`

	// How often the keys of tokens are fetched. They are fetched at once, too, for a token of a key that
	// is not among them, but no more often than every 30 seconds.
	TokensRefresh time.Duration `key:"tokens_refresh" default:"15m" range:"1m..24h"`

	// Proxies whose X-Forwarded-For header names the client of an HTTP request. Each is a network
	// such as 10.0.0.0/8, or one address. Anybody else's header is ignored.
	TrustedProxies []netip.Prefix `key:"trusted_proxies" default:""`

	// Balancers whose connections over HTTP and HTTPS begin with a PROXY header. It is of version 2, and
	// names the client. Each is a network or one address. Their connections without a header
	// are refused, and so are those of anybody else with one.
	ProxyProtocol []netip.Prefix `key:"proxy_protocol" default:""`

	// Proxies that put Cloudflare's simple proxy protocol before each packet over UDP. Spectrum does
	// that. Each is a network or one address. Their packets without it are dropped, and so are those of
	// anybody else with it.
	ProxyProtocolUDP []netip.Prefix `key:"proxy_protocol_udp" default:""`

	// Networks that limits.announces_per_second_per_address is not for. Each is a network or one
	// address, such as that of a large NAT or a proxy that does not name its clients. This machine
	// itself, by its loopback addresses, is never limited.
	UnlimitedNetworks []netip.Prefix `key:"unlimited_networks" default:""`

	// Whether clients show a passkey in the announce URL. It is as http://tracker/PASSKEY/announce, and
	// so over UDP (BEP 41). With required, who shows none is refused; with optional, only one that is
	// wrong, revoked or expired is; with off there are none. What was transferred with each is counted.
	// "waggle passkeys create" makes them. Off and on take effect at the next start. docs/passkeys.md
	// has more.
	Passkeys string `key:"passkeys" default:"off" oneof:"off,optional,required"`

	// Announce URLs of this tracker as clients reach it, such as https://tracker.example/announce. The
	// console and the commands show them with passkeys in. Empty for those of the addresses that it
	// listens on.
	PasskeyURLs []AnnounceURL `key:"passkey_urls" default:""`

	// What a client can transfer of one torrent, in bits a second, each way. Where it tells of more, as
	// nobody does by mistake, that does not count, and its passkey shows how often. 0 for no limit.
	PasskeyRate Bandwidth `key:"passkey_rate" default:"10Gbit"`
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

	// Memory of this process, in bytes or as a share of what there is. That is the least of what this
	// machine has, its control group and GOMEMLIMIT. Near it, newcomers take the place of peers that
	// were silent for longest, as they do where peers or torrents are too many, and garbage is
	// collected more often. 128M at least.
	Memory Memory `key:"memory" default:"75%"`

	// Info hashes in one scrape. As many as 74 fit into one UDP packet.
	ScrapeHashes Count `key:"scrape_hashes" default:"74" range:"1..74"`

	// HTTP connections open at once, on each address that is listened on. For one more, the one that
	// waits longest for its client is closed, if that is a second; else it waits until one ends.
	HTTPConnections Count `key:"http_connections" default:"10k" range:"0.."`

	// HTTP connections that one address may keep open. Of an IPv6 address the first 64 bits count. More
	// are closed. It is not for proxies (access.trusted_proxies, access.proxy_protocol), not for
	// access.unlimited_networks, nor for this machine itself, nor, on Linux, for connections that end
	// with their first answer.
	HTTPConnectionsPerAddress Count `key:"http_connections_per_address" default:"500" range:"0..10M"`

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

	// Announces refused as too early after which an address is silenced; 0 for any number. They count
	// for ten minutes, over all its peers, and for as long nothing of it is looked at.
	EarlyPerAddress Count `key:"early_per_address" default:"1k" range:"0..1M"`

	// Peers that are recognised at a time, in 40 bytes each; 0 for none. They are by their announce key,
	// and it is known when they may announce again: without, nobody is too early. With more, those that
	// have been quiet for longest are met anew.
	RecognisedPeers Count `key:"recognised_peers" default:"1M" range:"0..100M"`
	// Passkeys that there may be, in some 500 bytes each.
	Passkeys Count `key:"passkeys" default:"1M" range:"1..10M"`

	// Peers whose figures wait to be counted for their passkeys, in some 200 bytes each. What more of
	// them tell counts when they announce the next time.
	PasskeySessions Count `key:"passkey_sessions" default:"1M" range:"1k..100M"`
	// Bytes of events that wait in memory, where there is no room for them on disk. With more, the oldest
	// are dropped, and the receiver is told how many.
	EventsMemory Count `key:"events_memory" default:"16M" range:"1M..10G"`

	// Bytes of events that wait on disk, in events.directory. With more, the oldest are dropped, and the
	// receiver is told how many. An event takes some 300.
	EventsDisk Count `key:"events_disk" default:"1G" range:"1M..1000G"`

	// Peers a second that announce.nat_check tries. Others are tried at a later announce.
	NATChecksPerSecond Count `key:"nat_checks_per_second" default:"20" range:"1..10k"`

	// Addresses of which announce.nat_check remembers what it found, in some 150 bytes each. With more,
	// those are forgotten that were tried first.
	NATChecked Count `key:"nat_checked" default:"100k" range:"1k..100M"`
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
