package bittorrent_test

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"waggle/bittorrent"
)

func TestInfoHashIsReadInEveryFormThatPeopleWrite(t *testing.T) {
	const want = "0123456789abcdef0123456789abcdef01234567"
	for _, text := range []string{
		want,
		strings.ToUpper(want),
		"AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH",
		"aerukz4jvpg66ajdivtytk6n54asgrlh",
		want + strings.Repeat("f", 24),
	} {
		h, err := bittorrent.ParseInfoHash(text)
		if err != nil || h.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, h, err, want)
		}
	}
}

func TestWhatIsNoInfoHashIsRefused(t *testing.T) {
	for _, text := range []string{"", "01", strings.Repeat("g", 40), strings.Repeat("z", 64), strings.Repeat("1", 32), strings.Repeat("\u0250", 16), strings.Repeat("a", 39) + "\n"} {
		if h, err := bittorrent.ParseInfoHash(text); err == nil {
			t.Errorf("%q was taken for %v", text, h)
		}
	}
}

func TestVersion2HashIsTruncatedForTrackers(t *testing.T) {
	v2 := bittorrent.InfoHashV2(sha256.Sum256([]byte("info")))
	if got := v2.Truncated().String(); got != v2.String()[:40] {
		t.Errorf("got %s, want the first 20 bytes of %s", got, v2)
	}
}

func TestInfoHashGoesThroughJSON(t *testing.T) {
	in := map[string]bittorrent.InfoHash{"hash": {1, 2, 3}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]bittorrent.InfoHash
	if err := json.Unmarshal(text, &out); err != nil || out["hash"] != in["hash"] {
		t.Errorf("%s came back as %v, %v", text, out, err)
	}
}

func TestPeerIDIsSafeToPrint(t *testing.T) {
	id := bittorrent.PeerID([]byte("-WG<b>\x00\xff\n&\"'%abc1234"))
	if got, want := id.String(), "-WG%3Cb%3E%00%FF%0A%26%22%27%25abc1234"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
