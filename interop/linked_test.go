package interop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/internal/freeport"
)

// A node is a waggle that is linked with others, over starts and ends of its process.
// All that it keeps is in its directory.
type node struct {
	*tracker
	name  string
	host  host
	dir   string // what it keeps of links
	flags []string
	ended bool       // by the test, without a word: how it ends says nothing
	lives []*process // all that it was
}

// newNode starts a tracker that others know by a name, with its swarms in memory.
func newNode(t *testing.T, name string, flags ...string) *node {
	t.Helper()
	return newNodeOn(t, loopback4, name, flags...)
}

func newNodeOn(t *testing.T, h host, name string, flags ...string) *node {
	t.Helper()
	n := &node{name: name, host: h, dir: t.TempDir()}
	n.flags = append([]string{
		"--store", "memory:", "--listen-console", "127.0.0.1:0", "--link-name", name, "--link-directory", n.dir,
	}, flags...)
	n.begin(t)
	t.Cleanup(func() {
		_ = n.cmd.Process.Signal(syscall.SIGCONT) // in case it is frozen
		if err := n.stop(); err != nil && !n.ended {
			t.Errorf("%s after SIGTERM: %v; want exit status 0", name, err)
		}
		for _, life := range n.lives {
			if slices.Contains(life.stderr.lines(), "WARNING: DATA RACE") {
				t.Errorf("%s reported a data race", name)
			}
		}
	})
	return n
}

// begin starts the tracker. What it was before has ended.
func (n *node) begin(t *testing.T) {
	t.Helper()
	n.tracker = launchTracker(t, n.host, n.flags...)
	n.process.name, n.ended = n.name, false
	n.lives = append(n.lives, n.process)
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
	return newNode(t, name, append([]string{"--link-listen", freeport.Address(t)}, flags...)...)
}

// invite returns the line that a leaf joins with, whose rights flags may limit.
func (n *node) invite(t *testing.T, leaf string, flags ...string) string {
	t.Helper()
	line := n.command(t, append([]string{"link", "invite", leaf}, flags...)...)
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "waggle-link-") {
		t.Fatalf("waggle link invite printed %q, want one line", line)
	}
	return line
}

// command runs a command of waggle that asks the tracker's console.
func (n *node) command(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, slices.Concat([]string{waggle(t)}, args, []string{"--console", consoleOf(t, n.tracker)})...)
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

// A nodeLinks is what the API of a tracker, and "waggle links --json", have of its links,
// as far as tests look at it.
type nodeLinks struct {
	Name    string
	Hub     string
	Links   []nodeLink
	Invited []struct{ Name string }
}

type nodeLink struct {
	Name, Role, State, Why string
	Peers, Capped          int
}

// find returns the link with a tracker, or, by the name hub, with the one that was joined.
func (l *nodeLinks) find(name string) (nodeLink, bool) {
	i := slices.IndexFunc(l.Links, func(one nodeLink) bool { return one.Name == name || one.Role == name })
	if i < 0 {
		return nodeLink{}, false
	}
	return l.Links[i], true
}

// links asks the API.
func (n *node) links(t *testing.T) (l nodeLinks) {
	t.Helper()
	answer, err := n.http.Get(consoleOf(t, n.tracker) + "/api/v1/links")
	if err != nil {
		t.Fatalf("%s: %v", n.name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(&l); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: its API answers %s: %v", n.name, answer.Status, err)
	}
	return l
}

// waitForState waits until a link of the tracker has one of some states, and returns it.
func (n *node) waitForState(t *testing.T, limit time.Duration, link string, states ...string) (is nodeLink) {
	t.Helper()
	return n.waitForLink(t, limit, link, strings.Join(states, " or "), func(l nodeLink) bool { return slices.Contains(states, l.State) })
}

// waitForLink waits until a link of the tracker is as it should be, and returns it.
func (n *node) waitForLink(t *testing.T, limit time.Duration, link, how string, good func(nodeLink) bool) (is nodeLink) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("at %s the link %s is %s", n.name, link, how), func() error {
		all := n.links(t)
		var found bool
		if is, found = all.find(link); !found || !good(is) {
			return fmt.Errorf("it has %+v", all)
		}
		return nil
	})
	return is
}

// waitForRefusal waits until one end says of a link that it is refused, and why.
func (n *node) waitForRefusal(t *testing.T, link, why string) {
	t.Helper()
	n.waitForLink(t, healLimit, link, fmt.Sprintf("refused: %q", why), func(l nodeLink) bool {
		return l.State == "refused" && strings.Contains(l.Why, why)
	})
}

// said waits until the log of a tracker has some words.
func (n *node) said(t *testing.T, words string) {
	t.Helper()
	logged(t, n.name, &n.stderr, words)
}

// logged waits until a log has some words.
func logged(t *testing.T, whose string, log *output, words string) {
	t.Helper()
	eventually(t, healLimit, fmt.Sprintf("the log of %s says %q", whose, words), func() error {
		lines := log.lines()
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, words) }) {
			return fmt.Errorf("not in %d lines", len(lines))
		}
		return nil
	})
}

// linkedNodes starts a hub and three leaves, and links them with the lines of invitations
// alone. The hub is the first.
func linkedNodes(t *testing.T) []*node {
	t.Helper()
	hub := newHub(t, "ams")
	all := []*node{hub}
	for _, name := range []string{"fra", "lon", "par"} {
		all = append(all, newNode(t, name))
	}
	link(t, hub, all[1:]...)
	return all
}

// link makes trackers leaves of a hub, and waits until both ends are content.
func link(t *testing.T, hub *node, leaves ...*node) {
	t.Helper()
	for _, leaf := range leaves {
		if err := leaf.join(t, hub.invite(t, leaf.name)); err != nil {
			t.Fatal(err)
		}
	}
	linked(t, hub, leaves...)
}

// linked waits until both ends of a hub's links are content.
func linked(t *testing.T, hub *node, leaves ...*node) {
	t.Helper()
	for _, leaf := range leaves {
		leaf.waitForState(t, 20*time.Second, hub.name, "active")
		hub.waitForState(t, 20*time.Second, leaf.name, "active")
	}
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

// movesWithin is more than the time in which a peer that comes to one tracker and leaves
// another has moved, whichever was said first.
const movesWithin = time.Second

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
