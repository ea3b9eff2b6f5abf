package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"waggle/internal/binary"
)

// scratch is a directory for what all tests share; it goes when they end.
var scratch string

// remedy installs what the tests need.
const remedy = "run `make setup`, which installs it"

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

// runTests ends what the tests share when they have ended.
func runTests(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "waggle-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		return 1
	}
	scratch = dir
	defer func() {
		for _, end := range slices.Backward(ends) {
			err = errors.Join(err, end())
		}
		if err = errors.Join(err, remove(dir)); err != nil {
			fmt.Fprintln(os.Stderr, "browser:", err)
			code = max(code, 1)
		}
	}()
	// A binary with the race detector waits for its last races for a tenth of a second. The
	// browser's profile goes with all else.
	err = errors.Join(os.Setenv("GORACE", strings.TrimSpace("atexit_sleep_ms=100 "+os.Getenv("GORACE"))), os.Setenv("TMPDIR", dir))
	if err != nil {
		return 1
	}
	return m.Run()
}

// remove removes a directory, into which processes that are about to end may still write.
func remove(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		<-time.After(100 * time.Millisecond)
	}
	return err
}

// ends end what tests share, the last first.
var (
	ends     []func() error
	endsLock sync.Mutex
)

// atEnd has something done when all tests have ended.
func atEnd(end func() error) {
	endsLock.Lock()
	defer endsLock.Unlock()
	ends = append(ends, end)
}

// waggle returns the path of the binary under test, which is built once.
var waggle = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CONSOLE_WAGGLE"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(scratch, "waggle")
	return path, binary.Build("../..", path, buildFlags)
})

// chromium returns a context of chromedp with the browser that all tests share. It asks
// for no name but those of this machine.
var chromium = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("chromium not found: %s", remedy)
	}
	home := filepath.Join(scratch, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	allocator, release := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.WindowSize(wide, high),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-crash-reporter", true), chromedp.Flag("disable-quic", true), chromedp.Flag("lang", "en-GB"),
		chromedp.Flag("disable-features", "Translate,MediaRouter,DialMediaRouteProvider,OptimizationHints"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)...)
	ctx, cancel := chromedp.NewContext(allocator)
	atEnd(func() error {
		defer release()
		defer cancel()
		limited, stop := context.WithTimeout(ctx, patience)
		defer stop()
		return chromedp.Cancel(limited)
	})
	return ctx, chromedp.Do(ctx)
})
