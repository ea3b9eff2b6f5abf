package attack

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestHeadersWithoutAnEndAreCutOff(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:")
	for _, address := range []string{tr.http, tr.console} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "GET /announce HTTP/1.1\r\nHost: %s\r\n", address[len("http://"):])
		line := []byte("X-More: " + strings.Repeat("a", 1000) + "\r\n")
		sent := 0
		for err == nil {
			var n int
			n, err = conn.Write(line)
			if sent += n; sent > 64<<20 {
				t.Fatalf("%s takes a header of 64 MiB", address)
			}
		}
	}
	wantServed(t, tr)
}
