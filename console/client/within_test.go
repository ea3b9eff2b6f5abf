package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
)

type whoKey struct{}

func TestRequestsWithinCarryTheContextOfWhoAsks(t *testing.T) {
	var got any
	c := client.Within(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Context().Value(whoKey{})
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/version" || r.RequestURI != "/api/v1/version" {
			t.Errorf("asked %s %s (%s)", r.Method, r.URL.Path, r.RequestURI)
		}
		_, _ = io.WriteString(w, `{"name":"waggle","version":"1.2.3"}`)
	}))
	v, err := c.Version(context.WithValue(t.Context(), whoKey{}, "ada"))
	if err != nil || v.Version != "1.2.3" {
		t.Errorf("got %+v, %v", v, err)
	}
	if got != "ada" {
		t.Errorf("the handler was asked by %v", got)
	}
}

func TestProblemsWithinAreThoseOfTheAPI(t *testing.T) {
	c := client.Within(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", client.ProblemType)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"title":"Not Found","detail":"no such torrent"}`)
	}))
	_, err := c.Transfer(t.Context(), bittorrent.InfoHash{1})
	if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != http.StatusNotFound || p.Detail != "no such torrent" {
		t.Errorf("got %v", err)
	}
}

func TestBodiesWithinArriveWhole(t *testing.T) {
	sent := []byte(strings.Repeat("x", 100_000))
	c := client.Within(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || len(b) != len(sent) || r.ContentLength != int64(len(sent)) {
			t.Errorf("%d bytes of %d arrived, %v", len(b), r.ContentLength, err)
		}
		if err := http.NewResponseController(w).SetReadDeadline(time.Now()); err != nil {
			t.Errorf("a deadline is refused: %v", err)
		}
		_, _ = fmt.Fprintf(w, `{"info_hash":"%040d"}`, 7)
	}))
	_, err := c.Upload(t.Context(), "a.torrent", sent)
	if err != nil {
		t.Error(err)
	}
}

func TestAnEndedContextAsksNobodyWithin(t *testing.T) {
	c := client.Within(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was asked") }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Version(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerWithinIsBounded(t *testing.T) {
	c := client.Within(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b := make([]byte, 1<<20)
		for range 1 << 10 {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
		t.Error("a gibibyte was taken")
	}))
	if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("got %v", err)
	}
}
