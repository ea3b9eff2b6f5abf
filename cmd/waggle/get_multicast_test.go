//go:build !function

package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/frontend/udp"
	"waggle/store/memory"
	"waggle/torrent"
	"waggle/tracker"
)

// twoInstances are those behind a multicast group on loopback. All hear requests,
// and the master answers, as one tracker in the test would.
type twoInstances struct {
	url      string
	device   string
	master   atomic.Int32
	answered [2]atomic.Int32 // requests, by instance
	done     sync.WaitGroup
}

func startCluster(t *testing.T) *twoInstances {
	t.Helper()
	store := memory.New(memory.Options{})
	decides := tracker.New(store, tracker.Settings{Interval: time.Minute, NumWant: 50, MaxNumWant: 50, PeerLifetime: time.Hour}, tracker.Options{})
	answers, err := udp.Listen(t.Context(), []string{"127.0.0.1:0"}, udp.Options{Tracker: decides})
	if err != nil {
		t.Fatal(err)
	}
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	c := &twoInstances{device: lo.Name}
	group := &net.UDPAddr{IP: net.IPv4(239, 192, 0, 69)}
	var ears []*net.UDPConn
	for i := range c.answered {
		ear, err := net.ListenMulticastUDP("udp4", lo, group)
		if err != nil {
			t.Fatal(err)
		}
		group.Port = ear.LocalAddr().(*net.UDPAddr).Port
		own, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(1+i))})
		if err != nil {
			t.Fatal(err)
		}
		ears = append(ears, ear, own)
		c.done.Go(func() { c.listen(i, ear, own, net.UDPAddrFromAddrPort(answers.Addrs()[0])) })
	}
	c.url = "udp://" + group.String() + "/announce"
	t.Cleanup(func() {
		for _, conn := range ears {
			err = errors.Join(err, conn.Close())
		}
		c.done.Wait()
		if err := errors.Join(err, answers.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *twoInstances) listen(i int, ear, own *net.UDPConn, tracker *net.UDPAddr) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := ear.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if int32(i) != c.master.Load() {
			continue
		}
		if answer := askTracker(tracker, buffer[:n]); answer != nil {
			_, _ = own.WriteToUDPAddrPort(answer, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			c.answered[i].Add(1)
		}
	}
}

// askTracker returns what a tracker answers to a packet.
func askTracker(at *net.UDPAddr, packet []byte) []byte {
	conn, err := net.DialUDP("udp4", nil, at)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	buffer := make([]byte, 2048)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil
	}
	if _, err := conn.Write(packet); err != nil {
		return nil
	}
	n, err := conn.Read(buffer)
	if err != nil {
		return nil
	}
	return buffer[:n]
}

func TestGetFetchesFromASeedByAClusterThatChangesItsMaster(t *testing.T) {
	program := filepath.Join(t.TempDir(), "waggle")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := startCluster(t)
	s := shared{path: filepath.Join(t.TempDir(), "image.bin"), content: bytes.Repeat([]byte("waggle "), 150_000)}
	if err := os.WriteFile(s.path, s.content, 0o644); err != nil {
		t.Fatal(err)
	}
	s.torrent = s.path + ".torrent"
	b, err := torrent.Create(t.Context(), torrent.CreateOptions{Path: s.path, Announce: [][]string{{c.url}}})
	if err == nil {
		err = os.WriteFile(s.torrent, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}

	seed := exec.CommandContext(t.Context(), program, "seed", s.torrent, "--data", filepath.Dir(s.path), "--listen", "127.0.0.1", "--multicast-interface", c.device)
	out, err := seed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	seed.Stderr = &problems
	if err := seed.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "image.bin: seeding") {
		t.Errorf("waggle seed printed %q, %v", line, err)
	}
	for deadline := time.Now().Add(30 * time.Second); c.answered[0].Load() < 2; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster has not answered the seed's connect and announce")
		}
	}
	c.master.Store(1)
	to := t.TempDir()
	get := exec.CommandContext(t.Context(), program, "get", s.torrent, "-o", to, "--listen", "127.0.0.1", "--multicast-interface", c.device)
	if out, err := get.CombinedOutput(); err != nil || bytes.Contains(out, []byte("tracker")) {
		t.Errorf("waggle get: %v\n%s", err, out)
	}
	s.want(t, to)
	if err := seed.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := seed.Wait(); err != nil || problems.Len() > 0 {
		t.Errorf("waggle seed ended with %v; it said %q", err, problems.String())
	}
	// Connect and announce, and the end of the seed; and of the other as much.
	if n := c.answered[1].Load(); n < 4 {
		t.Errorf("the second instance has answered %d requests, so that somebody else has helped", n)
	}
}

func TestMulticastFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--multicast-interface", "nosuch0"}, {"--multicast-ttl", "0"}, {"--multicast-ttl", "256"},
	} {
		for _, cmd := range peerCommands() {
			_, _, err := output(t.Context(), cmd, append([]string{"x.torrent"}, args...)...)
			if exitCode(err) != exitUsage || !strings.Contains(err.Error(), args[0]) {
				t.Errorf("%s %v: exit code %d: %v", cmd.Name(), args, exitCode(err), err)
			}
		}
	}
}
