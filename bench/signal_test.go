package bench

import (
	"bytes"
	"encoding/json"
	"testing"

	"waggle/bittorrent"
)

// everyByte are ids that have all bytes between them.
func everyByte() (ids [][20]byte) {
	for c := range 256 {
		if c%20 == 0 {
			ids = append(ids, [20]byte{})
		}
		ids[len(ids)-1][c%20] = byte(c)
	}
	return ids
}

func TestBinaryStringsAreCodePoints(t *testing.T) {
	for _, id := range everyByte() {
		written := appendBinary(nil, id[:])
		var read string
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		var back []byte
		for _, r := range read {
			back = append(back, byte(r))
		}
		if !bytes.Equal(back, id[:]) {
			t.Errorf("%x was written as %s", id, written)
		}
		others, err := json.Marshal(read) // with escapes of its own
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{written, others} {
			if got, ok := parseBinary(text); !ok || got != id {
				t.Errorf("%s was read as %x, want %x", text, got, id)
			}
		}
	}
	for _, bad := range []string{``, `"`, `1`, `"too short"`, `"one more than twenty."`, `"nineteen and some: Ā"`, `"nineteen and cut...\"`, `"\u01001234567890123456789"`} {
		if _, ok := parseBinary([]byte(bad)); ok {
			t.Errorf("%s was taken", bad)
		}
	}
}

// What is written is what npm's tracker reads: all of it is JSON, with the fields that it
// looks at.
func TestAnnouncesAnswersAndScrapesAreJSON(t *testing.T) {
	ids := everyByte()
	a := bittorrent.AnnounceRequest{InfoHash: ids[0], PeerID: ids[1], Left: 7, Event: bittorrent.EventStarted}
	var announced struct {
		Action   string
		InfoHash string `json:"info_hash"`
		PeerID   string `json:"peer_id"`
		ToPeerID string `json:"to_peer_id"`
		OfferID  string `json:"offer_id"`
		Event    string
		Left     int
		NumWant  int
		Offers   []struct {
			OfferID string `json:"offer_id"`
			Offer   struct{ Type, SDP string }
		}
		Answer struct{ Type, SDP string }
	}
	if err := json.Unmarshal(appendAnnounce(nil, &a, ids[2:4]), &announced); err != nil {
		t.Fatal(err)
	}
	if announced.Action != "announce" || announced.Event != "started" || announced.Left != 7 || announced.NumWant != 2 || len(announced.Offers) != 2 ||
		announced.Offers[1].Offer.Type != "offer" || len(announced.Offers[1].Offer.SDP) < 600 || len([]rune(announced.Offers[1].OfferID)) != 20 {
		t.Errorf("%+v", announced)
	}
	relayed := signal{peerID: appendBinary(nil, ids[5][:]), offerID: appendBinary(nil, ids[6][:])}
	if err := json.Unmarshal(appendAnswer(nil, ids[0], ids[1], &relayed), &announced); err != nil {
		t.Fatal(err)
	}
	if announced.Answer.Type != "answer" || len(announced.Answer.SDP) < 600 || len([]rune(announced.ToPeerID)) != 20 || len([]rune(announced.OfferID)) != 20 {
		t.Errorf("%+v", announced)
	}
	var scraped struct {
		Action   string
		InfoHash []string `json:"info_hash"`
	}
	if err := json.Unmarshal(appendScrape(nil, []bittorrent.InfoHash{ids[0], ids[1]}), &scraped); err != nil || scraped.Action != "scrape" || len(scraped.InfoHash) != 2 {
		t.Errorf("%+v, %v", scraped, err)
	}
}

func TestOfferIDSaysWhoseItIsAndWhenItWasMade(t *testing.T) {
	for _, random := range []uint64{0, 1, 1 << 63, 0xffffffffffffffff, 0x1234567890abcdef} {
		if number, meant := readOfferID(offerID(49_999, 1234567890123, random)); number != 49_999 || meant != 1234567890123 {
			t.Errorf("%x: %d, %d", random, number, meant)
		}
	}
}

func TestMessagesAreReadHoweverTheyAreWritten(t *testing.T) {
	for text, want := range map[string]signal{
		`{}`:                          {},
		` { "action" : "announce" } `: {action: []byte(`"announce"`)},
		`{"action":"announce","offer":{"type":"offer","sdp":"a}\"]\\"},"offer_id":"\u0000","peer_id":"p","info_hash":"h"}`: {
			action: []byte(`"announce"`), offer: []byte(`{"type":"offer","sdp":"a}\"]\\"}`), offerID: []byte(`"\u0000"`), peerID: []byte(`"p"`), infoHash: []byte(`"h"`),
		},
		`{"x":[1,[2,{}],"]"],"complete":1,"interval":120,"failure reason":"no","answer":null,"files":{"a":{}}}`: {
			complete: []byte(`1`), interval: []byte(`120`), failure: []byte(`"no"`), answer: []byte(`null`), files: []byte(`{"a":{}}`),
		},
	} {
		var got signal
		if err := got.parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for i, pair := range [][2][]byte{
			{got.action, want.action},
			{got.infoHash, want.infoHash},
			{got.peerID, want.peerID},
			{got.offerID, want.offerID},
			{got.offer, want.offer},
			{got.answer, want.answer},
			{got.files, want.files},
			{got.complete, want.complete},
			{got.interval, want.interval},
			{got.failure, want.failure},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s: field %d is %s, want %s", text, i, pair[0], pair[1])
			}
		}
	}
	for _, bad := range []string{``, `[]`, `"a"`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":}`, `{"a" 1}`, `{1:2}`, `{"a":"b}`, `{"a":[}`, `{"a":1]`, `{a:1}`} {
		if err := new(signal).parse([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzSignal(f *testing.F) {
	f.Add([]byte(`{"action":"announce","complete":1,"incomplete":2,"interval":120,"info_hash":"\u0000ÿ"}`))
	f.Add([]byte(`{"action":"announce","offer":{"type":"offer","sdp":"v=0\r\n"},"offer_id":"x","peer_id":"\"\\"}`))
	f.Add([]byte(`{"action":"scrape","files":{"a":{"complete":1}},"flags":[1,2,{}]}`))
	f.Add([]byte(`{"failure reason":"no"} `))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got signal
		err := got.parse(b)
		for _, value := range [][]byte{got.infoHash, got.peerID, got.offerID} {
			parseBinary(value)
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(b, &want) != nil || want == nil || bytes.Contains(b, []byte(`\`)) {
			return // or with names that are written in another way
		}
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		for name, value := range want {
			if field := got.field([]byte(name)); field != nil && !bytes.Equal(*field, value) {
				t.Errorf("%s: %s is %s, want %s", b, name, *field, value)
			}
		}
	})
}
