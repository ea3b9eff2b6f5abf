package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waggle/internal/freeport"
	"waggle/locality"
	"waggle/store/redis"
)

// The servers that most tests share, each test with a prefix of its own.
var (
	alone   *node
	cluster []*node
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "waggle-redis")
		if err != nil {
			fail(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		alone = mustLaunch(filepath.Join(dir, "alone"))
		defer alone.stop()
		cluster, err = launchCluster(dir, 3, 0, "--cluster-node-timeout", "60000") // none of these goes, however busy the machine is
		defer stopAll(cluster)
		if err != nil {
			fail(err)
		}
		code := m.Run()
		// The client closes the connections of a node that is gone after five seconds, and
		// ends a delay between questions for all nodes when it is over.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
			goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return code
	}())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// node is a redis-server of the test's.
type node struct {
	dir  string
	port uint16
	args []string
	cmd  *exec.Cmd
}

func (n *node) address() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

func (n *node) url() string { return "redis://" + n.address() }

// launch starts a server on a free port.
func launch(dir string, args ...string) (*node, error) {
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	n := &node{dir: dir, port: port, args: args}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return n, n.start()
}

// launched is stopped with the test.
func launched(t testing.TB, args ...string) *node {
	t.Helper()
	n, err := launch(t.TempDir(), args...)
	t.Cleanup(n.stop)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustLaunch(dir string, args ...string) *node {
	n, err := launch(dir, args...)
	if err != nil {
		fail(err)
	}
	return n
}

// start starts it, again on the same port, and waits until it answers.
func (n *node) start() error {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("redis-server is missing: run make setup (%w)", err)
	}
	n.cmd = exec.Command(program, append([]string{"--port", fmt.Sprint(n.port), "--bind", "127.0.0.1", "--dir", n.dir, "--save", "", "--loglevel", "warning"}, n.args...)...)
	log := filepath.Join(n.dir, "log")
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	n.cmd.Stdout, n.cmd.Stderr = file, file
	err = n.cmd.Start()
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if out, _ := n.cli("PING"); strings.Contains(out, "PONG") || strings.Contains(out, "NOAUTH") {
			return nil
		}
		time.Sleep(25 * time.Millisecond) // until a process listens, there is nothing to wait for
	}
	n.stop()
	said, _ := os.ReadFile(log)
	return fmt.Errorf("redis-server does not answer: %s", said)
}

// stop kills it, as a machine's end would.
func (n *node) stop() {
	if n != nil && n.cmd != nil && n.cmd.Process != nil {
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

func stopAll(nodes []*node) {
	for _, n := range nodes {
		n.stop()
	}
}

// cli runs redis-cli.
func (n *node) cli(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-p", fmt.Sprint(n.port)}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// launchCluster starts a cluster of so many masters, with replicas of each.
func launchCluster(dir string, masters, replicas int, args ...string) (nodes []*node, err error) {
	create := []string{"--cluster", "create"}
	for i := range masters * (1 + replicas) {
		n, err := launch(filepath.Join(dir, fmt.Sprint("node", i)), append([]string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-config-file", "nodes.conf", "--repl-diskless-sync-delay", "0",
		}, args...)...)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, n)
		create = append(create, n.address())
	}
	create = append(create, "--cluster-replicas", fmt.Sprint(replicas), "--cluster-yes")
	if out, err := nodes[0].cli(create...); err != nil {
		return nodes, fmt.Errorf("no cluster: %w: %s", err, out)
	}
	end := time.Now().Add(patience)
	for _, n := range nodes {
		for {
			out, _ := n.cli("CLUSTER", "INFO")
			if strings.Contains(out, "cluster_state:ok") && strings.Contains(out, fmt.Sprintf("cluster_known_nodes:%d", len(nodes))) {
				break
			}
			if time.Now().After(end) {
				return nodes, fmt.Errorf("no cluster: %s", out)
			}
			time.Sleep(25 * time.Millisecond) // it tells nobody when it is ready
		}
	}
	return nodes, nil
}

func urlOf(nodes []*node) string {
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.address())
	}
	return "redis+cluster://" + strings.Join(addresses, ",")
}

var prefixes atomic.Int64

// newPrefix is one that no other test has.
func newPrefix() string { return fmt.Sprintf("t%d", prefixes.Add(1)) }

// options are those of a store of the test's, with located peers.
func options(t testing.TB, url, prefix string) redis.Options {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := locality.NewTree(100, "rack")
	if err != nil {
		t.Fatal(err)
	}
	o.Prefix, o.Group, o.Seed = prefix, tree.Group, [2]uint64{1, 2}
	return o
}

func open(t testing.TB, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// opened is closed with the test.
func opened(t testing.TB, o redis.Options) *redis.Store {
	t.Helper()
	s := open(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
