package config

import (
	"cmp"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func printed(l *Loaded) string {
	var b strings.Builder
	if err := l.Print(&b); err != nil {
		panic(err)
	}
	return b.String()
}

// read is what a file says.
func read(text string) (Config, error) {
	l := newLoader()
	l.file("waggle.yaml", []byte(text))
	l.relations()
	return l.loaded.Config, l.err()
}

func TestPrintedDefaultIsReadBackAsTheDefault(t *testing.T) {
	c, err := read(printed(&Loaded{Config: Default()}))
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestEveryKeyIsPrintedOnceBelowItsComment(t *testing.T) {
	text := printed(&Loaded{Config: Default()})
	alike := map[string]int{}
	for _, k := range keys() {
		alike[last(k.path)]++
	}
	for _, k := range keys() {
		lines := regexp.MustCompile(`(?m)^ *#.*\n *`+last(k.path)+`: .*$`).FindAllString(text, -1)
		if len(lines) != alike[last(k.path)] {
			t.Errorf("%s is printed as %q", k.path, lines)
		}
	}
	for path := range declared().sections {
		if n := strings.Count(text, ".\n"+path+":\n"); n != 1 {
			t.Errorf("%s: is printed %d times below a comment", path, n)
		}
	}
}

func TestPrintedLinesFitTheScreen(t *testing.T) {
	for line := range strings.Lines(printed(&Loaded{Config: Default()})) {
		if len(line) > columns+1 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestPrintSaysWhatTheTagsSay(t *testing.T) {
	text := strings.Join(strings.Fields(strings.ReplaceAll(printed(&Loaded{Config: Default()}), "#", "")), " ")
	for _, want := range []string{"Range: 1s to 24h.", "Range: 0 or more.", "One of debug, info, warn, error."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestSourceWithALineBreakStaysWithinItsComment(t *testing.T) {
	l := &Loaded{Config: Default(), Sources: map[string]Source{"store": {"a\nstore: b", 1}}}
	if _, err := read(printed(l)); err != nil {
		t.Error(err)
	}
}

func TestWhateverCanBeLoadedIsPrintedAndReadBackTheSame(t *testing.T) {
	addresses := rapid.SliceOfN(rapid.SampledFrom([]Address{":0", ":6969", "[::1]:1", "[fe80::1%eth0]:2", "null:3", "true:4", "1:5", "a_b-c.d:6"}), 0, 3)
	duration := func(low, high time.Duration) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.Int64Range(int64(low), int64(high)), func(n int64) time.Duration { return time.Duration(n) })
	}
	count := rapid.Map(rapid.IntRange(0, 1<<30), func(n int) Count { return Count(n) })
	prefixes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
		var b [16]byte
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		a := netip.AddrFrom16(b).Unmap()
		return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
	}), 0, 3)
	folder := rapid.Map(rapid.StringMatching(`|[^\pC]{1,20}`), func(s string) Path { return Path(s) })
	path := rapid.StringMatching(`sqlite:[^\pC/?#][^\pC?#]{0,20}[^\pC/?#]`)

	rapid.Check(t, func(t *rapid.T) {
		c := Default()
		c.Listen = Listen{UDP: addresses.Draw(t, "udp"), HTTP: addresses.Draw(t, "http")}
		c.Store = StoreURL(path.Draw(t, "store"))
		c.Announce.Interval = duration(time.Second, 24*time.Hour).Draw(t, "interval")
		c.Announce.MinInterval = duration(0, c.Announce.Interval).Draw(t, "min_interval")
		c.Announce.PeerLifetime = duration(max(2*time.Second, c.Announce.Interval+c.Announce.Interval/10+1), 168*time.Hour).Draw(t, "peer_lifetime")
		c.Announce.MaxNumwant = rapid.IntRange(0, 1000).Draw(t, "max_numwant")
		c.Announce.Numwant = rapid.IntRange(0, c.Announce.MaxNumwant).Draw(t, "numwant")
		c.Announce.PassiveInterval = duration(time.Second, 24*time.Hour).Draw(t, "passive_interval")
		c.Torrents.Mode = rapid.SampledFrom([]string{"open", "listed"}).Draw(t, "mode")
		c.Torrents.Directory, c.Torrents.Deny = folder.Draw(t, "directory"), folder.Draw(t, "deny")
		c.Torrents.MaxUpload = 1000 + count.Draw(t, "max_upload")%63_999_001
		c.Console.TokenFile = folder.Draw(t, "token_file")
		c.Access.TrustedProxies = prefixes.Draw(t, "trusted_proxies")
		c.Access.UnlimitedNetworks = prefixes.Draw(t, "unlimited_networks")
		c.Access.ClientsAllow, c.Access.NetworksDeny = folder.Draw(t, "clients_allow"), folder.Draw(t, "networks_deny")
		if rapid.Bool().Draw(t, "tokens") {
			c.Access.TokensJWKS, c.Access.TokensIssuer, c.Access.TokensAudience = "https://login.example/keys?of=waggle", "https://login.example", "a tracker"
		}
		c.Announce.EarlyRefused = rapid.IntRange(0, 10000).Draw(t, "early_refused")
		c.Announce.EarlyShortened = rapid.IntRange(0, cmp.Or(c.Announce.EarlyRefused, 10000)).Draw(t, "early_shortened")
		c.Announce.EarlyWarned = rapid.IntRange(0, cmp.Or(c.Announce.EarlyShortened, c.Announce.EarlyRefused, 10000)).Draw(t, "early_warned")
		c.Access.PasskeyURLs = rapid.SampledFrom([][]AnnounceURL{{}, {"udp://tracker.example:6969/announce", "https://[2001:db8::1]/x/announce"}}).Draw(t, "passkey_urls")
		c.Limits = Limits{
			EarlyPerAddress: count.Draw(t, "early_per_address") % 1_000_001, RecognisedPeers: 1000 + count.Draw(t, "recognised_peers")%1000,
			Peers: count.Draw(t, "peers"), Torrents: count.Draw(t, "torrents"), ScrapeHashes: 1, Memory: rapid.SampledFrom([]Memory{{}, {Percent: 50}, {Bytes: 1 << 30}}).Draw(t, "memory"), HTTPConnections: count.Draw(t, "connections"), HTTPConnectionsPerAddress: 500,
			AnnouncesPerSecond: min(count.Draw(t, "announces_per_second"), 1e9), Addresses: 1000 + count.Draw(t, "addresses")%1000,
			AnnouncesPerSecondPerAddress: count.Draw(t, "announces_per_second_per_address") % 100_001,
			Passkeys:                     1 + count.Draw(t, "passkeys")%10_000_000, PasskeySessions: 1000 + count.Draw(t, "passkey_sessions")%1000,
			EventsMemory: 1_000_000 + count.Draw(t, "events_memory")%1_000_000, EventsDisk: 1_000_000_000_000,
			NATChecksPerSecond: 1, NATChecked: 100_000_000,
		}
		c.Locality = anyLocality().Draw(t, "locality")
		c.Link = Link{
			Name: rapid.SampledFrom([]string{"", "ams-1"}).Draw(t, "name"), Listen: rapid.SampledFrom([]OptionalAddress{"", ":6971"}).Draw(t, "link"),
			Addresses: rapid.SampledFrom([][]Address{{}, {"tracker.example:6971", "[2001:db8::1]:6971"}}).Draw(t, "link addresses"),
			NATSRole:  "hub", Credentials: folder.Draw(t, "credentials"), Directory: folder.Draw(t, "link directory"),
			ShareTorrents: "both", ShareRemovals: true, MaxPeers: 1000 + count.Draw(t, "max_peers")%1_000_000,
		}
		c.Cluster = Cluster{
			Group: "239.192.0.69:7000", Peers: rapid.SampledFrom([]Group{"", "[ff02::6969]:7001"}).Draw(t, "peers of the cluster"),
			Interface: "eth0", TTL: rapid.IntRange(1, 255).Draw(t, "ttl"), SecretFile: "cluster.secret", Credentials: folder.Draw(t, "credentials of the cluster"),
			NATSPrefix: rapid.SampledFrom([]string{"waggle.cluster", "Room_1.c"}).Draw(t, "nats_prefix"),
			MaxRows:    1000 + count.Draw(t, "max_rows")%1_000_000, Forward: rapid.Bool().Draw(t, "forward"),
		}
		if c.Link.Listen != "" {
			c.Cluster = Cluster{TTL: 1, MaxRows: 1000}
			c.Access.Passkeys = rapid.SampledFrom([]string{"off", "optional", "required"}).Draw(t, "passkeys of clients")
		}
		c.Log = Log{Level: rapid.SampledFrom([]string{"debug", "warn"}).Draw(t, "level"), Format: "json"}
		c.Traces = Traces{
			Endpoint: rapid.SampledFrom([]ReceiverURL{"", "http://127.0.0.1:4318", "https://[::1]:1/a%20b/"}).Draw(t, "endpoint"),
			Share:    Share(rapid.Float64Range(0, 1).Draw(t, "share")),
		}

		c.Events = Events{
			Webhook:    rapid.SampledFrom([]WebhookURL{"", "http://127.0.0.1:4318/x?y=z", "https://[::1]:1/a%20b/"}).Draw(t, "webhook"),
			NATS:       rapid.SampledFrom([]NATSURL{"", "nats://127.0.0.1:4222", "tls://nats.example:1"}).Draw(t, "nats"),
			SecretFile: "events.secret", Subject: "a.b-c.D_e", JetStream: "never", Credentials: folder.Draw(t, "credentials of events"),
			Batch: rapid.IntRange(1, 10000).Draw(t, "batch"), Every: duration(100*time.Millisecond, time.Minute).Draw(t, "every"), Addresses: rapid.Bool().Draw(t, "addresses of events"),
			Compress: true, Unencrypted: true, Timeout: duration(time.Second, 5*time.Minute).Draw(t, "timeout"), Directory: folder.Draw(t, "directory of events"),
		}

		text := printed(&Loaded{Config: c})
		back, err := read(text)
		if err != nil || !reflect.DeepEqual(back.Locality, c.Locality) || withoutLocality(back) != withoutLocality(c) {
			t.Fatalf("%+v\nis read back as\n%+v, %v\nfrom\n%s", c, back, err, text)
		}
	})
}
