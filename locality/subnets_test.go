package locality

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fileOf is the path of a new file.
func fileOf(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "topology.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openSubnets(t testing.TB, tree *Tree, content string) *Subnets {
	t.Helper()
	s, err := OpenSubnets(tree, fileOf(t, content))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAddressLiesInItsLongestSubnet(t *testing.T) {
	s := openSubnets(t, treeOf(t, "row", "rack"), "\ufeff# Amsterdam\r\n10.0.0.0/8, a/1\r\n\n  \"10.1.2.0/24\" ,\t\"a/2\"  # leaf\n10.1.2.7/32,a/3\n"+
		"::ffff:192.0.2.0/120, b/1\n2001:db8::/32, c/1\n2001:db8:1::/48, c/2\n::/0, c/0")
	for address, want := range map[string]string{
		"10.9.9.9": "a/1", "10.1.2.6": "a/2", "10.1.2.7": "a/3", "10.1.3.7": "a/1", "192.0.2.9": "b/1", "11.0.0.1": "",
		"2001:db8:2::1": "c/1", "2001:db8:1::1": "c/2", "::1": "c/0",
	} {
		if got := pathOf(s.Group(netip.MustParseAddr(address))); got != want {
			t.Errorf("%s is in %q, want %q", address, got, want)
		}
	}
	if why := s.Why(netip.MustParseAddr("10.1.2.6")); why != "line 4: 10.1.2.0/24" {
		t.Error(why)
	}
	if why := s.Why(netip.MustParseAddr("11.0.0.1")); why != "" {
		t.Error(why)
	}
	if at, err := s.Dated(); err != nil || at.IsZero() {
		t.Errorf("%v, %v", at, err)
	}
	if got, want := s.Summary(), (SubnetSummary{IPv4: 4, IPv6: 3, Groups: []int{3, 7}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWrongLinesOfSubnetsAreReportedWithFileAndLine(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"# only a comment\n", ": has no subnet; write lines such as 10.1.2.0/24, row/rack"},
		{"\n10.1.2.0/24", `:2: "10.1.2.0/24" has no comma; write a subnet and a path, as in 10.1.2.0/24, row/rack`},
		{"cidr,path", `:1: "cidr" is no subnet such as 10.1.2.0/24 or 2001:db8::/64`},
		{"10.1.2.0, a/1", ":1: 10.1.2.0 is an address; for it alone write 10.1.2.0/32"},
		{"2001:db8::1, a/1", ":1: 2001:db8::1 is an address; for it alone write 2001:db8::1/128"},
		{"10.1.2.3/24, a/1", ":1: 10.1.2.3/24 has bits behind its prefix; write 10.1.2.0/24, or 10.1.2.3/32 for the address alone"},
		{"10.1.2.0/33, a/1", `:1: "10.1.2.0/33" is no subnet such as 10.1.2.0/24 or 2001:db8::/64`},
		{"fe80::%eth0/64, a/1", `:1: "fe80::%eth0/64" is no subnet such as 10.1.2.0/24 or 2001:db8::/64`},
		{"10.1.2.0/24, 1", `:1: "1" is no path of 2 names: give row/rack`},
		{"10.1.2.0/24, a/", `:1: path "a/": a name is empty`},
		{"10.1.2.0/24, a/1\n\n10.1.2.0/24, a/1", ":3: 10.1.2.0/24 is already on line 1; keep one of them"},
		{"10.1.2.0/24, a/1\n::ffff:10.1.2.0/120, a/2", ":2: 10.1.2.0/24 is already on line 1; keep one of them"},
		{"10.1.2.0/24, a/1\n" + strings.Repeat("x", 5000), ":2: the line is longer than 4096 bytes; is this a file of subnets?"},
	} {
		tree := treeOf(t, "row", "rack")
		file := fileOf(t, c.content)
		_, err := OpenSubnets(tree, file)
		if err == nil || err.Error() != file+c.want {
			t.Errorf("%q: %v\nwant %s", c.content, err, c.want)
		}
		if tree.Find("a/1") != nil {
			t.Errorf("%q left a group behind", c.content)
		}
	}
	if _, err := OpenSubnets(newTree(t), filepath.Join(t.TempDir(), "none.csv")); err == nil || !strings.Contains(err.Error(), "none.csv: no such file") {
		t.Error(err)
	}
}

func TestAllWrongLinesAreReportedUpToTwenty(t *testing.T) {
	file := fileOf(t, "10.0.0.0/8, a\n"+strings.Repeat("x\n", 100))
	_, err := OpenSubnets(treeOf(t, "rack"), file)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 20 || !strings.HasPrefix(lines[0], file+":2: ") || !strings.HasPrefix(lines[19], file+":21: ") {
		t.Errorf("%d lines: %v", len(lines), err)
	}
}

func TestMoreLocationsThanTheTreeTakesAreRefusedWithTheLine(t *testing.T) {
	tree, err := NewTree(1, "rack")
	if err != nil {
		t.Fatal(err)
	}
	file := fileOf(t, "10.0.0.0/8, a\n11.0.0.0/8, b\n")
	if _, err := OpenSubnets(tree, file); err == nil || !strings.HasPrefix(err.Error(), file+`:2: "b" would be one more than 1`) {
		t.Error(err)
	}
}

func TestReloadOfAWrongFileKeepsTheOldMapAndSaysSo(t *testing.T) {
	s := openSubnets(t, treeOf(t, "rack"), "10.0.0.0/8, a\n")
	ip := netip.MustParseAddr("10.0.0.1")
	if err := os.WriteFile(s.file, []byte("10.0.0.0/8, b\nrubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := s.Reload()
	if _, kept := s.Dated(); err == nil || kept == nil || kept.Error() != err.Error() || !strings.HasPrefix(err.Error(), s.file+":2: ") {
		t.Errorf("%v, kept as %v", err, kept)
	}
	if got := pathOf(s.Group(ip)); got != "a" {
		t.Errorf("the address is in %q", got)
	}
	if err := os.WriteFile(s.file, []byte("10.0.0.0/8, b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil || pathOf(s.Group(ip)) != "b" {
		t.Errorf("%v, in %q", err, pathOf(s.Group(ip)))
	}
	if _, kept := s.Dated(); kept != nil {
		t.Error(kept)
	}
}

func TestLongestPrefixIsThatOfANaiveSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree, err := NewTree(1000, "rack")
		if err != nil {
			t.Fatal(err)
		}
		// Few different bits, so that subnets overlap often.
		address := rapid.Custom(func(t *rapid.T) netip.Addr {
			bits := rapid.SampledFrom([]uint64{0, 1 << 63, 3 << 62, 1 << 40, 1<<40 | 1, 1, 1<<63 | 1<<40 | 3})
			var b [16]byte
			if rapid.Bool().Draw(t, "IPv6") {
				binary.BigEndian.PutUint64(b[:], bits.Draw(t, "high"))
				binary.BigEndian.PutUint64(b[8:], bits.Draw(t, "low"))
				return netip.AddrFrom16(b)
			}
			binary.BigEndian.PutUint32(b[:], uint32(bits.Draw(t, "high")>>32)|uint32(bits.Draw(t, "low")))
			return netip.AddrFrom4([4]byte(b[:4]))
		})
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := address.Draw(t, "address")
			return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
		})
		subnets := rapid.SliceOfNDistinct(prefix, 1, 40, rapid.ID).Draw(t, "subnets")
		r := subnetReader{tree: tree, file: "t"}
		var text strings.Builder
		for i, subnet := range subnets {
			fmt.Fprintf(&text, "%v, %d\n", subnet, i)
		}
		rows := r.rows(strings.NewReader(text.String()))
		s := &Subnets{tree: tree}
		state, err := s.build(rows)
		if err != nil || len(r.problems) > 0 {
			t.Fatal(err, r.problems)
		}
		s.state.Store(state)
		for range 50 {
			ip := address.Draw(t, "ip").Unmap()
			want, bits := "", -1
			for i, subnet := range subnets {
				if subnet.Contains(ip) && subnet.Bits() > bits {
					want, bits = fmt.Sprint(i), subnet.Bits()
				}
			}
			if got := pathOf(s.Group(ip)); got != want {
				t.Fatalf("%v is in %q of %v, want %q", ip, got, subnets, want)
			}
		}
	})
}

// FuzzSubnets reads any bytes as a file of subnets. Either each line that is no comment is one of
// the table, or every problem is a line that begins with the file's name.
func FuzzSubnets(f *testing.F) {
	f.Add([]byte("# a\n10.0.0.0/8, a/b\n\"10.1.0.0/16\",\"a/c\"# b\n2001:db8::/32,a/b\n::ffff:1.2.3.4/128,b/b\n"))
	f.Add([]byte("10.0.0.1/8, a/b\n10.0.0.0, a\n,\nx,y\n10.0.0.0/8,\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := NewTree(100, "row", "rack")
		if err != nil {
			t.Fatal(err)
		}
		r := subnetReader{tree: tree, file: "t.csv"}
		rows := r.rows(strings.NewReader(string(data)))
		for _, problem := range r.problems {
			if text := problem.Error(); !strings.HasPrefix(text, "t.csv:") || len(text) > 500 || strings.Contains(text, "\n") {
				t.Errorf("problem %q", text)
			}
		}
		if len(r.problems) > 0 {
			return
		}
		s := &Subnets{tree: tree}
		state, err := s.build(rows)
		if err != nil {
			return // more than 100 locations
		}
		s.state.Store(state)
		for _, row := range rows {
			if s.Group(row.subnet.Addr()) == nil {
				t.Errorf("%v is nowhere", row.subnet)
			}
		}
	})
}

func BenchmarkSubnets(b *testing.B) {
	tree, err := NewTree(100_000, "rack")
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "%v, r%d\n", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 12), byte(i >> 4), byte(i << 4)}), 28), i)
	}
	s := openSubnets(b, tree, text.String())
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i += 7919
		if s.Group(netip.AddrFrom4([4]byte{10, byte(i>>16) % 24, byte(i >> 8), byte(i)})) == nil {
			b.Fatal("nowhere")
		}
	}
}
