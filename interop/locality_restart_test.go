package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"waggle/bittorrent"
)

// located is a client of a roll-out, which announces over HTTP from an address of its
// own.
type located struct {
	addr netip.AddrPort
	rack int
	left int
	told []netip.AddrPort // at its last announce, in order
}

// rollout is a seeder in a rack of its own, and some racks of hosts that lack all.
type rollout struct {
	hash    bittorrent.InfoHash
	clients []*located
}

const (
	rolloutRacks = 4
	rolloutHosts = 5 // of a rack: few enough for all of a rack to be told of each other
	rolloutSize  = 1_000_000
)

func newRollout() *rollout {
	r := &rollout{hash: bittorrent.InfoHash{0x10, 19: 7}}
	add := func(rack, host, left int) {
		ip := netip.AddrFrom4([4]byte{127, 1, byte(rack), byte(host)})
		r.clients = append(r.clients, &located{addr: netip.AddrPortFrom(ip, 6881), rack: rack, left: left})
	}
	add(0, 1, 0)
	for host := range rolloutHosts {
		for rack := range rolloutRacks {
			add(1+rack, 1+host, rolloutSize)
		}
	}
	return r
}

// rackFile writes which rack each address is in.
func (r *rollout) rackFile(t *testing.T, path string) {
	t.Helper()
	var lines strings.Builder
	for rack := range rolloutRacks + 1 {
		fmt.Fprintf(&lines, "127.1.%d.0/24, r%d\n", rack, rack)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// announce lets a client announce, and sets whom it is told of.
func (c *located) announce(tracker string, h bittorrent.InfoHash) error {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.addr.Addr(), 0))}
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true,
	}}
	ip := c.addr.Addr().As4()
	a := bittorrent.AnnounceRequest{
		InfoHash: h, PeerID: bittorrent.PeerID{'-', 18: ip[2], 19: ip[3]}, Port: c.addr.Port(), NumWant: 50,
		Left: int64(c.left), Downloaded: int64(rolloutSize - c.left), Uploaded: int64(rolloutSize - c.left),
	}
	asked := string(bittorrent.AppendHTTPAnnounce([]byte(tracker+"?"), &a))
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, asked, nil)
	if err != nil {
		return fatal{err}
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var reply bittorrent.AnnounceResponse
	if err := bittorrent.ParseHTTPAnnounceResponse(body, &reply); err != nil {
		return fatal{fmt.Errorf("%q: %w", body, err)}
	}
	c.told = c.told[:0]
	for addr := range reply.Peers.All() {
		c.told = append(c.told, addr)
	}
	slices.SortFunc(c.told, netip.AddrPort.Compare)
	return nil
}

// round lets all announce, after those that lack something got a little of it: the
// tracker replaces an importer that gets nothing while others do.
func (r *rollout) round(tracker string) error {
	for _, c := range r.clients {
		c.left = max(c.left-1000, 0)
		if err := c.announce(tracker, r.hash); err != nil {
			return fmt.Errorf("%v: %w", c.addr, err)
		}
	}
	return nil
}

// told returns whom everybody is told of.
func (r *rollout) told() map[netip.AddrPort]string {
	all := map[netip.AddrPort]string{}
	for _, c := range r.clients {
		all[c.addr] = fmt.Sprint(c.told)
	}
	return all
}

// outside returns whom each client is told of in other racks.
func (r *rollout) outside() map[netip.AddrPort][]netip.AddrPort {
	all := map[netip.AddrPort][]netip.AddrPort{}
	for _, c := range r.clients {
		for _, addr := range c.told {
			if int(addr.Addr().As4()[2]) != c.rack {
				all[c.addr] = append(all[c.addr], addr)
			}
		}
	}
	return all
}

// settle lets all announce until everybody is told of the same as the time before, so
// that what changes afterwards changed by a restart.
func (r *rollout) settle(t *testing.T, tracker string) {
	t.Helper()
	eventually(t, patience, "everybody is told of the same again", func() error {
		before := r.told()
		if err := r.round(tracker); err != nil {
			return err
		}
		if !maps.Equal(before, r.told()) {
			return errors.New("somebody is told of others")
		}
		return nil
	})
}

// checkImporters checks that one client of each rack is told of others outside of it.
func (r *rollout) checkImporters(t *testing.T) {
	t.Helper()
	importers := map[int][]netip.AddrPort{}
	for _, c := range r.clients {
		if len(r.outside()[c.addr]) > 0 {
			importers[c.rack] = append(importers[c.rack], c.addr)
		}
	}
	for rack := range rolloutRacks + 1 {
		if len(importers[rack]) != 1 {
			t.Errorf("%v of rack %d are told of others outside of it, want one of them", importers[rack], rack)
		}
	}
}

// awaitJournal waits until the file has all that was said so far. Of torrents that lie
// together the journal writes what waits, then their roles, and comes to them again after
// that: two announces that follow, of another torrent beside this one, are written in turn.
func (r *rollout) awaitJournal(t *testing.T, tracker, file string) {
	t.Helper()
	beside := r.hash
	beside[19]++
	for n := range 2 {
		late := &located{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, 0, byte(100 + n)}), 6881), left: 1}
		if err := late.announce(tracker, beside); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, "the file has what was said", func() error {
			has, err := inFile(t.Context(), file)
			if err == nil && has[beside].peers <= n {
				err = fmt.Errorf("it has %+v", has)
			}
			return err
		})
	}
}

// TestRolesAndLeasesSurviveRestartsInTheMiddleOfARollOut kills waggle while racks
// download, and lets it end by SIGTERM the next time: each time the same hosts import
// for their racks, from the same parents, from their first announce on.
func TestRolesAndLeasesSurviveRestartsInTheMiddleOfARollOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRollout()
	r.rackFile(t, filepath.Join(dir, "racks.csv"))
	config := filepath.Join(dir, "waggle.yaml")
	const locality = "locality: {levels: [rack], sources: [{subnets: %s}], active_interval: 2s, probe_interval: 0s}\n"
	if err := os.WriteFile(config, fmt.Appendf(nil, locality, filepath.Join(dir, "racks.csv")), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "waggle.db")
	flags := []string{"--config", config, "--store", "sqlite:" + file}

	tr := launchTracker(t, loopback4, flags...)
	r.settle(t, tr.url(t, "http", ipv4Loopback))
	r.checkImporters(t)
	before := r.outside()
	r.awaitJournal(t, tr.url(t, "http", ipv4Loopback), file)
	if err := syscall.Kill(tr.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-tr.exited

	for _, after := range []string{"kill -9", "SIGTERM"} {
		tr = launchTracker(t, loopback4, flags...)
		if err := r.round(tr.url(t, "http", ipv4Loopback)); err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if got := r.outside(); !maps.EqualFunc(got, before, slices.Equal) {
			t.Errorf("after %s, told across uplinks:\n%v\nbefore:\n%v", after, got, before)
		}
		r.checkImporters(t)
		if err := tr.stop(); err != nil {
			t.Error(err)
		}
	}
}
