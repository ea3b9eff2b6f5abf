package http

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// headerOf makes a header of version 2, with whatever a proxy may add.
func headerOf(command, family byte, body []byte) []byte {
	in := append([]byte(signature), command, family)
	in = binary.BigEndian.AppendUint16(in, uint16(len(body)))
	return append(in, body...)
}

// ends are the addresses and ports of both ends of a connection.
func ends(from, to netip.AddrPort) []byte {
	body := append(from.Addr().AsSlice(), to.Addr().AsSlice()...)
	body = binary.BigEndian.AppendUint16(body, from.Port())
	return binary.BigEndian.AppendUint16(body, to.Port())
}

var (
	client4 = netip.MustParseAddrPort("203.0.113.7:51413")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:51413")
	mapped  = netip.MustParseAddrPort("[::ffff:203.0.113.7]:51413")
	none    netip.AddrPort
)

func TestHeadersSayWhomAConnectionComesFrom(t *testing.T) {
	extra := []byte{3, 0, 4, 1, 2, 3, 4} // a checksum, as some balancers add
	unix := make([]byte, 216)
	for name, test := range map[string]struct {
		in   []byte
		want netip.AddrPort
	}{
		"IPv4":               {headerOf(0x21, 0x11, ends(client4, client4)), client4},
		"IPv6":               {headerOf(0x21, 0x21, ends(client6, client6)), client6},
		"IPv4 in clothes":    {headerOf(0x21, 0x21, ends(mapped, mapped)), client4},
		"with more":          {headerOf(0x21, 0x11, append(ends(client4, client4), extra...)), client4},
		"the proxy itself":   {headerOf(0x20, 0x11, ends(client4, client4)), none},
		"itself, and empty":  {headerOf(0x20, 0x00, nil), none},
		"nobody knows":       {headerOf(0x21, 0x00, extra), none},
		"a local socket":     {headerOf(0x21, 0x31, unix), none},
		"as large as may be": {headerOf(0x21, 0x11, append(ends(client4, client4), make([]byte, maxIntro-headerHead-12)...)), client4},
	} {
		client, length, is, err := parseHeader(append(test.in, "GET /"...))
		if client != test.want || length != len(test.in) || is != whole || err != nil {
			t.Errorf("%s: %v, %d bytes of %d, %v, %v", name, client, length, len(test.in), is, err)
		}
		for n := range test.in {
			if _, need, is, err := parseHeader(test.in[:n]); is != partial || err != nil || need <= n || need > len(test.in) {
				t.Fatalf("%s: the first %d bytes: %d needed, %v, %v", name, n, need, is, err)
			}
		}
	}
}

func TestWhatIsNoHeaderOfVersion2IsRefusedByWhatItIs(t *testing.T) {
	for name, test := range map[string]struct {
		in   []byte
		want error
	}{
		"version 1":             {[]byte("PROXY TCP4 203.0.113.7 192.0.2.1 51413 80\r\n"), errVersion1},
		"version 1, unknown":    {[]byte("PROXY UNKNOWN\r\n"), errVersion1},
		"a request":             {[]byte("GET /announce HTTP/1.1\r\n"), errNoHeader},
		"another method":        {[]byte("PRI * HTTP/2.0\r\n\r\n"), errNoHeader},
		"a handshake":           {[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), errNoHeader},
		"almost a signature":    {[]byte("\r\n\r\n\x00\r\nQUIT\r"), errNoHeader},
		"version 3":             {headerOf(0x31, 0x11, ends(client4, client4)), errBadHeader},
		"another command":       {headerOf(0x22, 0x11, ends(client4, client4)), errBadHeader},
		"datagrams":             {headerOf(0x21, 0x12, ends(client4, client4)), errBadHeader},
		"another family":        {headerOf(0x21, 0x41, ends(client4, client4)), errBadHeader},
		"IPv4 that is cut off":  {headerOf(0x21, 0x11, ends(client4, client4)[:11]), errBadHeader},
		"IPv6 that is cut off":  {headerOf(0x21, 0x21, ends(client6, client6)[:35]), errBadHeader},
		"a socket that is":      {headerOf(0x21, 0x31, make([]byte, 215)), errBadHeader},
		"too long":              {headerOf(0x21, 0x11, make([]byte, maxIntro)), errBadHeader},
		"too long, and to come": {headerOf(0x20, 0x00, make([]byte, maxIntro))[:headerHead], errBadHeader},
	} {
		if client, _, is, err := parseHeader(test.in); !errors.Is(err, test.want) || is != whole || client.IsValid() {
			t.Errorf("%s: %v, %v, %v, want %v", name, client, is, err, test.want)
		}
	}
}

func TestReadingAHeaderLeavesWhatFollowsIt(t *testing.T) {
	r := bytes.NewReader(append(headerOf(0x21, 0x21, append(ends(client6, client6), make([]byte, 300)...)), "rest"...))
	if client, err := readHeader(r); client != client6 || err != nil || r.Len() != len("rest") {
		t.Errorf("%v, %v, %d bytes left", client, err, r.Len())
	}
	for _, in := range []string{"", signature, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n"} {
		if client, err := readHeader(strings.NewReader(in)); client.IsValid() || err == nil {
			t.Errorf("%q: %v, %v", in, client, err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, in := range [][]byte{
		headerOf(0x21, 0x11, ends(client4, client4)), headerOf(0x21, 0x21, ends(client6, client6)), headerOf(0x20, 0, nil),
		headerOf(0x21, 0x31, make([]byte, 216)), []byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), []byte(signature),
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		client, length, is, err := parseHeader(in)
		switch {
		case is == partial && (err != nil || client.IsValid() || length <= len(in) || length > maxIntro):
			t.Errorf("partial: %v, %d of %d, %v", client, length, len(in), err)
		case is == whole && err != nil && client.IsValid():
			t.Errorf("refused: %v", client)
		case is == whole && err == nil:
			if length < headerHead || length > len(in) || client.Addr().Is4In6() || client.Addr().Zone() != "" {
				t.Errorf("whole: %v, %d of %d", client, length, len(in))
			}
			r := bytes.NewReader(in)
			if again, err := readHeader(r); again != client || err != nil || r.Len() != len(in)-length {
				t.Errorf("read: %v, %v, %d left", again, err, r.Len())
			}
			if _, _, is, err := parseHeader(in[:length-1]); is != partial || err != nil {
				t.Errorf("without its last byte: %v, %v", is, err)
			}
		}
	})
}
