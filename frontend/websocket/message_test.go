package websocket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"waggle/bittorrent"
)

// hash and id are as a browser has them: bytes of all kinds, which JSON writes as
// characters.
var (
	hash = bittorrent.InfoHash{0x00, 0x0a, 0x1f, '"', '\\', '/', 'a', 0x7f, 0x80, 0xff, 10: 0xc3, 0xa9, 'z'}
	id   = bittorrent.PeerID([]byte("-WW0124-abcdefghijkl"))
)

// latin1 returns bytes as a browser has them in a string.
func latin1(bytes []byte) string {
	runes := make([]rune, len(bytes))
	for i, c := range bytes {
		runes[i] = rune(c)
	}
	return string(runes)
}

// text returns what a browser would send.
func text(fields map[string]any) string {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func with(fields map[string]any, more ...any) map[string]any {
	out := map[string]any{}
	for name, value := range fields {
		out[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

var plainAnnounce = map[string]any{"action": "announce", "info_hash": latin1(hash[:]), "peer_id": latin1(id[:])}

func TestAnnounceIsRead(t *testing.T) {
	in := `{"numwant":5,"uploaded":7,"downloaded":1e3,"left":123456789012345678901234567890,"event":"started","action":"announce",` +
		`"info_hash":"\u0000\n\u001f\"\\\/a` + "\x7f" + `\u0080ÿ\u00c3\u00A9z\u0000\u0000\u0000\u0000\u0000\u0000\u0000","peer_id":"-WW0124-abcdefghijkl",` +
		`"offers":[{"offer":{"type":"offer","sdp":"v=0\r\n\"\u00e4\""},"offer_id":"\u0001x"},{"offer_id":"y","offer": {} }],"trackerid":"t","extra":[1,{"a":[null,true,false,-1.5E+3]}]}`
	var m message
	if err := m.parse([]byte(in), 74); err != nil {
		t.Fatal(err)
	}
	if m.action != announce || len(m.hashes) != 1 || m.hashes[0] != hash || m.peer != id || m.event != bittorrent.EventStarted {
		t.Errorf("read %+v", m)
	}
	if m.uploaded != 7 || m.downloaded != 1000 || m.left != math.MaxInt64 {
		t.Errorf("figures %d, %d, %d", m.uploaded, m.downloaded, m.left)
	}
	if len(m.offers) != 2 || string(m.offers[0].body) != `{"type":"offer","sdp":"v=0\r\n\"\u00e4\""}` || string(m.offers[0].id) != `"\u0001x"` ||
		string(m.offers[1].body) != "{}" || string(m.offers[1].id) != `"y"` {
		t.Errorf("offers %q", m.offers)
	}
	if m.isAnswer() {
		t.Error("it is no answer")
	}
}

func TestAnswerIsRead(t *testing.T) {
	var m message
	in := text(with(plainAnnounce, "to_peer_id", strings.Repeat("ÿ", 20), "answer", map[string]any{"type": "answer", "sdp": "v=0"}, "offer_id", "o"))
	if err := m.parse([]byte(in), 74); err != nil {
		t.Fatal(err)
	}
	if !m.isAnswer() || string(m.offerID) != `"o"` || m.to != bittorrent.PeerID([]byte(strings.Repeat("\xff", 20))) || m.left != bittorrent.LeftUnknown {
		t.Errorf("read %+v", m)
	}
}

func TestNullIsAsLeftOut(t *testing.T) {
	var m message
	in := text(with(plainAnnounce, "left", nil, "event", nil, "offers", nil, "answer", nil, "to_peer_id", nil, "uploaded", nil))
	if err := m.parse([]byte(in), 74); err != nil || m.left != bittorrent.LeftUnknown || m.isAnswer() || m.seen&hasLeft != 0 {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestScrapeIsOfOneOrSeveral(t *testing.T) {
	var m message
	for n, in := range map[int]string{
		1: text(map[string]any{"action": "scrape", "info_hash": latin1(hash[:])}),
		3: text(map[string]any{"action": "scrape", "info_hash": []string{latin1(hash[:]), strings.Repeat("a", 20), latin1(hash[:])}}),
	} {
		if err := m.parse([]byte(in), 74); err != nil || m.action != scrape || len(m.hashes) != n || m.hashes[0] != hash {
			t.Errorf("%d: %v, %+v", n, err, m)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	long := strings.Repeat("[", maxDepth+1)
	for in, want := range map[string]error{
		"":                                   errJSON,
		"announce":                           errJSON,
		"[]":                                 errJSON,
		`"a"`:                                errJSON,
		"{":                                  errJSON,
		"{}x":                                errJSON,
		"{}{}":                               errJSON,
		`{"a":1,}`:                           errJSON,
		`{"a" 1}`:                            errJSON,
		`{"a":01}`:                           errJSON,
		`{"a":1.}`:                           errJSON,
		`{"a":-}`:                            errJSON,
		`{"a":+1}`:                           errJSON,
		`{"a":nul}`:                          errJSON,
		`{"a":"\x"}`:                         errJSON,
		`{"a":"\u12g4"}`:                     errJSON,
		"{\"a\":\"\n\"}":                     errJSON,
		"{\"a\":\"\xff\"}":                   errJSON,
		`{"a":` + long + `}`:                 errJSON,
		"{}":                                 errAction,
		`{"action":"connect"}`:               errAction,
		`{"action":1}`:                       errAction,
		`{"action":"scrape"}`:                bittorrent.ErrScrapeEmpty,
		`{"action":"scrape","info_hash":[]}`: bittorrent.ErrScrapeEmpty,
		`{"action":"scrape","info_hash":["` + strings.Repeat("a", 20) + `","b"]}`:                           errInfoHash,
		`{"action":"scrape","info_hash":[` + strings.Repeat(`"`+strings.Repeat("a", 20)+`",`, 74) + `"b"]}`: errInfoHash,
		`{"action":"announce"}`: errInfoHash,
		`{"action":"announce","info_hash":"0123456789abcdef0123456789abcdef01234567"}`:                            errInfoHash,
		`{"action":"announce","info_hash":"` + strings.Repeat("a", 19) + `"}`:                                     errInfoHash,
		`{"action":"announce","info_hash":"` + strings.Repeat("€", 20) + `"}`:                                     errInfoHash,
		`{"action":"announce","info_hash":"` + strings.Repeat(`\u0100`, 20) + `"}`:                                errInfoHash,
		`{"action":"announce","info_hash":"` + strings.Repeat("a", 20) + `"}`:                                     errPeerID,
		`{"action":"announce","info_hash":"` + strings.Repeat("a", 20) + `","info_hash":"b"}`:                     bittorrent.ErrRepeated,
		`{"action":"announce","info_hash":["` + strings.Repeat("a", 20) + `","` + strings.Repeat("b", 20) + `"]}`: errInfoHash,
		text(with(plainAnnounce, "left", "all")):                                                                  errNumber,
		text(with(plainAnnounce, "left", 1.5)):                                                                    errNumber,
		text(with(plainAnnounce, "offers", 1)):                                                                    errOffers,
		text(with(plainAnnounce, "offers", []any{1})):                                                             errOffers,
		text(with(plainAnnounce, "offers", []any{map[string]any{"offer": "sdp", "offer_id": "x"}})):               errOffers,
		text(with(plainAnnounce, "offers", []any{map[string]any{"offer": map[string]any{}}})):                     errOffers,
		text(with(plainAnnounce, "answer", "sdp")):                                                                errAnswer,
		text(with(plainAnnounce, "answer", map[string]any{})):                                                     errOfferID,
		text(with(plainAnnounce, "answer", map[string]any{}, "offer_id", 7)):                                      errOfferID,
		text(with(plainAnnounce, "answer", map[string]any{}, "offer_id", "x")):                                    errToPeerID,
		text(with(plainAnnounce, "to_peer_id", "x")):                                                              errToPeerID,
	} {
		var m message
		if err := m.parse([]byte(in), 74); !errors.Is(err, want) {
			t.Errorf("%.200s: %v, want %v", in, err, want)
		}
	}
}

func TestMoreTorrentsThanMayBeScrapedAreRefused(t *testing.T) {
	one := strings.Repeat("a", 20)
	in := text(map[string]any{"action": "scrape", "info_hash": []string{one, one, one}})
	var m message
	if err := m.parse([]byte(in), 2); !errors.Is(err, bittorrent.ErrScrapeLimit) {
		t.Error(err)
	}
	if err := m.parse([]byte(in), 3); err != nil {
		t.Error(err)
	}
}

func TestOffersBeyondTenAreLeftOut(t *testing.T) {
	var offers []any
	for i := range 2 * maxOffers {
		offers = append(offers, map[string]any{"offer": map[string]any{"n": i}, "offer_id": fmt.Sprint(i)})
	}
	var m message
	if err := m.parse([]byte(text(with(plainAnnounce, "offers", offers))), 74); err != nil || len(m.offers) != maxOffers {
		t.Errorf("%v, %d offers", err, len(m.offers))
	}
}

func TestFieldsMayBeWrittenWithEscapes(t *testing.T) {
	in := `{"act\u0069on":"announc\u0065","info\u005fhash":"` + strings.Repeat("a", 20) + `","peer_id":"` + strings.Repeat("b", 20) + `","event":"stop\u0070ed"}`
	var m message
	if err := m.parse([]byte(in), 74); err != nil || m.event != bittorrent.EventStopped {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestBytesAreWrittenAsBrowsersReadThem(t *testing.T) {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	var read string
	if err := json.Unmarshal(appendBinary(nil, all[:]), &read); err != nil || read != latin1(all[:]) {
		t.Errorf("%v: %q", err, read)
	}
}

// Strings are looked through many bytes at a time: wherever one lies, and whatever is next to it,
// it is told what ends them.
func TestEachByteOfAStringIsSeenWhereverItLies(t *testing.T) {
	for _, two := range []string{"aa", "\\", "\\\"", "\\r", "é", "a\x80"} {
		for at := range 40 {
			for c := range 256 {
				text := bytes.Repeat([]byte{'~'}, 44)
				copy(text[at:], append([]byte{byte(c)}, two...))
				in := append(append([]byte{'"'}, text...), '"')
				s := scanner{left: in}
				raw, ok := s.value()
				if want := json.Valid(in) && utf8.Valid(in); (ok && len(raw) == len(in)) != want {
					t.Fatalf("%q: %t, want %t", in, ok, want)
				}
			}
		}
	}
}

func TestReadingAMessageAllocatesNothing(t *testing.T) {
	in := []byte(text(with(plainAnnounce, "left", 12345, "event", "started", "offers", []any{
		map[string]any{"offer": map[string]any{"type": "offer", "sdp": "v=0\r\n"}, "offer_id": "x"},
	})))
	var m message
	read := func() {
		if err := m.parse(in, 74); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzMessage has another parser of JSON read the same: what that refuses is refused, and
// what is understood is the same.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(text(with(plainAnnounce, "left", 5, "offers", []any{map[string]any{"offer": map[string]any{"sdp": "a"}, "offer_id": "b"}}))))
	f.Add([]byte(text(with(plainAnnounce, "answer", map[string]any{"sdp": "a"}, "offer_id", "b", "to_peer_id", latin1(id[:])))))
	f.Add([]byte(text(map[string]any{"action": "scrape", "info_hash": []string{latin1(hash[:])}})))
	f.Add([]byte(`{"\u0061ction":"scrape","info_hash":null,"left":-1e-400}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var m message
		err := m.parse(in, 74)
		var fields map[string]json.RawMessage
		judged := json.Unmarshal(in, &fields)
		if !utf8.Valid(in) || judged != nil || fields == nil {
			if err == nil {
				t.Fatalf("took %q, which is no JSON object: %v", in, judged)
			}
			return
		}
		if err != nil {
			return
		}
		var asked string
		if json.Unmarshal(fields["action"], &asked) != nil || asked != [...]string{announce: "announce", scrape: "scrape"}[m.action] {
			t.Fatalf("action %d of %q", m.action, in)
		}
		if m.action == scrape {
			return
		}
		judge := func(name string, got []byte) {
			var text string
			if json.Unmarshal(fields[name], &text) == nil && text != latin1(got) {
				t.Fatalf("%s %q of %q", name, got, in)
			}
		}
		judge("info_hash", m.hashes[0][:])
		judge("peer_id", m.peer[:])
		for _, raw := range append([][]byte{m.answer, m.offerID}, bodies(m.offers)...) {
			if raw != nil && !json.Valid(raw) {
				t.Fatalf("would pass %q on, of %q", raw, in)
			}
		}
	})
}

func bodies(offers []offer) (all [][]byte) {
	for _, o := range offers {
		all = append(all, o.body, o.id)
	}
	return all
}
