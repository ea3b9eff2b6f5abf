package interop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A node is a waggle that is linked with others, over starts and ends of its process.
// All that it keeps is in its directory.
type node struct {
	*tracker
	name  string
	flags []string
	ended bool // by the test, without a word: how it ends says nothing
}

// newNode starts a tracker that others know by a name. What it keeps of links is in a
// directory of the test's, its swarms are in memory.
func newNode(t *testing.T, name string, flags ...string) *node {
	t.Helper()
	n := &node{name: name, flags: append([]string{
		"--store", "memory:", "--listen-console", "127.0.0.1:0", "--link-name", name, "--link-directory", t.TempDir(),
	}, flags...)}
	n.begin(t)
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGCONT) // in case it is frozen
		if err := n.stop(); err != nil && !n.ended {
			t.Errorf("%s after SIGTERM: %v; want exit status 0", name, err)
		}
		if slices.Contains(n.stderr.lines(), "WARNING: DATA RACE") {
			t.Errorf("%s reported a data race", name)
		}
	})
	return n
}

// begin starts the tracker. What it was before has ended.
func (n *node) begin(t *testing.T) {
	t.Helper()
	n.tracker = launchTracker(t, loopback4, n.flags...)
	n.process.name, n.ended = n.name, false
}

// killNine ends the tracker as a loss of power does.
func (n *node) killNine(t *testing.T) {
	t.Helper()
	n.ended = true
	n.signal(t, syscall.SIGKILL)
	<-n.exited
}

func (n *node) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// newHub starts a tracker that leaves can join, at an address that it keeps.
func newHub(t *testing.T, name string, flags ...string) *node {
	t.Helper()
	return newNode(t, name, append([]string{"--link-listen", freeAddress(t)}, flags...)...)
}

// invite returns the line that a leaf joins with.
func (n *node) invite(t *testing.T, leaf string) string {
	t.Helper()
	line := run(t, waggle(t), "link", "invite", leaf, "--console", consoleOf(t, n.tracker))
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "waggle-link-") {
		t.Fatalf("waggle link invite printed %q, want one line", line)
	}
	return line
}

// join makes the tracker a leaf. What is printed where that fails is the error.
func (n *node) join(t *testing.T, line string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), waggle(t), "link", "join", "-", "--console", consoleOf(t, n.tracker))
	cmd.Stdin = strings.NewReader(line)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("waggle link join: %w: %s", err, out)
	}
	return nil
}

// A nodeLinks is what "waggle links --json" prints, as far as tests look at it.
type nodeLinks struct {
	Name    string
	Hub     string
	Links   []nodeLink
	Invited []struct{ Name string }
}

type nodeLink struct{ Name, Role, State, Why string }

func (l *nodeLinks) find(name string) (nodeLink, bool) {
	i := slices.IndexFunc(l.Links, func(one nodeLink) bool { return one.Name == name })
	if i < 0 {
		return nodeLink{}, false
	}
	return l.Links[i], true
}

func (n *node) links(t *testing.T) (l nodeLinks) {
	t.Helper()
	out := run(t, waggle(t), "links", "--json", "--console", consoleOf(t, n.tracker))
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatalf("waggle links --json: %v: %q", err, out)
	}
	return l
}

// waitForState waits until a link of the tracker has one of some states, and returns it.
func (n *node) waitForState(t *testing.T, limit time.Duration, link string, states ...string) (is nodeLink) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("at %s the link %s is %s", n.name, link, strings.Join(states, " or ")), func() error {
		all := n.links(t)
		var found bool
		if is, found = all.find(link); !found || !slices.Contains(states, is.State) {
			return fmt.Errorf("waggle links says %+v", all)
		}
		return nil
	})
	return is
}

// linkedNodes starts a hub and three leaves, and links them with the lines of invitations
// alone. The hub is the first.
func linkedNodes(t *testing.T, flags ...string) []*node {
	t.Helper()
	hub := newHub(t, "ams", flags...)
	all := []*node{hub}
	for _, name := range []string{"fra", "lon", "par"} {
		leaf := newNode(t, name, flags...)
		all = append(all, leaf)
		if err := leaf.join(t, hub.invite(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, leaf := range all[1:] {
		leaf.waitForState(t, 20*time.Second, hub.name, "active")
		hub.waitForState(t, 20*time.Second, leaf.name, "active")
	}
	return all
}

// agree waits until all trackers answer a scrape of a torrent alike.
func agree(t *testing.T, limit time.Duration, all []*node, infoHash string, want counts) {
	t.Helper()
	began := time.Now()
	eventually(t, limit, fmt.Sprintf("all trackers count %+v", want), func() (err error) {
		for _, n := range all {
			got, failed := n.scrape(infoHash)
			if failed == nil && got != want {
				failed = fmt.Errorf("%s counts %+v", n.name, got)
			}
			err = errors.Join(err, failed)
		}
		return err
	})
	t.Logf("%d trackers agree after %v", len(all), time.Since(began).Round(10*time.Millisecond))
}

// A caller announces by itself: it is no client, and transfers nothing.
type caller struct {
	infoHash string
	port     uint16 // by which it is told from others
	left     int
}

// announce has the tracker know of a caller, and returns the answer.
func (n *node) announce(c caller, event string) (string, error) {
	hash, err := hex.DecodeString(c.infoHash)
	if err != nil {
		return "", fatal{err}
	}
	query := url.Values{
		"info_hash": {string(hash)}, "peer_id": {fmt.Sprintf("-XX0001-%012d", c.port)}, "port": {fmt.Sprint(c.port)},
		"left": {fmt.Sprint(c.left)}, "compact": {"1"}, "numwant": {"50"}, "event": {event},
	}
	body, err := n.get("/announce?" + query.Encode())
	if err == nil && strings.Contains(body, "failure reason") {
		err = fmt.Errorf("announce: %q", body)
	}
	return body, err
}

// come has callers announce that they have come.
func (n *node) come(t *testing.T, callers ...caller) {
	t.Helper()
	for _, c := range callers {
		if _, err := n.announce(c, "started"); err != nil {
			t.Fatalf("%s: %v", n.name, err)
		}
	}
}

// compact is how a caller stands in an answer.
func (c caller) compact() string {
	return string(append(ipv4Loopback.AsSlice(), byte(c.port>>8), byte(c.port)))
}
