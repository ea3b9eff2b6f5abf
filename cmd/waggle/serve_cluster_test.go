//go:build !function

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
	builder "waggle/internal/binary"
	"waggle/internal/clustertest"
)

// buildProgram returns the path of the program that these tests are of.
func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "waggle")
	if err := builder.Build("../..", program, nil); err != nil {
		t.Fatal(err)
	}
	return program
}

// clusterFlags returns those with which instances find each other on loopback.
func clusterFlags(t *testing.T) (flags []string, peers string) {
	t.Helper()
	peers = clustertest.Group(t).String()
	return []string{
		"--cluster-group", clustertest.Group(t).String(), "--cluster-peers", peers, "--cluster-interface", "lo",
		"--cluster-secret-file", secretFile(t, "0123456789abcdef0123456789abcdef"),
	}, peers
}

// member is an instance in a process of its own.
type member struct {
	process *exec.Cmd
	lines   []string
	log     *syncBuffer
	console *client.Client
	at      string // the URL of the console
}

func startMember(t *testing.T, program string, flags []string) *member {
	t.Helper()
	args := append([]string{"serve", "--store", "memory:", "--listen-udp", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--listen-console", "127.0.0.1:0"}, flags...)
	m := &member{process: exec.CommandContext(t.Context(), program, args...), log: new(syncBuffer)}
	m.process.Stderr = m.log
	out, err := m.process.StdoutPipe()
	if err == nil {
		err = m.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.process.Process.Kill() // unless it has ended
		_ = m.process.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		m.lines = append(m.lines, lines.Text())
		if url, ok := strings.CutPrefix(lines.Text(), "console (this machine only): "); ok {
			m.at = url
			if m.console, err = client.New(url, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.console.Close)
		}
		if strings.HasPrefix(lines.Text(), "ready") {
			return m
		}
	}
	t.Fatalf("it was never ready:\n%s", m.log)
	return nil
}

func (m *member) url(t *testing.T, scheme string) string {
	return (&serving{lines: m.lines}).url(t, scheme)
}

func (m *member) cluster(t *testing.T) client.Cluster {
	t.Helper()
	v, err := m.console.Cluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// agree waits until instances are a cluster of their own, and returns the master and a slave.
func agree(t *testing.T, all ...*member) (master, slave *member) {
	t.Helper()
	eventually(t, "they are one cluster", func() bool {
		master, slave = nil, nil
		for _, m := range all {
			v := m.cluster(t)
			if !v.Serving || v.Electing || len(v.Members) != len(all)-1 {
				return false
			}
			switch {
			case v.Role == client.ClusterSlave:
				slave = m
			case master != nil:
				return false
			default:
				master = m
			}
			for i := range v.Members {
				if s := v.Members[i].State; s != "" && s != "equal" {
					return false
				}
			}
		}
		return master != nil
	})
	return master, slave
}

func without(all []*member, one *member) []*member {
	return slices.DeleteFunc(slices.Clone(all), func(m *member) bool { return m == one })
}

// groupPeer asks a multicast group.
type groupPeer struct {
	t     *testing.T
	conn  *net.UDPConn
	group netip.AddrPort
	id    uint64
}

func newGroupPeer(t *testing.T, group string) *groupPeer {
	t.Helper()
	conn := clustertest.Socket(t)
	return &groupPeer{t: t, conn: conn, group: netip.MustParseAddrPort(group)}
}

func (p *groupPeer) ask(b []byte) bittorrent.UDPResponse {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(b, p.group); err != nil {
		p.t.Fatal(err)
	}
	answer := make([]byte, 2048)
	_ = p.conn.SetReadDeadline(time.Now().Add(14 * time.Second)) // before it would ask again
	for {
		n, err := p.conn.Read(answer)
		if err != nil {
			p.t.Fatalf("the group does not answer: %v", err)
		}
		r, err := bittorrent.ParseUDPResponse(answer[:n])
		if err != nil {
			p.t.Fatal(err)
		}
		if r.TransactionID == binary.BigEndian.Uint32(b[12:]) { // and not once more to what was asked before
			return r
		}
	}
}

func (p *groupPeer) connect(magic uint64) {
	p.t.Helper()
	b := bittorrent.AppendUDPConnect(nil, 1)
	binary.BigEndian.PutUint64(b, magic)
	var err error
	if p.id, err = p.ask(b).ConnectionID(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *groupPeer) announce(port uint16) (got bittorrent.AnnounceResponse) {
	p.t.Helper()
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, PeerID: bittorrent.PeerID{byte(port)}, Left: 1, Port: port, NumWant: -1}
	if err := p.ask(bittorrent.AppendUDPAnnounce(nil, p.id, uint32(port), &a, "/announce")).Announce(false, &got); err != nil {
		p.t.Fatal(err)
	}
	return got
}

// incomplete returns how many peers a tracker counts.
func incomplete(t *testing.T, announceURL string) string {
	t.Helper()
	scrape := strings.Replace(announceURL, "/announce", "/scrape", 1) + "?" + string(bittorrent.AppendHTTPScrape(nil, []bittorrent.InfoHash{{1}}))
	_, after, _ := bytes.Cut(get(t, scrape), []byte("10:incompletei"))
	count, _, _ := bytes.Cut(after, []byte("e"))
	return string(count)
}

// TestClusterOutlivesItsMaster is three programs that are killed and started again.
func TestClusterOutlivesItsMaster(t *testing.T) {
	program := buildProgram(t)
	flags, group := clusterFlags(t)
	var all []*member
	for range 3 {
		all = append(all, startMember(t, program, flags))
	}
	master, slave := agree(t, all...)
	p := newGroupPeer(t, group)
	p.connect(bittorrent.DocumentMagic)
	if r := p.announce(7001); r.Incomplete != 1 {
		t.Errorf("%+v", r)
	}
	if r := (&serving{lines: slave.lines}).announce(t, ""); r.Incomplete != 2 || r.Peers.Len() != 1 {
		t.Errorf("a slave answers its client with %+v", r)
	}
	want := func(n string, of ...*member) {
		t.Helper()
		for _, m := range of {
			if got := incomplete(t, m.url(t, "http")); got != n {
				t.Errorf("%s counts %s peers, want %s", m.url(t, "http"), got, n)
			}
		}
	}
	want("2", all...)

	if err := master.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = master.process.Wait()
	began := time.Now()
	if r := p.announce(7002); r.Incomplete != 3 { // with the connection id of the dead one
		t.Errorf("%+v", r)
	}
	t.Logf("announces went on after %v", time.Since(began).Round(10*time.Millisecond))
	all = without(all, master)
	agree(t, all...)
	want("3", all...)

	back := startMember(t, program, flags)
	all = append(all, back)
	master, _ = agree(t, all...)
	if master == back {
		t.Error("the one that was started last is master")
	}
	p.connect(bittorrent.ConnectMagic)
	p.announce(7003)
	want("4", all...)
	if strings.Contains(string(get(t, master.at+"/metrics")), "waggle_udp_connects_total 0\n") {
		t.Error("what comes by the group of the peers is not counted")
	}

	if err := master.console.StepDown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another one is master", func() bool { return master.cluster(t).Role == client.ClusterSlave })
	master, slave = agree(t, all...)
	if err := slave.console.StepDown(t.Context()); err == nil || !strings.Contains(err.Error(), "is no master") {
		t.Errorf("a slave steps down: %v", err)
	}
	out, _, err := output(t.Context(), newClusterCommand(), "--console", slave.at)
	if err != nil || !strings.Contains(out, "announces are taken in; 4 peers known") || strings.Count(out, "slave") != 2 {
		t.Errorf("waggle cluster: %v\n%s", err, out)
	}
	out, _, err = output(t.Context(), newClusterCommand(), "--json", "--console", slave.at)
	var shown client.Cluster
	if err != nil || json.Unmarshal([]byte(out), &shown) != nil || shown.Peers != 4 || shown.PeersGroup != group {
		t.Errorf("waggle cluster --json: %v\n%s", err, out)
	}
	if _, _, err := output(t.Context(), newClusterCommand(), "leave", "--console", master.at); err != nil {
		t.Error(err)
	}
	if v := master.cluster(t); v.Role != client.ClusterLeft {
		t.Errorf("%+v", v)
	}
	agree(t, without(all, master)...)
	p.announce(7004)
	want("5", without(all, master)...)
	for _, m := range all {
		if err := m.process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := m.process.Wait(); err != nil || !strings.Contains(m.log.String(), "nothing was lost") {
			t.Errorf("%v\n%s", err, m.log)
		}
	}
}
