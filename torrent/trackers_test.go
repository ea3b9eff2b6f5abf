package torrent

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
)

var twoTiers = [][]string{{"udp://new.example:1", "http://new.example/announce"}, {"wss://c.example"}}

func TestTrackersChangeAndAllElseKeepsItsBytes(t *testing.T) {
	const info = "4:infod6:lengthi1e4:name1:a12:piece lengthi1e6:pieces20:01234567890123456789e"
	const added = "8:announce19:udp://new.example:113:announce-listll19:udp://new.example:127:http://new.example/announceel15:wss://c.exampleee"
	const one = "8:announce12:udp://one:10"
	for _, tt := range []struct {
		name, old string
		tiers     [][]string
		want      string
	}{
		{"none before", "d" + info + "e", twoTiers, "d" + added + info + "e"},
		{"others before", "d8:announce1:x13:announce-listll1:xee" + info + "e", twoTiers, "d" + added + info + "e"},
		{"an announce list alone", "d13:announce-listll1:xee" + info + "e", twoTiers, "d" + added + info + "e"},
		{"wrong kinds before", "d8:announcei1e13:announce-list1:x" + info + "e", twoTiers, "d" + added + info + "e"},
		{"one tracker needs no list", "d13:announce-listll1:xee" + info + "e", [][]string{{"udp://one:10"}}, "d" + one + info + "e"},
		{"none after", "d8:announce1:x13:announce-listll1:xee7:comment1:c" + info + "e", nil, "d7:comment1:c" + info + "e"},
		{
			"keys before, between and behind", "d1:ai1e8:announce1:x10:announce-b0:13:announce-listle7:comment1:c" + info + "8:url-listlee", twoTiers,
			"d1:ai1e8:announce19:udp://new.example:110:announce-b0:" + added[len("8:announce19:udp://new.example:1"):] + "7:comment1:c" + info + "8:url-listlee",
		},
		{"unsorted keys stay where they are", "d" + info + "1:z0:8:announce1:x1:a0:e", twoTiers, "d" + added + info + "1:z0:1:a0:e"},
		{"last of all", "d1:a0:1:b0:" + info + "e", nil, "d1:a0:1:b0:" + info + "e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := []byte(tt.old)
			b, err := WithTrackers(old, tt.tiers)
			if err != nil || string(b) != tt.want {
				t.Errorf("%v\nhave %s\nwant %s", err, b, tt.want)
			}
			if string(old) != tt.old {
				t.Error("what was given is changed")
			}
			wantTrackers(t, old, b, tt.tiers)
		})
	}
}

// wantTrackers checks what holds of every torrent whose trackers were changed.
func wantTrackers(t *testing.T, old, b []byte, tiers [][]string) {
	t.Helper()
	before, err := Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse(b)
	if err != nil {
		t.Fatalf("nobody can read the result: %v", err)
	}
	if !bytes.Equal(before.Info(), after.Info()) || !slices.Equal(before.InfoHashes(), after.InfoHashes()) {
		t.Fatal("it has become another torrent")
	}
	if have := after.Trackers(); len(have) != len(tiers) || len(tiers) > 0 && !reflect.DeepEqual(have, tiers) {
		t.Fatalf("trackers %q, want %q", have, tiers)
	}
	others, sorted := keysOf(t, old)
	others2, sorted2 := keysOf(t, b)
	if !reflect.DeepEqual(others, others2) || sorted && !sorted2 {
		t.Fatalf("other keys: %q, were %q; sorted: %v, were %v", others2, others, sorted2, sorted)
	}
	if again, err := WithTrackers(b, tiers); err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%v: the same again changes it:\n%q\n%q", err, b, again)
	}
}

// keysOf returns the keys and values around those of trackers, in their order,
// and whether all keys are sorted.
func keysOf(t *testing.T, b []byte) (others []string, sorted bool) {
	t.Helper()
	root, err := bittorrent.ParseBencode(b)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key, value := range root.Dict() {
		keys = append(keys, string(key))
		if string(key) != "announce" && string(key) != "announce-list" {
			others = append(others, string(key), string(value.Raw()))
		}
	}
	return others, slices.IsSorted(keys)
}

func TestTrackersThatNobodyCouldUseAreRefused(t *testing.T) {
	torrent := encode(nil, around(single))
	for _, tt := range []struct {
		torrent []byte
		tiers   [][]string
		want    string
	}{
		{torrent, [][]string{{}}, "a tier names no tracker"},
		{torrent, [][]string{{"udp://a.example"}}, "needs a port"},
		{torrent, [][]string{{""}}, "begins with one of"},
		{[]byte("hello"), twoTiers, "broken .torrent file"},
		{encode(nil, around(single.with(dict{"name": ".."}))), twoTiers, "broken .torrent file"},
		{torrent, [][]string{{"http://a.example/" + strings.Repeat("x", MaxFileSize)}}, "larger than 64 MiB; name fewer"},
	} {
		if b, err := WithTrackers(tt.torrent, tt.tiers); err == nil || !strings.Contains(err.Error(), tt.want) || b != nil {
			t.Errorf("error %.200v, want one with %q", err, tt.want)
		}
	}
}

func TestKeyTooManyIsAnErrorAndNoBrokenTorrent(t *testing.T) {
	b := encode(nil, around(single))
	b = b[:len(b)-1]
	for i := range 1023 {
		b = bittorrent.AppendInt(bittorrent.AppendString(b, fmt.Sprintf("%04d", 1023-i)), 0)
	}
	b = append(b, 'e')
	if _, err := Parse(b); err != nil {
		t.Fatal(err)
	}
	if _, err := WithTrackers(b, twoTiers); !errors.Is(err, bittorrent.ErrBencodeUnsorted) {
		t.Errorf("error %v", err)
	}
}

func FuzzWithTrackers(f *testing.F) {
	for _, info := range []dict{single, folder, version2, hybrid} {
		torrent := encode(nil, dict{"announce": "udp://a:1", "announce-list": list{list{"udp://a:1"}}, "url-list": "x", "info": info})
		f.Add(torrent, "udp://a.example:1", "http://b.example", uint8(2))
		f.Add(torrent, "udp://a.example:1", "http://b.example", uint8(3))
		f.Add(append(torrent[:len(torrent)-1:len(torrent)-1], "1:a0:e"...), "", "", uint8(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, first, second string, shape uint8) {
		var tiers [][]string
		switch shape % 4 {
		case 1:
			tiers = [][]string{{first}}
		case 2:
			tiers = [][]string{{first, second}}
		case 3:
			tiers = [][]string{{first}, {second, first}}
		}
		_, parseErr := Parse(b)
		changed, err := WithTrackers(b, tiers)
		if err != nil {
			if parseErr == nil && checkTiers(tiers) == nil && !errors.Is(err, bittorrent.ErrBencodeUnsorted) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if parseErr != nil {
			t.Fatalf("changed what is no torrent: %v", parseErr)
		}
		wantTrackers(t, b, changed, tiers)
	})
}
