//go:build screenshots

package browser

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"waggle/account"
	"waggle/timeline"
)

// admit makes accounts, and what they did.
func (r *room) admit(ctx context.Context, data string) error {
	store, err := account.OpenSQLite(ctx, filepath.Join(data, "accounts.db"))
	if err != nil {
		return err
	}
	a, err := account.Open(ctx, account.Options{Store: store, Now: func() time.Time { return r.clock }})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	add := func(ago time.Duration, n account.New) {
		r.ago(ago)
		_, _, failed := a.Create(ctx, n)
		err = errors.Join(err, failed)
		a.Note(ctx, account.Entry{Name: "anna", Via: account.ViaSession, Address: netip.MustParseAddr("10.20.0.31"), What: "create-account", Target: n.Name, Outcome: account.Done})
	}
	add(88*day, account.New{Name: "anna", Role: account.Admin, Password: password})
	add(87*day, account.New{Name: "ci", Role: account.Operator, Expires: r.now.Add(40 * day)})
	add(60*day, account.New{Name: "bert", Role: account.Operator, Password: password})
	add(20*day, account.New{Name: "wallboard", Role: account.Viewer})
	r.chronicle(ctx, a)
	return errors.Join(err, a.Close())
}

// chronicle writes down what was done in the last days, as the API does.
func (r *room) chronicle(ctx context.Context, a *account.Accounts) {
	by := func(ago time.Duration, name string, via account.Via, from, what, target, outcome string) {
		r.ago(ago)
		a.Note(ctx, account.Entry{Name: name, Via: via, Address: netip.MustParseAddr(from), What: what, Target: target, Outcome: outcome})
	}
	named := map[string]*file{}
	for _, f := range r.files {
		named[f.name] = f
	}
	target := func(name string) string { return named[name].hash.String() + " " + name }
	by(9*day, "bert", account.ViaSession, "10.20.0.34", "upload-torrent", target("debian-13.2.0-amd64-DVD-1.iso"), account.Done)
	by(7*day, "bert", account.ViaSession, "10.20.0.34", "deactivate-transfer", target("node-image-2026.11.07.squashfs"), account.Done)
	by(4*day, "ci", account.ViaToken, "10.20.0.8", "upload-torrent", target("container-base-layers-2026w47.tar"), account.Done)
	by(4*day-time.Minute, "ci", account.ViaToken, "10.20.0.8", "deactivate-transfer", target("container-base-layers-2026w46.tar"), account.Done)
	by(4*day-2*time.Minute, "bert", account.ViaSession, "10.20.0.34", "edit-transfer", target("golden-vm-web.qcow2"), account.Done)
	by(2*day, "bert", account.ViaSession, "10.20.0.34", account.LogIn, "", account.ErrWrong.Error())
	by(2*day-10*time.Second, "bert", account.ViaSession, "10.20.0.34", account.LogIn, "", account.Done)
	for shard := 1; shard <= 4; shard++ {
		by(26*time.Hour-time.Duration(shard)*time.Second, "ci", account.ViaToken, "10.20.0.8", "upload-torrent", target(fmt.Sprintf("model-weights-v3-shard-%05d-of-00004.safetensors", shard)), account.Done)
	}
	by(5*time.Hour, "ci", account.ViaToken, "10.20.0.8", "upload-torrent", target("postgres-basebackup-orders-2026-11-21.tar.zst"), account.Done)
	by(5*time.Hour-time.Second, "wallboard", account.ViaToken, "10.20.0.61", "delete-torrent", named["kernel-6.12.57-packages.tar.zst"].hash.String(), "403 this is for the role operator; wallboard is viewer: ask an admin for more")
	by(50*time.Minute, "anna", account.ViaSession, "10.20.0.31", account.LogIn, "", account.Done)
	by(50*time.Minute-20*time.Second, "anna", account.ViaSession, "10.20.0.31", "deactivate-transfer", target("node-image-2026.11.14.squashfs"), account.Done)
	by(47*time.Minute, "ci", account.ViaToken, "10.20.0.8", "upload-torrent", target(imageName), account.Done)
}

// remember makes the figures of the last day, by letting a day pass in a bubble of time.
func (r *room) remember(t *testing.T, data string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Until(r.now.Add(-day))
		clock := func() time.Time { return time.Now().Add(ahead) }
		p := &past{random: rand.New(rand.NewPCG(7, 7)), peers: float64(len(r.peers)), active: float64(len(r.files) - 4)}
		l, err := timeline.Open(t.Context(), timeline.Options{
			Series: pastSeries, Path: filepath.Join(data, "timeline.db"), Now: clock,
			Read: func(readings []float64) { p.read(readings, r.now.Sub(clock())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), day)
		defer cancel()
		l.Run(ctx)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pastSeries are figures of the tracker that have a past, by the names that it knows
// them by.
var pastSeries = []timeline.Series{
	{Name: "announces", Kind: timeline.Rate},
	{Name: "announces_udp", Kind: timeline.Rate},
	{Name: "announces_http", Kind: timeline.Rate},
	{Name: "told", Kind: timeline.Rate},
	{Name: "scrapes", Kind: timeline.Rate},
	{Name: "completed", Kind: timeline.Rate},
	{Name: "located", Kind: timeline.Rate},
	{Name: "unlocated", Kind: timeline.Rate},
	{Name: "refused", Kind: timeline.Rate},
	{Name: "passive", Kind: timeline.Rate},
	{Name: "limited", Kind: timeline.Rate},
	{Name: "shed", Kind: timeline.Rate},
	{Name: "http_failures", Kind: timeline.Rate},
	{Name: "malformed", Kind: timeline.Rate},
	{Name: "bad_connection_ids", Kind: timeline.Rate},
	{Name: "store_failures", Kind: timeline.Rate},
	{Name: "overflowed", Kind: timeline.Rate},
	{Name: "swarms"},
	{Name: "peers"},
	{Name: "seeders"},
	{Name: "leechers"},
	{Name: "active_transfers"},
	{Name: "memory"},
}

// past makes up figures.
type past struct {
	random        *rand.Rand
	peers, active float64 // now
	counts        [17]float64
}

// step is how many seconds lie between two readings.
const step = 10

// read fills in what the figures were so long ago.
func (p *past) read(readings []float64, ago time.Duration) {
	hours := ago.Hours()
	noise := func(part float64) float64 { return 1 + part*(p.random.Float64()-0.5) }
	crowd := 0.42 + 0.12*math.Sin(hours/3.1) + 0.58*max(0, 1-hours/0.85) // of the peers of now: the roll-out is what is new
	udp, http := 31*noise(0.1), 38*(0.35+0.65*crowd)*noise(0.12)
	rates := [17]float64{
		udp + http, udp, http, 26 * http * noise(0.05), 1.7 * noise(0.8), 0.42 * crowd * noise(0.9),
		http, udp * 0.94, 0, 0.2 * noise(0.3), 0, 0, 0, 0, 0, 0, 0,
	}
	if p.random.IntN(40) == 0 {
		rates[13] = 0.3
	}
	if p.random.IntN(25) == 0 {
		rates[14], rates[12] = 0.4, 0.1
	}
	for i, rate := range rates {
		p.counts[i] += rate * step
		readings[i] = p.counts[i]
	}
	peers := math.Round(p.peers * min(1, crowd))
	seeders := math.Round(peers * (0.55 + 0.2*min(1, hours)))
	copy(readings[17:], []float64{19, peers, seeders, peers - seeders, p.active, (61 + 9*crowd) * (1 << 20) * noise(0.01)})
}
