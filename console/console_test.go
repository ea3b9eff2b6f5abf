package console_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waggle/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) string {
	t.Helper()
	c, err := console.Listen(t.Context(), "127.0.0.1:0", console.Options{Figures: func() any { return map[string]int{"announces": 7} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c.Addr().String()
}

func getAs(t *testing.T, url, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestFiguresAreJSON(t *testing.T) {
	address := listen(t)
	status, body := getAs(t, "http://"+address+"/figures", address)
	var figures map[string]int
	if err := json.Unmarshal([]byte(body), &figures); status != 200 || err != nil || figures["announces"] != 7 {
		t.Errorf("status %d, %q, %v", status, body, err)
	}
}

func TestHeapAndCPUProfilesAreReachable(t *testing.T) {
	address := listen(t)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1", "/debug/pprof/profile?seconds=1"} {
		if status, body := getAs(t, "http://"+address+path, address); status != 200 || body == "" {
			t.Errorf("%s: status %d, %d bytes", path, status, len(body))
		}
	}
}

func TestRequestForAnotherHostIsRefused(t *testing.T) {
	address := listen(t)
	for host, want := range map[string]int{address: 200, "localhost:1": 200, "[::1]:1": 200, "evil.example": 403, "evil.example:6970": 403, "192.0.2.1": 403} {
		if status, _ := getAs(t, "http://"+address+"/figures", host); status != want {
			t.Errorf("host %s: status %d, want %d", host, status, want)
		}
	}
}

func TestAddressThatOthersCouldReachIsRefused(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		if _, err := console.Listen(t.Context(), address, console.Options{}); !errors.Is(err, console.ErrPublic) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v, want ErrPublic", address, err)
		}
	}
}
