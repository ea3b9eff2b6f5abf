package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDefaultIsWhatTheManualSays(t *testing.T) {
	want := Config{
		Listen: Listen{UDP: []Address{":6969"}, HTTP: []Address{":6969"}, HTTPS: []Address{}, WebSocket: true, Console: "127.0.0.1:6970"},
		Store:  "sqlite:waggle-data/waggle.db",
		Announce: Announce{
			Interval:          30 * time.Minute,
			MinInterval:       15 * time.Minute,
			PeerLifetime:      45 * time.Minute,
			PassiveInterval:   5 * time.Minute,
			WebSocketInterval: 2 * time.Minute,
			Numwant:           50,
			MaxNumwant:        200,
			RecordLimit:       1_000_000_000,
			EarlyWarned:       4,
			EarlyShortened:    8,
			EarlyRefused:      16,
		},
		Torrents: Torrents{Mode: "open", MaxUpload: 16_000_000, PeerDetails: true},
		Access: Access{
			TokensRefresh:  15 * time.Minute,
			TrustedProxies: []netip.Prefix{}, ProxyProtocol: []netip.Prefix{}, ProxyProtocolUDP: []netip.Prefix{}, UnlimitedNetworks: []netip.Prefix{},
			Origins:  []Origin{},
			Passkeys: "off", PasskeyURLs: []AnnounceURL{}, PasskeyRate: 10_000_000_000,
		},
		TLS: TLS{
			Others: []FilePair{}, ACMEHosts: []HostName{}, ACMEDirectory: "https://acme-v02.api.letsencrypt.org/directory", ACMECache: "waggle-data/acme",
		},
		Locality: Locality{
			Levels: []Level{"rack"}, Profile: "strict", ActiveInterval: 15 * time.Second, PassiveInterval: 300 * time.Second,
			Importers: []LevelCount{}, Exporters: []LevelCount{}, ProbeInterval: 5 * time.Second, LookupTimeout: 2 * time.Second,
			CacheTime: 10 * time.Minute, CacheUnknown: time.Minute, CacheAddresses: 1_000_000, Lookups: 256, MaxGroups: 100_000,
			Sources: []LocalitySource{},
		},
		Link: Link{
			Addresses: []Address{}, NATSRole: "leaf", Directory: "waggle-data/link", ShareTorrents: "off", MaxPeers: 5_000_000,
		},
		Cluster: Cluster{Peers: "239.192.0.69:6969", TTL: 1, NATSPrefix: "waggle.cluster", MaxRows: 5_000_000, Forward: true},
		Limits: Limits{
			Peers: 20_000_000, Torrents: 5_000_000, Memory: Memory{Percent: 75}, ScrapeHashes: 74, HTTPConnections: 10_000, HTTPConnectionsPerAddress: 500,
			WebSocketConnections: 50_000, WebSocketConnectionsPerAddress: 500, WebSocketTorrents: 1000, WebSocketPeers: 1_000_000, WebSocketMemory: 256_000_000,
			AnnouncesPerSecondPerAddress: 50, Addresses: 1_000_000, EarlyPerAddress: 1000, RecognisedPeers: 1_000_000,
			Passkeys: 1_000_000, PasskeySessions: 1_000_000,
			EventsMemory: 16_000_000, EventsDisk: 1_000_000_000, NATChecksPerSecond: 20, NATChecked: 100_000,
		},
		Log:    Log{Level: "info", Format: "text"},
		Traces: Traces{Share: 1},
		Events: Events{
			Subject: "waggle.events", JetStream: "auto", Batch: 1000, Every: time.Second, Addresses: true,
			Timeout: 10 * time.Second, PutAside: 30 * time.Minute, Directory: "waggle-data/events",
		},
	}
	if got := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Default() = %+v", got)
	}
}

func TestDefaultIsWithinItsOwnRules(t *testing.T) {
	l := newLoader()
	l.relations()
	if err := l.err(); err != nil {
		t.Error(err)
	}
}

func TestEveryFieldHasAKeyAndAComment(t *testing.T) {
	s := declared()
	for _, k := range s.keys {
		if last(k.path) == "" || strings.HasPrefix(k.path, ".") {
			t.Errorf("field %v has no key", k.field)
		}
		if !strings.HasSuffix(k.doc, ".") {
			t.Errorf("%s has the comment %q, want sentences", k.path, k.doc)
		}
		if n := len(k.usage); n > 100 {
			t.Errorf("%s: the first sentence of its comment has %d characters, too many for --help", k.path, n)
		}
	}
	for _, section := range s.sections {
		if !strings.HasSuffix(section.doc, ".") {
			t.Errorf("%s has the comment %q, want sentences", section.path, section.doc)
		}
	}
}

func TestEveryKeyHasItsOwnFlagAndVariable(t *testing.T) {
	seen := map[string]string{fileFlag: "the file", fileVariable: "the file"}
	for _, k := range keys() {
		for _, name := range []string{k.flag(), k.environment()} {
			if other, taken := seen[name]; taken {
				t.Errorf("%s is of %s and of %s", name, other, k.path)
			}
			seen[name] = k.path
		}
		if foreign.MatchString(k.environment() + "=tcp://") {
			t.Errorf("%s looks like a variable that Kubernetes sets", k.environment())
		}
	}
}
