package http_test

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	frontend "waggle/frontend/http"
)

func TestAddressKeepsNoMoreConnectionsThanItMay(t *testing.T) {
	for name, request := range map[string]string{
		"half a request":       "GET /announce?info_hash=",
		"idle after a page":    "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
		"idle after an answer": plain(1),
	} {
		s := listen(t, func(o *frontend.Options) { o.MaxPerAddress, o.Timeout = 3, time.Hour })
		var kept []*wire
		for range 3 {
			w := s.dial(t)
			w.send(request)
			if strings.HasSuffix(request, "\r\n\r\n") {
				w.answer(200)
			}
			kept = append(kept, w)
		}
		await(t, name+": three are there", func() bool { return s.Figures().Connections == 3 })
		if s.lasts(t) {
			t.Errorf("%s: a fourth connection is kept", name)
		}
		if f := s.Figures(); f.Crowded != 1 {
			t.Errorf("%s: %d connections were too many, want 1", name, f.Crowded)
		}
		_ = kept[0].conn.Close() // gives its place back
		await(t, name+": there is a place again", func() bool { return s.lasts(t) })
	}
}

func TestConnectionThatWaitsForLongestMakesRoom(t *testing.T) {
	for name, request := range map[string]string{"half a request": "GET /announce?info_hash=", "idle": plain(1)} {
		s := listen(t, func(o *frontend.Options) { o.MaxConnections, o.Timeout = 2, time.Hour })
		var kept []*wire
		for range 2 {
			w := s.dial(t)
			w.send(request)
			kept = append(kept, w)
			await(t, name+": it is there", func() bool { return s.Figures().Connections == uint64(len(kept)) })
		}
		for n := range 2 {
			w := s.dial(t)
			w.send(plain(2 + n))
			w.answer(200) // as soon as one has waited for a second
			kept = append(kept, w)
		}
		if f := s.Figures(); f.Crowded < 2 {
			t.Errorf("%s: %d made room, want 2", name, f.Crowded)
		}
		_, _ = io.Copy(io.Discard, kept[0].conn) // it ends
	}
}

// lasts reports whether a connection is answered more than once.
func (s *server) lasts(t *testing.T) bool {
	t.Helper()
	w := s.dial(t)
	defer func() { _ = w.conn.Close() }()
	for range 2 {
		_, _ = io.WriteString(w.conn, plain(1))
		response, err := http.ReadResponse(w.reader, nil)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	return true
}

// await waits for what comes for sure.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestAddressKeepsNoMoreConnectionsOverTLSThanItMay(t *testing.T) {
	s := listenSecurely(t, func(o *frontend.Options) { o.MaxPerAddress = 1 })
	first := s.dialTLS(t, nil)
	first.send(plain(1))
	first.answer(200)
	if s.attempt(nil, announceOnce) == nil {
		t.Error("a second connection is served")
	}
	_ = first.conn.Close()
	s.retry(t, nil, announceOnce)
	if f := s.Figures(); f.Crowded == 0 {
		t.Error("none was too many")
	}
}

func TestProxiesAndAddressesWithoutALimitKeepAnyNumberOfConnections(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, change := range map[string]func(*frontend.Options){
		"without a limit": func(o *frontend.Options) { o.Unlimited = netip.Addr.IsLoopback },
		"balancer":        func(o *frontend.Options) { o.Proxies = here },
		"none":            func(o *frontend.Options) { o.MaxPerAddress = 0 },
	} {
		s := listen(t, func(o *frontend.Options) {
			o.MaxPerAddress = 1
			change(o)
		})
		for range 3 {
			w := s.dial(t)
			if name == "balancer" {
				w.send(string(introduction("203.0.113.7:1000")))
			}
			w.send(plain(1))
			w.answer(200)
		}
		if f := s.Figures(); f.Crowded != 0 {
			t.Errorf("%s: %d connections were too many", name, f.Crowded)
		}
	}
}
