package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/link/carrier"
	"waggle/link/core"
)

func someTrackers(n int) (all []reach) {
	for i := range n {
		name := fmt.Sprint("t", i)
		all = append(all, reach{origin: core.Origin(i + 1), hops: uint8(min(i, 1)), name: name, urls: "udp://" + name + ".example:6969/announce"})
	}
	return all
}

func TestTrackersAreReadAsTheyWereWritten(t *testing.T) {
	all := someTrackers(mostTrackers + 1)
	if got := readTrackers(writeTrackers(all)); !slices.Equal(got, all[:mostTrackers]) {
		t.Errorf("%d of %d", len(got), len(all))
	}
	long := someTrackers(mostTrackers)
	for i := range long {
		long[i].urls = "udp://a.example:1/" + strings.Repeat("x", mostURLBytes-18)
	}
	b := writeTrackers(long)
	if got := readTrackers(b); len(b) > core.MaxFileData || len(got) < 100 || !slices.Equal(got, long[:len(got)]) {
		t.Errorf("%d bytes, %d trackers", len(b), len(got))
	}
}

func TestTrackersThatCannotBeAreLeftOut(t *testing.T) {
	good := someTrackers(2)
	for what, bad := range map[string]reach{
		"no origin":      {0, 1, "x", "udp://x.example:1"},
		"no name":        {9, 1, "", "udp://x.example:1"},
		"strange name":   {9, 1, "a b", "udp://x.example:1"},
		"too far":        {9, mostHops + 1, "x", "udp://x.example:1"},
		"no URL":         {9, 1, "x", ""},
		"another URL":    {9, 1, "x", "ftp://x.example http://y.example/a,b javascript:alert(1) http://\x1b[2J/"},
		"too much":       {9, 1, "x", "udp://x.example:1/" + strings.Repeat("x", mostURLBytes)},
		"also near":      {9, 0, "x", "udp://x.example:1"},
		"cut off behind": {},
	} {
		b := writeTrackers([]reach{good[0], bad, good[1]})
		if what == "cut off behind" {
			b = append(writeTrackers(good), 1, 2, 3)
		}
		if got := readTrackers(b); !slices.Equal(got, good) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestListThatChangesAllTheTimeIsTakenInSeldom(t *testing.T) {
	now, taken := time.Unix(1_800_000_000, 0), 0
	var k trackers
	for range 300 { // ten minutes
		k.list = nil
		k.hear(writeTrackers(someTrackers(2)))
		if k.look(now, true, time.Hour, trackersInAll); len(k.list) > 0 {
			taken++
		}
		now = now.Add(lookEvery)
	}
	if taken < 60 || taken > 60+newsAtOnce {
		t.Errorf("taken in %d times in ten minutes", taken)
	}
	if k.look(now.Add(newsEvery), true, time.Hour, trackersInAll); k.news || len(k.list) != 2 {
		t.Error("the latest is not taken in")
	}
}

func TestTrackersStayForALifetimeAfterTheirLinkSplit(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var k trackers
	k.hear(writeTrackers(someTrackers(2)))
	k.look(now, true, time.Hour, trackersInAll)
	if k.look(now.Add(time.Hour), false, time.Hour, trackersInAll); len(k.list) != 2 || len(k.own()) != 1 {
		t.Error("they are forgotten too early")
	}
	if k.look(now.Add(time.Hour+time.Second), false, time.Hour, trackersInAll); len(k.list) != 0 {
		t.Error("they stay")
	}
	k.hear(writeTrackers(someTrackers(100)))
	if k.look(now, true, time.Hour, 10); len(k.list) != 10 || k.list[0].hops != 0 {
		t.Error("there are more than there is room for")
	}
}

func TestLinksAreToldOfTrackersThatAreNotBehindThem(t *testing.T) {
	book, err := carrier.OpenBook(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	both := carrier.Rights{Receive: true, Send: true}
	for name, rights := range map[string]carrier.Rights{"fra": both, "lon": both, "deaf": {Receive: true}, "mute": {Send: true}, "some": {Receive: true, Send: true, Torrents: []string{strings.Repeat("0a", 20)}}} {
		if err := book.Allow(name, rights, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	l := &Links{book: book, o: Options{Name: "ams", URLs: []string{"udp://ams.example:1", "http://ams.example:1"}}}
	l.init(l)
	l.life = &life{origin: 9}
	l.know("fra").trackers.list = []reach{{1, 0, "fra", "udp://fra.example:1"}, {2, 1, "par", "udp://par.example:1"}, {9, 1, "ams", "udp://old.example:1"}}
	l.know("lon").trackers.list = []reach{{3, 0, "lon", "udp://lon.example:1"}, {2, 4, "par", "udp://par.example:1"}}
	for _, name := range []string{"deaf", "mute", "gone"} {
		l.know(name).trackers.list = []reach{{4, 0, name, "udp://" + name + ".example:1"}}
	}
	self, par := reach{9, 0, "ams", "udp://ams.example:1 http://ams.example:1"}, reach{2, 2, "par", "udp://par.example:1"}
	for name, want := range map[string][]reach{
		"fra":  {self, {3, 1, "lon", "udp://lon.example:1"}},
		"lon":  {self, {1, 1, "fra", "udp://fra.example:1"}, par},
		"deaf": {self}, "mute": {self}, "some": {self}, "gone": {self},
	} {
		if got := l.trackersFor(name, l.tree()); !slices.Equal(got, want) {
			t.Errorf("%s is told of %+v, want %+v", name, got, want)
		}
	}
}

func FuzzTrackers(f *testing.F) {
	f.Add([]byte{})
	f.Add(writeTrackers(someTrackers(3)))
	f.Add(append(writeTrackers(someTrackers(2)), 0, 0, 0, 0, 0, 0, 0, 1, 1, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := readTrackers(b)
		if again := readTrackers(writeTrackers(all)); len(all) > mostTrackers || len(b) <= core.MaxFileData && !slices.Equal(again, all) {
			t.Errorf("%+v, then %+v", all, again)
		}
		for _, r := range all {
			if len(r.urls) > mostURLBytes || r.urls == "" || r.hops > mostHops {
				t.Errorf("%+v", r)
			}
		}
	})
}
