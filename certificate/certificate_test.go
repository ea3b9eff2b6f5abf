package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"

	"waggle/internal/authority"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds a wait for what comes for sure.
const patience = 2 * time.Minute

// written is a log.
type written struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// running are certificates that are kept, and their log.
type running struct {
	*Certificates
	log *written
}

// run opens certificates and keeps them. Nothing is looked at but what the system tells of, unless
// change says otherwise.
func run(t *testing.T, change func(*Options), pairs ...Pair) *running {
	t.Helper()
	log := new(written)
	o := Options{Pairs: pairs, Log: slog.New(slog.NewTextHandler(log, nil)), Quiet: time.Millisecond, Look: 24 * time.Hour}
	if change != nil {
		change(&o)
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	keeping.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		keeping.Wait()
	})
	return &running{c, log}
}

// until waits for something that comes for sure.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// shown returns the name that a handshake is shown which asks for one.
func (r *running) shown(t *testing.T, asked string) string {
	t.Helper()
	client, server := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- tls.Server(server, r.Config()).Handshake() }()
	c := tls.Client(client, &tls.Config{ServerName: asked, InsecureSkipVerify: true})
	err := c.Handshake()
	if err = errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	_ = server.Close()
	v := validity(&tls.Certificate{Leaf: c.ConnectionState().PeerCertificates[0]}, "")
	return v.Name
}

// write writes a pair for names into a folder.
func write(t *testing.T, a *authority.Authority, folder string, names ...string) Pair {
	t.Helper()
	certificate, key := a.Write(t, folder, names...)
	return Pair{certificate, key}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReplacedFilesAreTakenForNewHandshakes(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	r := run(t, nil, write(t, a, folder, "one.example"))
	if got := r.shown(t, "one.example"); got != "one.example" {
		t.Fatalf("at first it is %s", got)
	}
	for _, name := range []string{"two.example", "three.example"} {
		write(t, a, folder, name)
		until(t, name+" is shown", func() bool { return r.shown(t, name) == name })
	}
	if log := r.log.String(); !strings.Contains(log, "a certificate was replaced") || !strings.Contains(log, "name=three.example") {
		t.Errorf("log: %s", log)
	}
}

// TestLinksThatLeadElsewhereAreFollowed replaces files as certbot does, by links to others, and as
// Kubernetes does, by one link to another folder.
func TestLinksThatLeadElsewhereAreFollowed(t *testing.T) {
	a := authority.New(t)
	link := func(t *testing.T, target, path string) {
		t.Helper()
		if err := errors.Join(os.Symlink(target, path+".new"), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("certbot", func(t *testing.T) {
		root := t.TempDir()
		live := Pair{filepath.Join(root, "live", "cert.pem"), filepath.Join(root, "live", "key.pem")}
		renew := func(folder, name string) {
			folder = filepath.Join(root, folder)
			if err := errors.Join(os.MkdirAll(folder, 0o700), os.MkdirAll(filepath.Join(root, "live"), 0o700)); err != nil {
				t.Fatal(err)
			}
			files := write(t, a, folder, name)
			link(t, files.Certificate, live.Certificate)
			link(t, files.Key, live.Key)
		}
		renew("1", "one.example")
		r := run(t, nil, live)
		for n, name := range []string{"two.example", "three.example"} {
			renew(string(rune('2'+n)), name)
			until(t, name+" is shown", func() bool { return r.shown(t, name) == name })
		}
	})
	t.Run("Kubernetes", func(t *testing.T) {
		root := t.TempDir()
		renew := func(folder, name string) {
			folder = filepath.Join(root, folder)
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, a, folder, name)
			link(t, folder, filepath.Join(root, "..data"))
		}
		renew("..1", "one.example")
		mounted := Pair{filepath.Join(root, "tls.crt"), filepath.Join(root, "tls.key")}
		link(t, "..data/fullchain.pem", mounted.Certificate)
		link(t, "..data/privkey.pem", mounted.Key)
		r := run(t, nil, mounted)
		for n, name := range []string{"two.example", "three.example"} {
			renew("..2"+string(rune('0'+n)), name)
			until(t, name+" is shown", func() bool { return r.shown(t, name) == name })
		}
	})
}

func TestChangesThatTheSystemDoesNotTellOfAreFound(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	r := run(t, func(o *Options) {
		o.Look = time.Millisecond
		o.watch = func() (*fsnotify.Watcher, error) { return nil, errors.New("not here") }
	}, write(t, a, folder, "one.example"))
	write(t, a, folder, "two.example")
	until(t, "two.example is shown", func() bool { return r.shown(t, "two.example") == "two.example" })
}

func TestBrokenFilesAreToldOfOnceAndLeaveTheOldOnesInForce(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	files := write(t, a, folder, "one.example")
	_, otherKey := a.Today(t, "other.example")
	r := run(t, func(o *Options) { o.Look = time.Millisecond }, files)
	for _, broken := range []struct {
		path    string
		content []byte
		want    string
	}{
		{files.Certificate, []byte("rubbish"), files.Certificate},
		{files.Key, nil, files.Key},
		{files.Key, otherKey, "does not match"},
		{files.Certificate, bytes.Repeat([]byte("x"), maxFile+1), "more than 1024 KiB"},
	} {
		write(t, a, folder, "one.example")
		until(t, "it is healthy", func() bool { return r.Figures().Healthy })
		failures := r.Figures().Failures
		writeFile(t, broken.path, broken.content)
		until(t, "it is not healthy", func() bool { return !r.Figures().Healthy })
		if got := r.shown(t, "one.example"); got != "one.example" {
			t.Errorf("%s: %s is shown", broken.want, got)
		}
		until(t, "the log says "+broken.want, func() bool { return strings.Contains(r.log.String(), broken.want) })
		if r.Figures().Failures == failures {
			t.Errorf("%s does not count", broken.want)
		}
	}
	write(t, a, folder, "one.example")
	until(t, "it is healthy", func() bool { return r.Figures().Healthy })
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	until(t, "the log says that the key is gone", func() bool { return strings.Contains(r.log.String(), "no such file") })
	said := strings.Count(r.log.String(), "no such file")
	for range 3 {
		r.look()
	}
	if again := strings.Count(r.log.String(), "no such file"); again != said {
		t.Errorf("it is said %d times, and then %d", said, again)
	}
	write(t, a, folder, "two.example")
	until(t, "two.example is shown", func() bool { return r.shown(t, "two.example") == "two.example" && r.Figures().Healthy })
}

// TestHalfWrittenFilesAreNotTaken has a chain written in two steps, of which the first is a certificate, too, and
// files looked at in between.
func TestHalfWrittenFilesAreNotTaken(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	files := write(t, a, folder, "one.example")
	log := new(written)
	c, err := Open(Options{Pairs: []Pair{files}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := a.Today(t, "two.example")
	chain := append(bytes.Clone(certificate), certificate...)
	lengths := func() int { return len((*c.shown.Load())[0].Certificate) }
	name := func() string { return (*c.shown.Load())[0].Leaf.DNSNames[0] }
	writeFile(t, files.Key, key)
	if c.look() || name() != "one.example" || log.String() != "" {
		t.Errorf("with another key %s is shown, and the log says %s", name(), log)
	}
	writeFile(t, files.Certificate, chain[:len(certificate)])
	if c.look() || name() != "one.example" {
		t.Errorf("half of it is shown, of %s", name())
	}
	writeFile(t, files.Certificate, chain)
	if c.look() || name() != "one.example" {
		t.Errorf("at once %s is shown", name())
	}
	if !c.look() || name() != "two.example" || lengths() != 2 {
		t.Errorf("in the end %d of %s are shown", lengths(), name())
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "was replaced") || c.Figures().Failures != 0 {
		t.Errorf("log: %s", text)
	}
	// What was there at a look long ago does not count.
	writeFile(t, files.Certificate, certificate)
	if c.look() || lengths() != 2 {
		t.Error("half of it is taken at once")
	}
	writeFile(t, files.Certificate, chain)
	if !c.look() {
		t.Error("what is in force has to settle")
	}
	writeFile(t, files.Certificate, certificate)
	if c.look() || lengths() != 2 {
		t.Error("what was there long ago is taken at once")
	}
}

// TestFloodOfNotificationsDoesNotEndThem has the system lose some, which it tells of.
func TestFloodOfNotificationsDoesNotEndThem(t *testing.T) {
	a, folder := authority.New(t), t.TempDir()
	made := make(chan *fsnotify.Watcher, 1)
	r := run(t, func(o *Options) {
		o.watch = func() (*fsnotify.Watcher, error) {
			w, err := fsnotify.NewWatcher()
			made <- w
			return w, err
		}
	}, write(t, a, folder, "one.example"))
	faults := (<-made).Errors
	for range 3 {
		select {
		case faults <- fsnotify.ErrEventOverflow:
		case <-time.After(patience):
			t.Fatal("nobody hears of it")
		}
	}
	write(t, a, folder, "two.example")
	until(t, "two.example is shown", func() bool { return r.shown(t, "two.example") == "two.example" })
}

func TestNameThatIsAskedForChoosesTheCertificate(t *testing.T) {
	a := authority.New(t)
	one, two := write(t, a, t.TempDir(), "one.example", "*.one.example"), write(t, a, t.TempDir(), "two.example")
	r := run(t, nil, one, two)
	for asked, want := range map[string]string{"one.example": "one.example", "a.one.example": "one.example", "two.example": "two.example", "three.example": "one.example", "": "one.example"} {
		if got := r.shown(t, asked); got != want {
			t.Errorf("%q gets %s, want %s", asked, got, want)
		}
	}
	if names := r.Names(); strings.Join(names, " ") != "one.example two.example" {
		t.Errorf("names: %q", names)
	}
}

func TestOtherFilesAreTakenAllOrNone(t *testing.T) {
	a := authority.New(t)
	one, two := write(t, a, t.TempDir(), "one.example"), write(t, a, t.TempDir(), "two.example")
	r := run(t, nil, one)
	if _, err := r.Read([]Pair{two, {"missing.pem", "missing.key"}}); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("missing files: %v", err)
	}
	if got := r.shown(t, ""); got != "one.example" {
		t.Errorf("%s is shown", got)
	}
	use, err := r.Read([]Pair{two})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.shown(t, ""); got != "one.example" {
		t.Errorf("before they are used %s is shown", got)
	}
	use()
	if got := r.shown(t, ""); got != "two.example" {
		t.Errorf("%s is shown", got)
	}
}

func TestWithoutAnyCertificateNothingIsOpened(t *testing.T) {
	if _, err := Open(Options{}); err == nil || !strings.Contains(err.Error(), "there is no certificate") {
		t.Error(err)
	}
	missing := Pair{filepath.Join(t.TempDir(), "a.pem"), "a.key"}
	if _, err := Open(Options{Pairs: []Pair{missing}}); err == nil || !strings.Contains(err.Error(), missing.Certificate) {
		t.Error(err)
	}
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	a := authority.New(t)
	r := run(t, nil, write(t, a, t.TempDir(), "one.example"))
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	ended := make(chan error, 1)
	go func() {
		ended <- tls.Server(server, r.Config()).Handshake()
		_ = server.Close()
	}()
	c := tls.Client(client, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
	if err := c.Handshake(); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if err := <-ended; err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

func TestCertificateThatEndsSoonIsWarnedOfOnceADay(t *testing.T) {
	const day = 24 * time.Hour
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	a := authority.New(t)
	for _, test := range []struct {
		name     string
		lifetime time.Duration
		at       time.Duration // after it began
		want     string
	}{
		{"a quarter of a year, in time", 90 * day, 75 * day, ""},
		{"a quarter of a year, late", 90 * day, 77 * day, "expires soon"},
		{"a week, in time", 7 * day, 5 * day, ""},
		{"a week, late", 7 * day, 6 * day, "expires soon"},
		{"over", 7 * day, 8 * day, "has expired"},
		{"not begun", 7 * day, -3 * day, "not valid yet"},
	} {
		folder := t.TempDir()
		files := Pair{filepath.Join(folder, "a.pem"), filepath.Join(folder, "a.key")}
		certificate, key := a.Issue(t, began, test.lifetime, "one.example")
		writeFile(t, files.Certificate, certificate)
		writeFile(t, files.Key, key)
		log, now := new(written), began.Add(test.at)
		c, err := Open(Options{Pairs: []Pair{files}, Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		c.warn()
		c.warn()
		lines := strings.Count(log.String(), "\n")
		if test.want == "" && lines != 0 || test.want != "" && (lines != 1 || !strings.Contains(log.String(), test.want) || !strings.Contains(log.String(), files.Certificate)) {
			t.Errorf("%s: %q", test.name, log)
		}
		now = now.Add(day)
		c.warn()
		if again := strings.Count(log.String(), "\n"); test.want != "" && again != 2 {
			t.Errorf("%s: after a day there are %d lines", test.name, again)
		}
	}
}
