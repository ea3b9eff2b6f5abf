package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/internal/freeport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked lets a client ask a server for a transfer, and returns the error.
func asked(t *testing.T, answer http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	c, err := client.New(server.URL, "the-token-of-the-test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Transfer(t.Context(), bittorrent.InfoHash{1})
	return err
}

func TestClientSaysThatNobodyListens(t *testing.T) {
	address := freeport.Address(t)
	c, err := client.New("http://"+address, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Transfers(t.Context()); !errors.Is(err, client.ErrNobody) || !strings.HasPrefix(err.Error(), "http://"+address+": nobody listens there") {
		t.Errorf("got %v", err)
	}
}

func TestProblemOfTheTrackerIsTheError(t *testing.T) {
	err := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/transfers/0100000000000000000000000000000000000000" || r.Header.Get("Authorization") != "Bearer the-token-of-the-test" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"status":409,"title":"Conflict","detail":"it is known","info_hash":"02","errors":[{"message":"expected","location":"query.x"}]}`)
	})
	problem, ok := errors.AsType[*client.Problem](err)
	if !ok || problem.Status != 409 || problem.InfoHash != "02" || !strings.HasSuffix(err.Error(), ": it is known; query.x expected") {
		t.Errorf("got %v, %+v", err, problem)
	}
}

func TestAnswerOfSomethingElseIsNotTakenForTheTrackers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"web page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"plain error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusBadGateway) },
		"broken problem": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", client.ProblemType)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "{")
		},
	} {
		if err := asked(t, answer); err == nil || !strings.Contains(err.Error(), "not") || !strings.Contains(err.Error(), "as waggle does") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientDoesNotCarryItsTokenElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it went there") }))
	defer elsewhere.Close()
	err := asked(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	if err == nil || !strings.Contains(err.Error(), "sends nobody elsewhere") {
		t.Errorf("got %v", err)
	}
}

func TestClientStopsWithItsContext(t *testing.T) {
	asking := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asking)
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asking
		cancel()
	}()
	if _, err := c.Transfers(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestURLThatIsNoConsoleIsRefused(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:6970", "udp://127.0.0.1:6969", "http://", "http://a b"} {
		if _, err := client.New(url, ""); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:6970") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
