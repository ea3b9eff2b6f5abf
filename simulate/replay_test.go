package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// recorded is announces as a tracker records them.
type recorded struct{ strings.Builder }

// say adds the announce of a host of a rack at a second; done is how many bytes of
// 1000 it has.
func (r *recorded) say(second, rack, host, done int, event string) {
	path := fmt.Sprintf("row%d/rack%d", rack%2, rack)
	if rack < 0 {
		path, rack = "", 200
	}
	_, _ = fmt.Fprintf(r, `{"t":%d.25,"hash":"%040x","addr":"10.0.%d.%d:6881","id":"%040x","left":%d,"up":0,"down":%d,"event":%q,"want":50,"path":%q}`+"\n",
		1_700_000_000+second, 7, rack, host, 1000*rack+host, 1000-done, done, event, path)
}

// rollOut is an origin, and six racks of five hosts that get everything.
func rollOut() *recorded {
	r := &recorded{}
	r.say(0, 0, 0, 1000, "started")
	for second := 1; second <= 40; second += 10 {
		for rack := range 6 {
			for host := 1; host <= 5; host++ {
				event := ""
				switch second {
				case 1:
					event = "started"
				case 31:
					event = "completed"
				}
				r.say(second, rack, host, min((second-1)*40, 1000)/30*30+second/31*10, event)
			}
		}
	}
	return r
}

func putTo(t *testing.T, text, policy string) *Replayed {
	t.Helper()
	r, err := Replay(t.Context(), strings.NewReader(text), "x", policy, ReplayOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReplayTellsWhatAPolicyWouldHaveAllowed(t *testing.T) {
	text := rollOut().String()
	strict, random := putTo(t, text, "strict"), putTo(t, text, "random")
	for _, r := range []*Replayed{strict, random} {
		if r.Announces != 121 || r.Torrents != 1 || r.Peers != 31 || r.Groups != 6 || r.Unlocated != 0 || r.Seconds != 31 {
			t.Errorf("%+v: want 121 announces of 31 peers in 6 racks over 31 s", r)
		}
		if r.Starving != 0 {
			t.Errorf("%s: %d racks starve", r.Policy, r.Starving)
		}
	}
	// In the origin's rack there is a seeder: it needs none, and may have one that feeds others.
	if strict.RepresentativesMax > 1 || strict.RepresentativesMean < 5.0/6 || strict.EdgesMax > 10 {
		t.Errorf("strict: %+v, want a representative in each rack", strict)
	}
	if random.RepresentativesMean != 5 || random.EdgesMean < 50 || random.Crossed <= strict.Crossed {
		t.Errorf("random: %+v, want that all of all racks know each other", random)
	}
}

func TestReplayFindsRacksThatNobodyFeeds(t *testing.T) {
	r := &recorded{}
	for second := 1; second < 200; second += 10 {
		for rack := range 3 {
			for host := range 3 {
				r.say(second, rack, host, 0, "")
			}
		}
	}
	text := r.String()
	if got := putTo(t, text, "balanced"); got.Starving != 3 {
		t.Errorf("%d racks starve, want all three: there is no seeder", got.Starving)
	}
	r.say(200, 9, 0, 1000, "started")
	for rack := range 3 {
		r.say(201, rack, 0, 0, "")
	}
	if got := putTo(t, r.String(), "balanced"); got.Starving != 0 {
		t.Errorf("%d racks starve, want none: there is a seeder", got.Starving)
	}
	if got := putTo(t, text, "p2ptracker"); got.RepresentativesMax != 2 || got.RepresentativesMean != 2 {
		t.Errorf("%+v, want two representatives in each rack", got)
	}
}

func TestReplayCountsPeersThatNobodyCanLocate(t *testing.T) {
	r := rollOut()
	r.say(40, -1, 1, 0, "started")
	if got := putTo(t, r.String(), "strict"); got.Unlocated != 1 || got.Groups != 6 {
		t.Errorf("%+v, want one unlocated peer beside 6 racks", got)
	}
}

func TestReplayOfAnHourWithoutAnnouncesEndsSoon(t *testing.T) {
	r := &recorded{}
	r.say(0, 0, 0, 1000, "started")
	r.say(1_000_000_000, 0, 1, 0, "started")
	r.say(5, 0, 2, 0, "started") // the clock went back
	if got := putTo(t, r.String(), "strict"); got.Seconds != 1_000_000_000 || got.Peers != 3 {
		t.Errorf("%+v", got)
	}
}

func TestBadRecordsAreToldWithTheirPlace(t *testing.T) {
	good := rollOut().String()
	for want, bad := range map[string]string{
		"x:122: ":         good + "{}\n",
		"x: announce 122": good + strings.Replace(good[strings.Index(good, "\n")+1:], "row0/rack0", "rack0", 1),
	} {
		if _, err := Replay(t.Context(), strings.NewReader(bad), "x", "strict", ReplayOptions{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Replay(t.Context(), strings.NewReader(good), "x", "nix", ReplayOptions{}); err == nil {
		t.Error("a policy is taken that does not exist")
	}
	if _, err := Replay(t.Context(), strings.NewReader(good), "x", "strict", ReplayOptions{NumWant: -1}); err == nil {
		t.Error("a number of peers below 0 is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	many := strings.Repeat(good, 20)
	if _, err := Replay(ctx, strings.NewReader(many), "x", "strict", ReplayOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it is cancelled", err)
	}
}

func TestTablesHaveALineForEachPolicy(t *testing.T) {
	var b bytes.Buffer
	text := rollOut().String()
	err := errors.Join(
		WriteReplayed(&b, []*Replayed{putTo(t, text, "strict"), putTo(t, text, "p2ptracker")}),
		WriteTable(&b, []*Report{run(t, "strict", small(t)), {Policy: "never"}}))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, begins := range []string{"policy", "strict", "p2ptracker", "policy", "strict", "never"} {
		if i >= len(lines) || !strings.HasPrefix(strings.TrimSpace(lines[i]), begins) {
			t.Fatalf("%s: want lines that begin with policy, strict, p2ptracker, policy, strict, never", b.String())
		}
	}
}
