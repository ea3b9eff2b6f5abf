package locality

import (
	"context"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"waggle/internal/freeport"
)

func newDNS(t *testing.T, o DNSOptions) *DNS {
	t.Helper()
	d, err := NewDNS(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// wantPath asks a source, and wants a path, or an error that says something.
func wantPath(t *testing.T, s Source, address, want, wantError string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := s.Locate(ctx, netip.MustParseAddr(address))
	if got != want || (err == nil) != (wantError == "") || err != nil && !strings.Contains(err.Error(), wantError) {
		t.Errorf("%v says %q, %v of %s; want %q, %q", s, got, err, address, want, wantError)
	}
}

func TestTXTRecordOfARealNameServerIsThePath(t *testing.T) {
	server := nameServer(t)
	d := newDNS(t, DNSOptions{TXT: "{reversed}.loc.example", Server: server})
	if d.String() != "dns TXT {reversed}.loc.example at "+server {
		t.Error(d)
	}
	wantPath(t, d, "192.0.2.1", "ams1/row3/r12", "")
	wantPath(t, d, "192.0.2.2", "ams1/row3/r13", "")
	wantPath(t, d, "192.0.2.3", "", "3.2.0.192.loc.example has 2 TXT records; keep one")
	wantPath(t, d, "192.0.2.4", "r12", "")
	wantPath(t, d, "192.0.2.5", "a/b/\x1b[31m", "")
	wantPath(t, d, "192.0.2.7", "ams1/row3/r12", "")
	wantPath(t, d, "192.0.2.8", "", "")                                                 // there, but not as TXT
	wantPath(t, d, "192.0.2.9", strings.Repeat("x", 200)+strings.Repeat("y", 2000), "") // over TCP
	wantPath(t, d, "192.0.2.11", `Zürich/"3"/r\12`, "")
	wantPath(t, d, "192.0.2.99", "", "") // not there
	wantPath(t, d, "2001:db8::1", "ams1/row3/r6", "")
	wantPath(t, newDNS(t, DNSOptions{TXT: "{reversed}.elsewhere.example", Server: server}), "192.0.2.1", "",
		"name server "+server+" answers REFUSED for 1.2.0.192.elsewhere.example")
	wantPath(t, newDNS(t, DNSOptions{TXT: strings.Repeat("x", 64) + ".{reversed}", Server: server}), "192.0.2.1", "", "is no domain name")
}

func TestLOCRecordOfARealNameServerIsTurnedIntoAPath(t *testing.T) {
	server := nameServer(t)
	d := newDNS(t, DNSOptions{LOC: "{reversed}.loc.example", Path: "{lat.1},{long.1}/{lat.4},{long.4}/{alt}", Server: server})
	wantPath(t, d, "192.0.2.6", "52.3,4.8/52.3731,4.8922/-3", "")
	wantPath(t, d, "192.0.2.10", "-33.9,-151.3/-33.8600,-151.2112/0", "") // rounded down, which is south and west
	wantPath(t, d, "192.0.2.1", "", "")
	wantPath(t, d, "192.0.2.99", "", "")
}

func TestReverseNameOfARealNameServerTellsTheLocation(t *testing.T) {
	server := nameServer(t)
	tree := newTree(t)
	o := HostnameOptions{Pattern: `[^.]+\.(?P<rack>r\d+)-(?P<row>row\d+)\.(?P<site>[a-z0-9]+)\.dc\.example`, Server: server}
	h, err := NewHostname(tree, o)
	if err != nil {
		t.Fatal(err)
	}
	wantPath(t, h, "192.0.2.1", "ams1/row3/r12", "")
	wantPath(t, h, "192.0.2.2", "ams1/row3/r12", `its name "forged.r12-row3.ams1.dc.example." does not lead back to 192.0.2.2`)
	wantPath(t, h, "192.0.2.3", "", "")
	wantPath(t, h, "192.0.2.4", "ams1/row3/r13", "") // by its second name
	wantPath(t, h, "192.0.2.5", "ams1/row3/r12", "does not lead back")
	wantPath(t, h, "192.0.2.99", "", "")
	wantPath(t, h, "2001:db8::1", "ams1/row3/r12", "")
	wantPath(t, h, "198.51.100.1", "", "REFUSED")
	o.Unconfirmed = true
	if h, err = NewHostname(tree, o); err != nil {
		t.Fatal(err)
	}
	wantPath(t, h, "192.0.2.2", "ams1/row3/r12", "")

	l, err := New(tree, Options{Sources: []Source{h}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeLocator(t, l)
	if g := l.Locate(t.Context(), netip.MustParseAddr("192.0.2.4")); g == nil || g.Path() != "ams1/row3/r13" {
		t.Errorf("located in %v", g)
	}
	l.wantHost(t, netip.MustParseAddr("192.0.2.4"), "h4.r13-row3.ams1.dc.example")
}

func TestNameServerThatIsSilentIsAskedAgainUntilTheTimeIsUp(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	d := newDNS(t, DNSOptions{TXT: "{reversed}.loc.example", Server: silent.LocalAddr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = d.Locate(ctx, here)
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 30*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	packet := make([]byte, 2000)
	if err := silent.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, _, err := silent.ReadFrom(packet); err != nil {
			t.Errorf("packet %d: %v", i, err)
		}
	}
}

func TestNextNameServerIsAskedWhereOneFails(t *testing.T) {
	server := nameServer(t)
	d := newDNS(t, DNSOptions{TXT: "{reversed}.loc.example", Server: server})
	d.resolver.servers = []string{freeport.Address(t), server}
	wantPath(t, d, "192.0.2.1", "ams1/row3/r12", "")
}

// TestAnswerToAnotherQuestionIsRefused has a server that answers with the right id, but of another
// name, as somebody would who guesses ids.
func TestAnswerToAnotherQuestionIsRefused(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		answer := new(dns.Msg).SetReply(asked)
		answer.Question[0].Name = "other.example."
		record, err := dns.NewRR(`other.example. 60 IN TXT "a/b/c"`)
		if err != nil {
			t.Error(err)
		}
		answer.Answer = []dns.RR{record}
		_ = w.WriteMsg(answer)
	})}
	served := make(chan error, 1)
	go func() { served <- server.ActivateAndServe() }()
	d := newDNS(t, DNSOptions{TXT: "{reversed}.loc.example", Server: conn.LocalAddr().String()})
	wantPath(t, d, "192.0.2.1", "", "answers another question")
	_ = server.Shutdown()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestDNSOptionsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		o    DNSOptions
		want string
	}{
		{DNSOptions{}, "dns: give one of txt and loc"},
		{DNSOptions{TXT: "a", LOC: "b"}, "dns: give one of txt and loc"},
		{DNSOptions{TXT: "{ip}.x"}, "dns: name: {ip} is none of {reversed}, {arpa}"},
		{DNSOptions{LOC: "{arpa}"}, "dns: path is empty"},
		{DNSOptions{LOC: "{arpa}", Path: "{lat.8}"}, "dns: path: {lat.8} has no number of decimals from 0 to 7"},
		{DNSOptions{LOC: "{arpa}", Path: "{lat.+1}"}, "dns: path: {lat.+1} has no number of decimals from 0 to 7"},
		{DNSOptions{LOC: "{arpa}", Path: "{height}"}, "dns: path: {height} is none of {lat}, {long} and {alt}, perhaps with decimals as in {lat.2}"},
		{DNSOptions{TXT: "{arpa}", Server: "udp://x"}, `dns: server "udp://x" is neither a host nor host:port`},
	} {
		if _, err := NewDNS(c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	for _, pattern := range []string{"(", "(?P<rack>a)(?P<row>b)", ""} {
		if _, err := NewHostname(newTree(t), HostnameOptions{Pattern: pattern, Server: "127.0.0.1"}); err == nil {
			t.Errorf("%q is taken", pattern)
		}
	}
	if _, err := NewHostname(treeOf(t, "data centre"), HostnameOptions{Pattern: "(?P<data_centre>.*)", Server: "::1"}); err != nil {
		t.Error(err)
	}
}

func TestServersOfTheSystemAreAskedWithoutOneOfOurOwn(t *testing.T) {
	if _, err := os.Stat(resolvConf); err != nil {
		if _, err := newResolver(""); err == nil {
			t.Error("there are servers without " + resolvConf)
		}
		return
	}
	r, err := newResolver("")
	if err == nil && len(r.servers) == 0 || err != nil && !strings.Contains(err.Error(), "name one with server") {
		t.Errorf("%v, %v", r, err)
	}
	for server, want := range map[string]string{"ns": "ns:53", "192.0.2.1": "192.0.2.1:53", "::1": "[::1]:53", "[::1]:5353": "[::1]:5353"} {
		if r, err := newResolver(server); err != nil || r.String() != want {
			t.Errorf("%s: %v, %v", server, r, err)
		}
	}
}

func TestAddressIsReversedForZones(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.17":  "17.2.0.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		_, arpa := reversed(netip.MustParseAddr(address))
		if theirs, err := dns.ReverseAddr(address); arpa != want || err != nil || theirs != arpa+"." {
			t.Errorf("%s is %s; the library has %s, %v", address, arpa, theirs, err)
		}
	}
}

// FuzzLOC reads any bytes as the data of a LOC record. Its numbers are those of the floating-point
// formula.
func FuzzLOC(f *testing.F) {
	f.Add([]byte{0, 0x12, 0x16, 0x13, 0x8b, 0x3c, 0x21, 0x10, 0x81, 0x0c, 0x9b, 0x60, 0, 0x98, 0x95, 0x86}, byte(4))
	f.Add([]byte{0, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x98, 0x96, 0x80}, byte(0))
	f.Add([]byte{1, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}, byte(7))
	f.Add([]byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, byte(3))
	f.Fuzz(func(t *testing.T, data []byte, decimals byte) {
		wire := append([]byte{0, 0, 29, 0, 1, 0, 0, 0, 0, 0, byte(len(data))}, data...)
		record, _, err := dns.UnpackRR(wire, 0)
		if err != nil || len(data) > 255 {
			return
		}
		loc, ok := record.(*dns.LOC)
		if !ok {
			return
		}
		p, err := placeOf(loc)
		if err != nil {
			return
		}
		digits := string('0' + decimals%8)
		for name, want := range map[string]float64{
			"lat": float64(p.lat) / perDegree, "long": float64(p.long) / perDegree, "alt": float64(p.alt) / 100,
		} {
			text, err := p.value(name + "." + digits)
			if err != nil {
				t.Fatal(err)
			}
			if whole, rest, _ := strings.Cut(text, "."); len(rest) != int(decimals%8) || whole == "" {
				t.Errorf("%s has not %s decimals", text, digits)
			}
			step := math.Pow10(-int(decimals % 8))
			if got := parseFloat(t, text); got > want+step/1e3 || got < want-step-step/1e3-1e-9 {
				t.Errorf("%s is %s of %f", name, text, want)
			}
		}
		if math.Abs(float64(p.lat)) > 90*perDegree || math.Abs(float64(p.long)) > 180*perDegree {
			t.Errorf("%+v is no place", p)
		}
	})
}

func parseFloat(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
