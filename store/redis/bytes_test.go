package redis

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for _, addr := range []string{"10.0.0.1:1", "255.255.255.255:65535", "[2001:db8::1]:6881", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"} {
		for kind := range swarm.Leecher + 1 {
			want := swarm.Peer{
				Addr: netip.MustParseAddrPort(addr), Kind: kind, Key: 0xfedcba98, ID: bittorrent.PeerID([]byte("-WG0001-\x00\n 5678 01234")[:20]),
				Uploaded: 1, Downloaded: 1 << 62, Left: bittorrent.LeftUnknown, First: time.Unix(0, 0), Last: time.Unix(9999999999, 0),
			}
			text := record(&want)
			text = text[:lastEnd] + " 00000012" + text[lastEnd:]
			if got, err := parseRecord(addr, text); err != nil || got != want {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
			if text[lastStart:lastEnd] != "9999999999" {
				t.Errorf("scripts look for times elsewhere than in %q", text)
			}
			if n := len(address(want.Addr)); n >= widths[strings.Count(addr, "[")]-idLen {
				t.Errorf("%s has %d characters: an entry has no room for it", addr, n)
			}
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add("10.0.0.1:6881", "s4 1700000000 1700001800 00000012 1 2 3 ff -WG0001-000000000001")
	f.Add("[::1]:6881", "l6 1700000000 1700001800 00000012 9223372036854775807 2 3 0 -WG0001-000000000001")
	f.Add("[::1]:6881", "l4")
	f.Fuzz(func(t *testing.T, addr, text string) {
		p, err := parseRecord(addr, text)
		if err != nil {
			if !errors.Is(err, errAnswer) {
				t.Error(err)
			}
			return
		}
		if again, err := parseRecord(address(p.Addr), record(&p)[:lastEnd]+" 00000000"+record(&p)[lastEnd:]); err != nil || again != p && p.Last.Unix() <= 9999999999 && p.First.Unix() <= 9999999999 {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

func FuzzParseTally(f *testing.F) {
	f.Add("1 2 3 4 5 6 7 8 1")
	f.Add("0 0 0 0 0 0 0 1 0")
	f.Add("1 2 3")
	f.Add("-1 2 3 4 5 6 7 3 0")
	f.Fuzz(func(t *testing.T, line string) {
		if tally, err := parseTally(line); err == nil && (tally.parts < 1 || tally.parts > maxParts) {
			t.Errorf("%+v", tally)
		}
	})
}

func TestPartsOfSmallerSplitsAreThoseWhereAPeerMayBe(t *testing.T) {
	for n := range 2000 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), uint16(n))
		for parts := 1; parts <= maxParts; parts *= 2 {
			part := partOf(addr, parts)
			earlier := before(part, parts)
			for fewer := 1; fewer < parts; fewer *= 2 {
				if was := partOf(addr, fewer); was != part && !slices.Contains(earlier, was) {
					t.Fatalf("of %d parts %d was before %v, not %d", parts, part, earlier, was)
				}
			}
			if slices.Contains(earlier, part) {
				t.Fatalf("part %d of %d was %v before", part, parts, earlier)
			}
		}
	}
}

func TestPartsAreAlikeInSize(t *testing.T) {
	var sizes [maxParts]int
	const peers = 64000
	for n := range peers {
		sizes[partOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 6881), maxParts)]++
	}
	for part, size := range sizes {
		if size < peers/maxParts*8/10 || size > peers/maxParts*12/10 {
			t.Errorf("part %d has %d peers of %d", part, size, peers)
		}
	}
}

func TestScannerCountsMessages(t *testing.T) {
	for text, want := range map[string]int{
		"+OK\r\n": 1, ":1\r\n:2\r\n": 2, "$3\r\na\r\n\r\n": 1, "$-1\r\n*-1\r\n_\r\n": 3, "*2\r\n$1\r\na\r\n*1\r\n:1\r\n+OK\r\n": 2,
		"*0\r\n%0\r\n": 2, "%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n": 1, ">2\r\n+a\r\n+b\r\n": 0, "*3\r\n:1\r\n:2\r\n": 0, "-ERR $9 *3\r\n": 1, "$0\r\n\r\n": 1,
	} {
		for _, step := range []int{1, 2, 3, len(text)} {
			var s scanner
			got := 0
			for piece := range slices.Chunk([]byte(text), step) {
				n, err := s.scan(piece)
				if err != nil {
					t.Errorf("%q: %v", text, err)
				}
				got += n
			}
			if got != want {
				t.Errorf("%q in steps of %d: %d messages, want %d", text, step, got, want)
			}
		}
	}
}

func TestScannerRefusesWhatIsNotRedis(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 400", "$-2\r\n", "*-3\r\n", "$99999999999\r\n", "$999999999\r\n", "*9999999\r\n", "%-7\r\n", "$?\r\n", "$1x\r\n", "*1-\r\n",
		strings.Repeat("*1\r\n", 9), "+" + strings.Repeat("x", maxLine+1), "|1\r\n",
	} {
		var s scanner
		if _, err := s.scan([]byte(text)); !errors.Is(err, errNotRedis) {
			t.Errorf("%.40q is taken: %v", text, err)
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n:1\r\n+OK\r\n"), 3)
	f.Add([]byte("%1\r\n+a\r\n_\r\n>1\r\n+x\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var whole, pieces scanner
		n, err := whole.scan(text)
		got := 0
		var fault error
		for piece := range slices.Chunk(text, max(step, 1)) {
			m, err := pieces.scan(piece)
			if got += m; err != nil {
				fault = err
				break
			}
		}
		if (err == nil) != (fault == nil) || err == nil && got != n {
			t.Errorf("%d messages, %v, and in pieces %d, %v", n, err, got, fault)
		}
	})
}

func FuzzCompact(f *testing.F) {
	f.Add("10.0.0.1:6881         ")
	f.Add("255.255.255.255:65535 ")
	f.Add("256.1.1.1:1 ")
	f.Add("1.1.1.1:99999 ")
	f.Add("1.1.1:1 x")
	f.Add("01.1.1.1:0001 ")
	f.Fuzz(func(t *testing.T, text string) {
		six, ok := compact(text)
		addr, err := netip.ParseAddrPort(strings.TrimRight(text, " "))
		if err == nil && addr.Addr().Is4() && strings.HasSuffix(text, " ") && len(text) < 24 {
			want := bittorrent.PeerList{}
			want.Append(addr)
			if ok && string(six[:]) != string(want.V4) || !ok && len(address(addr)) == len(strings.TrimRight(text, " ")) {
				t.Errorf("%q is %v, %v", text, six, ok)
			}
		}
	})
}

func TestViewShowsASampleAsIfItWereAll(t *testing.T) {
	s := newStore(&server{options: &Options{}})
	w := s.newWorker()
	entry := func(addr string) string {
		return addr + strings.Repeat(" ", widths[0]-idLen-len(addr)) + "-WG0001-" + "000000000000"
	}
	self := netip.MustParseAddrPort("10.0.0.1:68")
	w.reset(self)
	w.leechers[0], w.partial[0], w.seeders[0] = 100, 1, 0
	if err := w.take("l4", entry("10.0.0.1:68")+entry("10.0.0.1:688")); err != nil {
		t.Fatal(err)
	}
	if err := w.take("l4", entry("10.0.0.2:1")); err != nil {
		t.Fatal(err)
	}
	if err := w.take("p4", entry("no address")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"l4", "x", "s5"} {
		if err := w.take(bad, "short"); !errors.Is(err, errAnswer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var r swarm.Reply
	w.Append(swarm.Leechers4, []uint32{1, 5, 99}, &swarm.Announce{}, &r)
	w.Append(swarm.Seeds4, []uint32{0}, &swarm.Announce{}, &r)
	if w.Len(swarm.Leechers4) != 100 || w.Len(swarm.Seeds4) != 1 || r.Peers.Len() != 2 {
		t.Errorf("%d of %d, told of %d", w.Len(swarm.Leechers4), w.Len(swarm.Seeds4), r.Peers.Len())
	}
	for addr := range r.Peers.All() {
		if addr == self {
			t.Error("the asker is told of itself")
		}
	}
}

// TestPartsThatDifferInSizeAreToldOfAsTheyHavePeers has a part of 10,000 peers, of which 40
// were sampled, and one of 60 that is seen whole.
func TestPartsThatDifferInSizeAreToldOfAsTheyHavePeers(t *testing.T) {
	w := newStore(&server{options: &Options{}}).newWorker()
	small := 0
	const rounds, each = 2000, 30
	for range rounds {
		w.reset(netip.MustParseAddrPort("10.9.9.9:1"))
		for part, counts := range []string{"0 0 0 0 10000 0 0 2 0", "0 0 0 0 60 0 0 1 0"} {
			if err := w.count(counts); err != nil {
				t.Fatal(err)
			}
			entries := ""
			for i := range []int{40, 60}[part] {
				addr := address(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(part), byte(i)}), 6881))
				entries += addr + strings.Repeat(" ", widths[0]-idLen-len(addr)) + "-WG0001-000000000000"
			}
			if err := w.take("l4", entries); err != nil {
				t.Fatal(err)
			}
		}
		var r swarm.Reply
		w.Append(swarm.Leechers4, make([]uint32, each), &swarm.Announce{}, &r)
		if r.Peers.Len() != each {
			t.Fatalf("%d peers of %d", r.Peers.Len(), each)
		}
		for addr := range r.Peers.All() {
			small += int(addr.Addr().As4()[2])
		}
	}
	if fair := float64(rounds*each*60) / 10060; float64(small) < fair/2 || float64(small) > 2*fair {
		t.Errorf("a part of 60 peers of 10,060 is told of %d times in %d, not %.0f", small, rounds*each, fair)
	}
}

func TestFaultsOfTheServerAreToldFromOthers(t *testing.T) {
	for text, want := range map[string]bool{
		"OOM command not allowed when used memory > 'maxmemory'.": true,
		// Of Redis 6.2, in a script:
		"ERR Error running script (call to f_e0e1f9fabfc9d4800c877a703b823ac0578ff8db): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'. ": true,
		"ERR max number of clients reached": true, "CLUSTERDOWN The cluster is down": true, "NOAUTH Authentication required.": true,
		"WRONGTYPE Operation against a key holding the wrong kind of value": false, "ERR user_script:88: attempt to compare number with nil": false,
		"NOPERM this user has no permissions": false, "ERR Error running script (call to f_1): @user_script:1: no number": false,
	} {
		if passing(text) != want || (word(text) == "OOM") != strings.Contains(text, "OOM") {
			t.Errorf("%s: %q, which passes: %t", text, word(text), passing(text))
		}
	}
}
