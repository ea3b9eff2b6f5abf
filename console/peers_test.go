package console

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAddressesAreOneOrThoseOfANetwork(t *testing.T) {
	for _, c := range []struct {
		text, addr string
		has        bool
	}{
		{"", "10.1.2.1:6881", true},
		{"10.1.2.1", "10.1.2.1:6881", true},
		{" 10.1.2.1\t", "10.1.2.1:6881", true},
		{"10.1.2.1", "10.1.2.10:6881", false},
		{"10.1.2.1:6881", "10.1.2.1:6881", true},
		{"10.1.2.1:6881", "10.1.2.1:6882", false},
		{"10.1.0.0/16", "10.1.255.255:1", true},
		{"10.1.2.3/16", "10.1.255.255:1", true},
		{"10.1.0.0/16", "10.2.0.0:1", false},
		{"0.0.0.0/0", "10.2.0.0:1", true},
		{"0.0.0.0/0", "[2001:db8::1]:1", false},
		{"2001:db8::1", "[2001:db8::1]:6881", true},
		{"[2001:db8::1]:6881", "[2001:db8::1]:6882", false},
		{"2001:db8::/32", "[2001:db8:1::]:1", true},
		{"::/0", "10.1.2.1:1", false},
		{"::ffff:10.1.2.1", "10.1.2.1:1", true},
		{"[::ffff:10.1.2.1]:2", "10.1.2.1:1", false},
	} {
		wanted, err := parseAddresses(c.text)
		if err != nil || wanted.has(netip.MustParseAddrPort(c.addr)) != c.has {
			t.Errorf("%q has %s: %v, %v", c.text, c.addr, !c.has, err)
		}
	}
}

func TestAddressesThatAreNoneAreRefusedWithWhatIsWanted(t *testing.T) {
	for _, text := range []string{"frob", "10.1", "10.1.", "10.1.2.1:", "10.1.2.1:0", "10.1.2.1:65536", "10.1.0.0/33", "10.1.0.0/", "[2001:db8::1]", "fe80::1%eth0", "fe80::%eth0/64", "[fe80::1%eth0]:1", "10.1.2.1, 10.1.2.2", strings.Repeat("1", 128)} {
		wanted, err := parseAddresses(text)
		if err == nil || wanted != (addresses{}) || !strings.Contains(err.Error(), "a network such as 10.1.0.0/16") || len(err.Error()) > 1000 {
			t.Errorf("%q: %v, %v", text, wanted, err)
		}
	}
}

func FuzzParseAddresses(f *testing.F) {
	for _, text := range []string{"", "10.1.2.1", "10.1.2.1:6881", "10.1.0.0/16", "[2001:db8::1]:6881", "2001:db8::/32", "::ffff:10.1.2.1", "::ffff:10.1.0.0/112", "::fffe:0:0/95", "fe80::1%eth0", "0", "\xff"} {
		f.Add(text, []byte{10, 1, 2, 1}, uint16(6881))
	}
	f.Fuzz(func(t *testing.T, text string, ip []byte, port uint16) {
		wanted, err := parseAddresses(text)
		if err != nil {
			if wanted != (addresses{}) || len(err.Error()) > 1000 {
				t.Errorf("%q: %v, %v", text, wanted, err)
			}
			return
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			wanted.has(netip.AddrPortFrom(addr.Unmap(), port))
		}
		if !wanted.network.IsValid() {
			if strings.TrimSpace(text) != "" {
				t.Errorf("%q has everything", text)
			}
			return
		}
		first := netip.AddrPortFrom(wanted.network.Addr(), wanted.port)
		if !wanted.has(first) {
			t.Errorf("%q lacks %v, the first of it", text, first)
		}
		again, err := parseAddresses(wanted.network.String())
		if err != nil || again.network != wanted.network {
			t.Errorf("%q is %v, which is %v, %v", text, wanted.network, again.network, err)
		}
	})
}

// BenchmarkPeers is a page of 100 of a million peers of 100,000 torrents.
func BenchmarkPeers(b *testing.B) {
	a := manySwarms(b, 100_000)
	for _, address := range []string{"", "10.0.0.0/8", "10.255.0.0/16", "192.0.2.1:6881"} {
		b.Run(strings.NewReplacer("/", "_", ":", "_").Replace(address), func(b *testing.B) {
			b.ReportAllocs()
			in := &allPeersRequest{Address: address}
			in.Limit = 100
			for b.Loop() {
				if _, err := a.allPeers(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
