//go:build lab

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
)

// A getter is a waggle get that is under way.
type getter struct {
	*process
	says lastLine
	dir  string
}

// startGet has a host fetch a file at so many bytes a second.
func (l *lan) startGet(t *testing.T, h *host, file *payload, rate int64) *getter {
	t.Helper()
	g := &getter{dir: t.TempDir()}
	g.process = start(t, h.namespace, g.dir, &g.says, nil, l.instances[0].waggle, "get", file.path, "-o", g.dir,
		"--listen", h.addr.String(), "--down", fmt.Sprint(rate), "--json")
	return g
}

// startSeed has a host seed a file, and waits until the cluster knows.
func (l *lan) startSeed(ctx context.Context, t *testing.T, h *host, file *payload) *process {
	t.Helper()
	p := start(t, h.namespace, t.TempDir(), nil, nil, l.instances[0].waggle, "seed", file.path, "--data", file.dir,
		"--listen", h.addr.String(), "--json")
	l.counts(ctx, t, l.instances, file.hash, bittorrent.ScrapeCounts{Complete: 1})
	return p
}

// counts waits until some instances count a torrent so.
func (l *lan) counts(ctx context.Context, t *testing.T, of []*instance, hash bittorrent.InfoHash, want bittorrent.ScrapeCounts) {
	t.Helper()
	for _, in := range of {
		must(t, in.eventually(ctx, l.patience, func() error {
			all, err := in.swarms(ctx)
			if err == nil && all[hash] != want {
				err = fmt.Errorf("it counts %+v, want %+v", all[hash], want)
			}
			return err
		}))
	}
}

// has returns how many bytes the user is told that there are.
func (g *getter) has() (n int64, err error) {
	var p struct{ Have int64 }
	if text := g.says.String(); text != "" {
		err = json.Unmarshal([]byte(text), &p)
	}
	return p.Have, err
}

// until waits until so much is there.
func (g *getter) until(ctx context.Context, have int64) error {
	for {
		n, err := g.has()
		if err != nil || n >= have {
			return err
		}
		select {
		case <-g.exited:
			return fmt.Errorf("it ended with %d bytes: %s", n, g.stderr.String())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tick / 10):
		}
	}
}

// done waits for the end, and checks that the user has seen no trouble and has all bytes.
func (g *getter) done(ctx context.Context, file *payload) error {
	select {
	case <-g.exited:
	case <-ctx.Done():
		return ctx.Err()
	}
	if said := g.stderr.String(); !g.cmd.ProcessState.Success() || said != "" {
		return fmt.Errorf("%v; the user is told %q", g.cmd.ProcessState, said)
	}
	return sameFile(filepath.Join(g.dir, "file"), filepath.Join(file.dir, "file"))
}

func sameFile(a, b string) error {
	left, err := os.Open(a)
	if err != nil {
		return err
	}
	defer func() { _ = left.Close() }()
	right, err := os.Open(b)
	if err != nil {
		return err
	}
	defer func() { _ = right.Close() }()
	var x, y [1 << 20]byte
	for {
		n, errA := io.ReadFull(left, x[:])
		m, errB := io.ReadFull(right, y[:])
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("%s and %s differ", a, b)
		}
		if errA != nil || errB != nil {
			if errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF) {
				return nil
			}
			return errors.Join(errA, errB)
		}
	}
}

func downloadLength() int64 {
	if *quick {
		return 60 * megabyte
	}
	return 200 * megabyte
}

func TestClusterServesADownloadWhileItsMasterIsKilledTwice(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2)
	l.leave(ctx, t, l.download(ctx, t, 0.5))
}

// The last kill is right before the end, so that no master hears that the download is complete.
func TestClusterCountsACompletionOnceThatNoMasterHeard(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2)
	l.leave(ctx, t, l.download(ctx, t, 0.94))
}

// What those say last who leave may be lost, too.
func TestClusterServesADownloadWhereEachTenthPacketIsLost(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 2)
	restore := l.lose(t, 10)
	d := l.download(ctx, t, 0.5)
	t.Log(restore())
	l.agree(ctx, t, l.instances...)
	if n := l.same(ctx, t, l.instances...).counts[d.file.hash].Downloaded; n > 1 {
		t.Errorf("one download was completed, all count %d", n)
	}
}

// A download is what is left of one: the file, and who seeds it.
type download struct {
	file *payload
	seed *process
}

// download has a file fetched at a rate at which it takes half a minute. The master is killed
// right before the first request, which nobody answers then, and again when a part of the file
// is there.
func (l *lan) download(ctx context.Context, t *testing.T, part float64) download {
	t.Helper()
	file := newPayload(ctx, t, downloadLength()).announcedTo(ctx, t, "udp://"+peersGroup+"/announce")
	d := download{file, l.startSeed(ctx, t, l.peers[0], file)}
	first := l.master(ctx, t)
	first.kill()
	began := time.Now()
	g := l.startGet(t, l.peers[1], file, file.length/30)
	l.agree(ctx, t, but(l.instances, first)...)
	first.launch()
	must(t, g.until(ctx, 1))
	figure(t, "waggle get whose first request no master heard, until the first byte", "%s", short(time.Since(began)))
	must(t, g.until(ctx, int64(float64(file.length)*part)))
	second := l.master(ctx, t)
	second.kill()
	pause(ctx, t, 2*heldFor)
	second.launch()
	must(t, g.done(ctx, file))
	figure(t, fmt.Sprintf("waggle get of %d MB at %.1f MB/s, master killed at first and at %.0f %%: all bytes are right, and the user was told nothing, after",
		file.length/megabyte, float64(file.length)/30/megabyte, 100*part), "%s", short(time.Since(began)))
	must(t, d.seed.alive())
	if said := d.seed.stderr.String(); strings.Contains(said, "waggle:") {
		t.Errorf("who seeds is told %q", said)
	}
	return d
}

// leave checks that all instances count a download, and has who seeds it leave.
func (l *lan) leave(ctx context.Context, t *testing.T, d download) {
	t.Helper()
	l.agree(ctx, t, l.instances...)
	l.counts(ctx, t, l.instances, d.file.hash, bittorrent.ScrapeCounts{Complete: 1, Downloaded: 1})
	d.seed.quit(syscall.SIGTERM)
	l.counts(ctx, t, l.instances, d.file.hash, bittorrent.ScrapeCounts{Downloaded: 1})
	l.same(ctx, t, l.instances...)
}

// Clients that know no multicast use the addresses of two slaves.
func TestClusterServesLibtorrentAtItsSlavesAndOutlivesItsMaster(t *testing.T) {
	ctx := working(t)
	l := newLAN(ctx, t, 3)
	for _, scheme := range []string{"udp", "http"} {
		t.Run(scheme, func(t *testing.T) { l.unicast(ctx, t, scheme) })
	}
}

func (l *lan) unicast(ctx context.Context, t *testing.T, scheme string) {
	file := newPayload(ctx, t, 40*megabyte)
	master := l.master(ctx, t)
	slaves := l.slaves(ctx, t, master)
	at := func(in *instance) *payload {
		return file.announcedTo(ctx, t, fmt.Sprintf("%s://%v:%d/announce", scheme, in.host.addr, clientPort))
	}
	seeding := t.TempDir()
	must(t, os.Link(filepath.Join(file.dir, "file"), filepath.Join(seeding, "file")))
	seed := startLibtorrent(t, l.peers[0], seeding)
	must(t, seed.join(ctx, at(slaves[1])))
	t.Cleanup(seed.leave)
	l.counts(ctx, t, l.instances, file.hash, bittorrent.ScrapeCounts{Complete: 1})

	l.shape(t, l.peers[1], 20_000_000)
	began := time.Now()
	first := startLibtorrent(t, l.peers[1], t.TempDir())
	must(t, first.join(ctx, at(slaves[2])))
	t.Cleanup(first.leave)
	must(t, lacks(ctx, first, file, file.length*3/4))
	figure(t, "libtorrent at a slave over "+scheme+", a quarter fetched from one at another slave", "%s", short(time.Since(began)))
	master.kill()
	killed := time.Now()
	second := startLibtorrent(t, l.peers[2], t.TempDir())
	must(t, second.join(ctx, at(slaves[3])))
	t.Cleanup(second.leave)
	must(t, lacks(ctx, second, file, file.length-1))
	figure(t, "libtorrent that joins over "+scheme+" right after a kill -9 of the master, until the first piece", "%s", short(time.Since(killed)))
	must(t, lacks(ctx, first, file, 0))
	must(t, lacks(ctx, second, file, 0))
	l.counts(ctx, t, but(l.instances, master), file.hash, bittorrent.ScrapeCounts{Complete: 3, Downloaded: 2})
	master.launch()
	l.agree(ctx, t, l.instances...)
	l.same(ctx, t, l.instances...)
	l.shape(t, l.peers[1], hostRate)
}

// lacks waits until a client lacks so much, or less.
func lacks(ctx context.Context, c client, file *payload, most int64) error {
	ticker := time.NewTicker(tick / 10)
	defer ticker.Stop()
	for over := time.After(2 * time.Minute); ; {
		left, err := c.left(ctx, file)
		if err != nil || left <= most {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return fmt.Errorf("it still lacks %d bytes", left)
		case <-ticker.C:
		}
	}
}

// shape gives what goes to a host another rate.
func (l *lan) shape(t *testing.T, h *host, rate int) {
	t.Helper()
	args := strings.Replace(shaped(portOf(h), rate), "add", "replace", 1)
	run(t, "tc", append([]string{"-n", l.rig.name + "-fabric"}, strings.Fields(args)...)...)
}
