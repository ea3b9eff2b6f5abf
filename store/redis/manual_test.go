package redis_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// TestEveryKeyIsInTheManual makes all that the store keeps, and looks each key up in
// docs/redis.md.
func TestEveryKeyIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, alone.url(), newPrefix())
	o.SplitPeers = 150
	s := opened(t, o)
	group, err := o.Group("r1")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := swarm.NewPolicy("strict", 15*time.Second, 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		do(t, s, leecher(hash(1, 1), n))
		if n < 20 {
			a := leecher(hash(2, 2), n)
			a.Location, a.Policy = group, &policy
			do(t, s, a)
			if n > 17 {
				a.Event = bittorrent.EventStopped // a removal is remembered
				do(t, s, a)
			}
		}
	}
	if _, err := s.Documents().Put(t.Context(), "catalog/head", []byte("x"), ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hosts are written", func() bool {
		out, err := alone.cli("EXISTS", o.Prefix+":{00}:racks")
		return err == nil && out == "1"
	})
	out, err := alone.cli("KEYS", o.Prefix+":*")
	if err != nil {
		t.Fatal(out)
	}
	names := strings.NewReplacer(o.Prefix+":", "waggle:", ":document:catalog/head", ":document:NAME")
	host, rack := regexp.MustCompile(`:host:.*`), regexp.MustCompile(`:rack:.*`)
	hash, group46, tag := regexp.MustCompile(`:[0-9a-f]{40}`), regexp.MustCompile(`:[spl][46]$`), regexp.MustCompile(`\{..\}`)
	found := map[string]bool{}
	for key := range strings.FieldsSeq(out) {
		key = tag.ReplaceAllString(group46.ReplaceAllString(hash.ReplaceAllString(names.Replace(key), ":HASH"), ":GROUP"), "{ab}")
		key = rack.ReplaceAllString(host.ReplaceAllString(key, ":host:IP"), ":rack:PATH")
		if strings.HasSuffix(key, ":racks") {
			key = strings.Replace(key, "{ab}", "{00}", 1)
		}
		if strings.Contains(key, ":document") {
			key = strings.Replace(key, "{ab}", "{a0}", 1)
		}
		found[key] = true
		if !strings.Contains(string(manual), "| `"+key+"` |") {
			t.Errorf("docs/redis.md does not have %s", key)
		}
	}
	for line := range strings.Lines(string(manual)) {
		if key, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(key, "waggle:") && !found[key] && key != "waggle:{ab}:never" {
			t.Errorf("docs/redis.md has %s, which no store makes", key)
		}
	}
}
