//go:build !function

package main

import (
	"strings"
	"testing"

	"waggle/console/client"
)

func transferOf(peers, seeders int, left int64, downloaded uint64) *client.Transfer {
	return &client.Transfer{
		Torrent: client.Torrent{Size: 100},
		Live:    client.Live{Peers: peers, Seeders: seeders, Leechers: peers - seeders, Left: left, Downloaded: downloaded},
	}
}

func TestPushHasArrivedWhenTheOthersHaveWhatWasAskedFor(t *testing.T) {
	before := transferOf(0, 0, 0, 7)
	for name, test := range map[string]struct {
		now  *client.Transfer
		want map[string]bool
	}{
		"nobody came":                {transferOf(1, 1, 0, 7), map[string]bool{"100%": false, "50%": false, "1": false}},
		"one has nothing":            {transferOf(2, 1, 100, 7), map[string]bool{"100%": false, "50%": false, "1": false}},
		"one has half":               {transferOf(2, 1, 50, 7), map[string]bool{"100%": false, "50%": true, "1": false}},
		"one has all, one has half":  {transferOf(3, 2, 50, 8), map[string]bool{"100%": false, "75%": true, "1": true, "2": false}},
		"two have all":               {transferOf(3, 3, 0, 9), map[string]bool{"100%": true, "1": true, "2": true, "3": false}},
		"two had all, and have left": {transferOf(1, 1, 0, 9), map[string]bool{"100%": true, "50%": true, "2": true, "3": false}},
	} {
		a := arrivalOf(test.now, before, true)
		for until, want := range test.want {
			g, err := parseGoal(until)
			if err != nil {
				t.Fatal(err)
			}
			if have := g.reached(a); have != want {
				t.Errorf("%s: --until %s is reached: %t, want %t (%+v)", name, until, have, want, a)
			}
		}
	}
}

func TestUntilIsAShareOrANumberOfPeers(t *testing.T) {
	for _, text := range []string{"", "%", "0%", "101%", "-1%", "0", "-3", "x", "1.5", "NaN%", "5 %"} {
		if g, err := parseGoal(text); err == nil || !strings.Contains(err.Error(), "--until") {
			t.Errorf("%q is taken for %+v, %v", text, g, err)
		}
	}
}

func TestTransferCommandsRefuseWrongUsage(t *testing.T) {
	for _, line := range []string{
		"get", "get a b", "get a --up 0", "get a --down fast", "get a --listen nowhere", "get a --connections 0", "get a --seed-time -1s",
		"get a --console ftp://x", "seed", "push", "push a", "push a --tracker x", "push . --tracker udp://127.0.0.1:1 --until some",
		"push . --tracker udp://127.0.0.1:1 --console x", "push . --tracker udp://127.0.0.1:1 --profile lax",
	} {
		args := strings.Fields(line)
		commands := map[string]func() error{
			"get":  func() error { return execute(t, newGetCommand(), args[1:]) },
			"seed": func() error { return execute(t, newSeedCommand(), args[1:]) },
			"push": func() error { return execute(t, newPushCommand(), args[1:]) },
		}
		if err := commands[args[0]](); exitCode(err) != exitUsage {
			t.Errorf("waggle %s: exit code %d (%v), want %d", line, exitCode(err), err, exitUsage)
		}
	}
}
