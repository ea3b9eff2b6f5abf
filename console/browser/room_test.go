//go:build screenshots

package browser

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/internal/authority"
	"waggle/store/memory"
	"waggle/store/sqlite"
	"waggle/swarm"
	"waggle/torrent"
)

// room is a machine room in which an image of nodes is rolled out, with what has been
// going on in it for some weeks.
type room struct {
	*tracker
	dir    string
	random *rand.Rand
	now    time.Time // what the past is counted from
	clock  time.Time // of catalogue and accounts, while the past is made
	files  []*file
	peers  []*host
	image  bittorrent.InfoHash // what is being rolled out

	passkey string // id of one
}

// file is a torrent of the room.
type file struct {
	name    string
	size    int64
	age     time.Duration
	ended   time.Duration // since it was deactivated; 0: it is active
	profile string
	seeders int
	others  int // peers that have not all yet
	hash    bittorrent.InfoHash
}

// host is a peer of a file.
type host struct {
	of         bittorrent.InfoHash
	size       int64
	at         string
	id         string
	joined     time.Duration // ago
	left       int64
	uploaded   int64
	downloaded int64
	passkey    string
}

const (
	gib = 1 << 30
	day = 24 * time.Hour

	imageName = "node-image-2026.11.21.squashfs"
	racks     = 12
	perRack   = 36
)

// roomFiles are the torrents, but for the image.
func roomFiles() []*file {
	return []*file{
		{name: "node-image-2026.11.14.squashfs", size: 39 * gib / 10, age: 7 * day, ended: 50 * time.Minute},
		{name: "node-image-2026.11.07.squashfs", size: 38 * gib / 10, age: 14 * day, ended: 7 * day},
		{name: "debian-13.2.0-amd64-DVD-1.iso", size: 37 * gib / 10, age: 9 * day, seeders: 14, others: 1},
		{name: "ubuntu-24.04.3-live-server-amd64.iso", size: 31 * gib / 10, age: 30 * day, seeders: 22},
		{name: "AlmaLinux-10.0-x86_64-dvd.iso", size: 75 * gib / 10, age: 21 * day, seeders: 9},
		{name: "golden-vm-web.qcow2", size: 6 * gib, age: 4 * day, seeders: 31, others: 3, profile: "strict"},
		{name: "golden-vm-build.qcow2", size: 11 * gib, age: 4*day + time.Hour, seeders: 18, others: 6, profile: "strict"},
		{name: "postgres-basebackup-orders-2026-11-21.tar.zst", size: 41 * gib, age: 5 * time.Hour, seeders: 3, others: 2},
		{name: "postgres-basebackup-orders-2026-11-20.tar.zst", size: 41 * gib, age: 29 * time.Hour, ended: 5 * time.Hour},
		{name: "model-weights-v3-shard-00001-of-00004.safetensors", size: 93 * gib / 10, age: 26 * time.Hour, seeders: 16, others: 8},
		{name: "model-weights-v3-shard-00002-of-00004.safetensors", size: 93 * gib / 10, age: 26 * time.Hour, seeders: 16, others: 8},
		{name: "model-weights-v3-shard-00003-of-00004.safetensors", size: 93 * gib / 10, age: 26 * time.Hour, seeders: 12, others: 12},
		{name: "model-weights-v3-shard-00004-of-00004.safetensors", size: 51 * gib / 10, age: 26 * time.Hour, seeders: 20, others: 4},
		{name: "maps-europe-tiles-z14.mbtiles", size: 78 * gib, age: 61 * day, seeders: 5},
		{name: "wikipedia_en_all_maxi_2026-10.zim", size: 111 * gib, age: 33 * day, seeders: 6, others: 1},
		{name: "container-base-layers-2026w47.tar", size: 22 * gib / 10, age: 4 * day, seeders: 40, others: 2},
		{name: "container-base-layers-2026w46.tar", size: 22 * gib / 10, age: 11 * day, ended: 4 * day},
		{name: "climate-ensemble-r17.nc", size: 34 * gib, age: 2 * day, seeders: 4, others: 9, profile: "parity"},
		{name: "genome-reference-GRCh38.fa.gz", size: 9 * gib / 10, age: 88 * day, seeders: 7},
		{name: "kernel-6.12.57-packages.tar.zst", size: 310 << 20, age: 3 * day, seeders: 52},
		{name: "firmware-bmc-2.41.0.bin", size: 64 << 20, age: 12 * day, seeders: 11},
	}
}

// ids are those of clients, more often than others those that are more often met.
var ids = []string{"-TR4060-", "-TR4060-", "-TR3000-", "-LT20B0-", "-LT20B0-", "-qB5020-", "A2-1-37-0-", "-DE2110-"}

// newRoom makes the past of a room and starts its tracker.
func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{dir: t.TempDir(), random: rand.New(rand.NewPCG(6, 6)), now: time.Now().Round(0)}
	r.clock = r.now.Add(-90 * day)
	data := filepath.Join(r.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.configure(t), r.register(t.Context(), data), r.join(t.Context(), data), r.admit(t.Context(), data)); err != nil {
		t.Fatal(err)
	}
	r.remember(t, data)
	r.takeEvents(t)
	tr, err := serve(r.dir, "--config", "waggle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r.tracker = tr
	t.Cleanup(func() {
		if err := tr.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

const roomConfig = `# The tracker of the machine room in Gent.
listen:
  udp: ["127.0.0.1:6969"]
  http: ["127.0.0.1:6969"]
  https: ["127.0.0.1:6443"]
  console: 127.0.0.1:6970
store: sqlite:data/waggle.db
tls:
  certificate: fullchain.pem
  key: privkey.pem
announce:
  interval: 20m
  min_interval: 5m
access:
  trusted_proxies: [127.0.0.1/32]
  unlimited_networks: [10.20.0.0/16]
  passkeys: optional
  passkey_urls: ["https://tracker.example/announce", "udp://tracker.example:6969/announce"]
events:
  webhook: http://` + accounting + `/waggle
  secret_file: events.secret
  directory: data/events
locality:
  levels: [row, rack]
  profile: balanced
  active_interval: 45s
  probe_interval: 0s
  sources:
    - subnets: topology.csv
console:
  public: true
  token_file: admin.token
`

func (r *room) configure(t *testing.T) error {
	authority.New(t).Write(t, r.dir, "tracker.example")
	topology := "10.20.0.0/24,row-a/core\n"
	for k := range racks {
		topology += fmt.Sprintf("10.20.%d.0/24,%s\n", k+1, rackName(k))
	}
	return errors.Join(
		os.WriteFile(filepath.Join(r.dir, "waggle.yaml"), []byte(roomConfig), 0o600),
		os.WriteFile(filepath.Join(r.dir, "topology.csv"), []byte(topology), 0o600),
		os.WriteFile(filepath.Join(r.dir, "events.secret"), []byte(strings.Repeat("secret", 6)+"\n"), 0o600),
	)
}

func rackName(k int) string { return fmt.Sprintf("row-%c/r%02d", 'a'+k/(racks/2), k+1) }

// ago sets the clock of what is being made.
func (r *room) ago(d time.Duration) time.Time {
	r.clock = r.now.Add(-d)
	return r.clock
}

// register makes the catalogue.
func (r *room) register(ctx context.Context, data string) error {
	store, err := catalog.OpenSQLite(ctx, filepath.Join(data, "catalog.db"))
	if err != nil {
		return err
	}
	c, err := catalog.Open(ctx, catalog.Options{Store: store, Profiles: swarm.Profiles, Now: func() time.Time { return r.clock }})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	r.files = append(roomFiles(), &file{name: imageName, size: 39 * gib / 10, age: 47 * time.Minute})
	for _, f := range r.files {
		err = errors.Join(err, r.registerOne(ctx, c, f))
	}
	ended := slices.DeleteFunc(slices.Clone(r.files), func(f *file) bool { return f.ended == 0 })
	slices.SortFunc(ended, func(a, b *file) int { return cmp.Compare(b.ended, a.ended) }) // as it was done
	for _, f := range ended {
		r.ago(f.ended)
		_, failed := c.Deactivate(ctx, f.hash)
		err = errors.Join(err, failed)
	}
	return errors.Join(err, c.Close(), store.Close())
}

func (r *room) registerOne(ctx context.Context, c *catalog.Catalog, f *file) error {
	b := metainfo(f.name, f.size)
	m, err := torrent.Parse(b)
	if err != nil {
		return err
	}
	f.hash = m.InfoHash()
	if f.name == imageName {
		r.image = f.hash
	}
	r.ago(f.age)
	if _, err = c.AddWithProfile(ctx, f.name+".torrent", b, f.profile); err != nil {
		return err
	}
	span := f.age - f.ended
	c.Started(&f.hash, r.ago(f.age-2*time.Minute))
	c.Started(&f.hash, r.ago(f.ended+span/9))
	c.Completed(&f.hash, r.ago(f.age-span/5))
	c.Completed(&f.hash, r.ago(f.ended+span/7))
	return nil
}

// join makes the peers, and has them announce as they did in the past.
func (r *room) join(ctx context.Context, data string) error {
	r.rollOut()
	for _, f := range r.files {
		for i := range f.seeders + f.others {
			joined := min(f.age-3*time.Minute, time.Duration(20+r.random.IntN(3000))*time.Minute)
			p := r.host(f, fmt.Sprintf("10.20.%d.%d:51413", 1+r.random.IntN(racks), 40+r.random.IntN(200)), joined)
			if i >= f.seeders {
				p.left = int64(r.random.Float64() * float64(f.size))
			}
			p.account(r.random)
		}
	}
	store, err := sqlite.Open(ctx, filepath.Join(data, "waggle.db"), sqlite.Options{Memory: memory.Options{Details: true}})
	if err != nil {
		return err
	}
	for _, p := range r.peers {
		err = errors.Join(err, r.announcePast(ctx, store, p))
	}
	return errors.Join(err, store.Close())
}

func (r *room) host(f *file, at string, joined time.Duration) *host {
	id := ids[r.random.IntN(len(ids))]
	for len(id) < 20 {
		id += string(rune('a' + r.random.IntN(26)))
	}
	p := &host{of: f.hash, size: f.size, at: at, id: id, joined: joined}
	r.peers = append(r.peers, p)
	return p
}

// account makes up what a peer up- and downloaded.
func (p *host) account(random *rand.Rand) {
	p.downloaded = p.size - p.left
	p.uploaded = int64(float64(p.downloaded) * random.Float64() * 1.9)
}

// rollOut makes the peers of the image: rack after rack begins, and its first hosts are
// ahead of the others.
func (r *room) rollOut() {
	image := r.files[len(r.files)-1]
	origin := r.host(image, "10.20.0.5:51413", 46*time.Minute)
	origin.uploaded = 11 * gib
	for k := range racks {
		for i := range perRack {
			p := r.host(image, fmt.Sprintf("10.20.%d.%d:51413", k+1, i+1), time.Duration(44-3*k)*time.Minute+time.Duration(r.random.IntN(100))*time.Second)
			done := 1.45 - 0.13*float64(k) + 0.22*(r.random.Float64()-0.5)
			if i < 2 {
				done += 0.12
			}
			p.left = int64((1 - min(1, max(0, done))) * float64(image.size))
			p.account(r.random)
		}
	}
}

// announcePast tells a store what a peer told the tracker before.
func (r *room) announcePast(ctx context.Context, store swarm.Store, p *host) error {
	at := netip.MustParseAddrPort(p.at)
	a := swarm.Announce{From: at.Addr(), Now: r.now.Add(-p.joined)}
	a.InfoHash, a.Port, a.Left, a.Event = p.of, at.Port(), p.size, bittorrent.EventStarted
	copy(a.PeerID[:], p.id)
	if err := store.Announce(ctx, &a, new(swarm.Reply)); err != nil {
		return err
	}
	a.Now = r.now.Add(-min(p.joined/2, time.Duration(1+r.random.IntN(600))*time.Second))
	a.Left, a.Uploaded, a.Downloaded, a.Event = p.left, p.uploaded, p.downloaded, bittorrent.EventNone
	if p.left == 0 {
		a.Event = bittorrent.EventCompleted
	}
	return store.Announce(ctx, &a, new(swarm.Reply))
}

// announceOn lets the peers announce, over and over, until ctx ends: some 40 a second, in
// their order at first. Now and then somebody asks for what is not active any more. passed
// has room for all times that all have announced that are waited for.
func (r *room) announceOn(ctx context.Context, passed chan<- struct{}) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	order := make([]int, len(r.peers))
	for i := range order {
		order[i] = i
	}
	for {
		for _, f := range r.files {
			if f.ended == 0 || r.random.IntN(2) == 0 {
				continue
			}
			if err := r.tell(ctx, f.hash, peer{at: "10.20.9.201:51413", id: "-TR4060-abcdefghijkl", left: f.size}); err != nil && ctx.Err() == nil {
				return err
			}
		}
		for _, i := range order {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if err := r.announceNow(ctx, r.peers[i]); err != nil && ctx.Err() == nil {
				return err
			}
		}
		order = r.random.Perm(len(r.peers))
		select {
		case passed <- struct{}{}:
		default:
		}
	}
}

// announceNow has a peer announce that has got a little more, and never all.
func (r *room) announceNow(ctx context.Context, p *host) error {
	more := min(p.left*2/3, r.random.Int64N(p.size/50))
	p.left, p.downloaded, p.uploaded = p.left-more, p.downloaded+more, p.uploaded+more/2
	return r.tell(ctx, p.of, peer{at: p.at, id: p.id, left: p.left, uploaded: p.uploaded, downloaded: p.downloaded, passkey: p.passkey})
}
