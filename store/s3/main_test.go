package s3

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"waggle/internal/freeport"
	"waggle/swarm"
)

// The servers of these tests. Each test has a prefix of its own in their bucket.
var versitygw, minio *testServer

const (
	testKey    = "waggle-test-key"
	testSecret = "waggle-test-secret"
	testBucket = "tracker"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runWithServers(m))
}

func runWithServers(m *testing.M) int {
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		return m.Run() // what is fuzzed needs none
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": testKey, "AWS_SECRET_ACCESS_KEY": testSecret, "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	var err error
	if versitygw, err = startServer("versitygw", func(address, dir string) []string {
		return []string{"--quiet", "--port", address, "posix", dir}
	}, "ROOT_ACCESS_KEY="+testKey, "ROOT_SECRET_KEY="+testSecret); err == nil {
		defer versitygw.stop()
		if minio, err = startServer("minio", func(address, dir string) []string {
			return []string{"server", "--quiet", "--address", address, "--console-address", "127.0.0.1:0", dir}
		}, "MINIO_ROOT_USER="+testKey, "MINIO_ROOT_PASSWORD="+testSecret, "MINIO_UPDATE=off"); err == nil {
			defer minio.stop()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// -rapid.checks on the command line is left as it is.
	if !isSet("rapid.checks") {
		if err := flag.Set("rapid.checks", histories); err != nil {
			panic(err)
		}
	}
	servers := goleak.IgnoreCurrent() // what waits for them
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(servers); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// testServer is a server that was started here.
type testServer struct {
	name, endpoint string
	stop           func()
}

// untilEOF runs a program until standard input ends, which it does also where this
// process dies.
const untilEOF = `"$@" & child=$!; read _; kill $child; wait $child`

// startServer starts a program on a free port, on a directory of its own, and makes the
// bucket.
func startServer(program string, args func(address, dir string) []string, environment ...string) (*testServer, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%s is missing (%w): run make setup", program, err)
	}
	dir, err := os.MkdirTemp("", "waggle-"+program)
	if err != nil {
		return nil, err
	}
	port, err := freeport.Find()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.CommandContext(context.Background(), "sh", append([]string{"-c", untilEOF, "sh", path}, args(address, dir)...)...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Dir = dir
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &testServer{name: program, endpoint: "http://" + address}
	s.stop = func() {
		_ = input.Close()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	if err := s.makeBucket(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s does not work: %w\n%s", program, err, said)
	}
	return s, nil
}

// makeBucket waits until the server answers.
func (s *testServer) makeBucket() error {
	b, err := newAmazon(context.Background(), new(s.options("any").withDefaults()))
	if err != nil {
		return err
	}
	defer b.close()
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := b.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(testBucket)})
		cancel()
		if err == nil || time.Since(began) > 2*time.Minute {
			return err
		}
		time.Sleep(50 * time.Millisecond) // a program that starts cannot be waited for otherwise
	}
}

// options are patient: a machine that tests everything at once is slow.
func (s *testServer) options(prefix string) Options {
	return Options{
		Bucket: testBucket, Prefix: prefix, Region: "us-east-1", Endpoint: s.endpoint, PartAge: -1,
		Attempt: 10 * time.Second, Patience: 30 * time.Second,
	}
}

var prefixes atomic.Int64

// newPrefix returns options with a prefix of its own.
func (s *testServer) newPrefix() Options { return s.options(fmt.Sprintf("p%04d", prefixes.Add(1))) }

// open opens a store, and closes it with the test if the test does not.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// announced is the announce of peer n, a leecher on IPv4 that wants 50.
func announced(torrent byte, n int) *swarm.Announce {
	a := &swarm.Announce{From: ip4(n), Now: time.Unix(1_700_000_000, 0), Families: swarm.IPv4 | swarm.IPv6}
	a.InfoHash[0], a.InfoHash[19] = torrent, torrent
	copy(a.PeerID[:], fmt.Sprintf("-WG0001-%012d", n))
	a.Port, a.Left, a.NumWant, a.Key = uint16(1000+n%60000), 1<<20, 50, uint32(n)
	return a
}

func do(t testing.TB, s swarm.Store, a *swarm.Announce) *swarm.Reply {
	t.Helper()
	r := new(swarm.Reply)
	if err := s.Announce(context.Background(), a, r); err != nil {
		t.Fatalf("Announce: %v", err)
	}
	return r
}

func ip4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
