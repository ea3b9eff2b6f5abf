package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/config"
	"waggle/internal/freeport"
	"waggle/swarm"
)

// startRedis starts a Redis on loopback, and returns the URL of a store in it.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: make setup, or apt-get install redis-server")
	}
	port := fmt.Sprint(freeport.For(t))
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if said = append(said, lines.Text()); strings.Contains(lines.Text(), "Ready to accept connections") {
			return "redis://127.0.0.1:" + port + "/0"
		}
	}
	t.Fatalf("redis-server was never ready:\n%s", strings.Join(said, "\n"))
	return ""
}

func TestRequestsToAStoreOnANetworkAreCountedEverywhere(t *testing.T) {
	s := startServe(t, "--store", startRedis(t), "--locality-sources", "subnets: "+racksFile(t, "127.1.0.0/16,r1"))
	s.announceFrom(t, "127.1.0.1", 0)
	text := s.scrape(t, `waggle_announces_total{protocol="http"} 1`)
	for _, want := range []string{
		`waggle_store_info{kind="redis"} 1`, `waggle_store_attempts_failed_total{reason="unanswered"} 0`, `waggle_store_refused_total 0`, `waggle_store_rosters 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	wantTable(t, text, true)
	for _, operation := range []string{"script", "read"} {
		if series := `waggle_store_requests_total{operation="` + operation + `"} `; !strings.Contains(text, series) || strings.Contains(text, series+"0\n") {
			t.Errorf("none of %s", series)
		}
	}
	o, err := s.client(t, "").Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range o.Figures {
		names = append(names, f.Name)
	}
	for _, want := range remoteOverTime {
		if !slices.Contains(names, want.Name) {
			t.Errorf("the overview has no %s", want.Name)
		}
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "store_requests=") {
		t.Errorf("the log does not tell:\n%s", s.log)
	}
}

func TestFunctionAsksItsStoreNothingBetweenEvents(t *testing.T) {
	f := startFunction(t, "WAGGLE_STORE="+startRedis(t))
	f.ask(t, "GET", functionAnnounce, nil)
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "document.Follow") {
		t.Errorf("something asks what others change, also while the process stands still, or is about to:\n%s", stacks)
	}
}

func TestFunctionShowsHowLargeItsStoreIsAtOnce(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	f := startFunction(t, "WAGGLE_STORE="+startRedis(t), "WAGGLE_CONSOLE_TOKEN_FILE="+secretFile(t, secret+"\n"))
	f.ask(t, "GET", functionAnnounce, nil)
	for range 2 { // while the console is opened, and when it is open
		f.known.mu.Lock()
		f.known.last, f.known.asked = swarm.Totals{}, time.Time{} // long ago
		f.known.mu.Unlock()
		got := f.ask(t, "GET", "/api/v1/overview", withToken(secret))
		if !strings.Contains(got.Body.String(), `"name":"peers","unit":"","key":"limits.peers","used":1,`) {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
}

func TestStoreWhoseCatalogueCannotBeReadIsSaidToBeSo(t *testing.T) {
	url := startRedis(t)
	s, err := openRemote(t.Context(), config.StoreURL(url), remoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"accounts/head", "catalog/head"} {
		if _, err := s.Documents().Put(t.Context(), name, []byte(`{"schema":99,"number":1}`), ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := runStore(t, "check", url); err == nil || !strings.Contains(err.Error(), "newer waggle") {
			t.Errorf("with a newer %s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
