package console

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/torrent"
)

// swarmQuery finds swarms by a part of their names, or by how their info hashes begin.
// It is for one goroutine.
type swarmQuery struct {
	text   []byte // in small letters; empty: finds everything
	prefix hashPrefix
	isHash bool   // the text may be how a hash begins
	buf    []byte // reused
	near   byte   // of fetchNames
}

func newSwarmQuery(text string) *swarmQuery {
	text = strings.ToLower(strings.TrimSpace(text))
	q := &swarmQuery{text: []byte(text)}
	q.prefix, q.isHash = parseHashPrefix(text)
	return q
}

// all reports whether everything is found.
func (q *swarmQuery) all() bool { return len(q.text) == 0 }

// matches reports whether a transfer is found.
func (q *swarmQuery) matches(t *catalog.Transfer) bool {
	if q.all() || q.in(t.Name) || q.in(t.File) {
		return true
	}
	if !q.isHash {
		return false
	}
	if t.Version == torrent.Hybrid {
		if h := t.InfoHashV2.Truncated(); q.prefix.of(&h) {
			return true
		}
	}
	return q.prefix.of(&t.InfoHash)
}

// findsUnlisted reports whether a swarm can be found of which only the hash is known.
func (q *swarmQuery) findsUnlisted() bool { return q.isHash }

// in reports whether the query is a part of a text. Letters of ASCII are compared
// without making a copy of most texts.
func (q *swarmQuery) in(text string) bool {
	q.buf = slices.Grow(q.buf[:0], len(text))[:len(text)]
	var all byte
	for i := range len(text) {
		all |= text[i]
		q.buf[i] = lowered[text[i]]
	}
	if all >= utf8.RuneSelf {
		return strings.Contains(strings.ToLower(text), string(q.text))
	}
	return bytes.Contains(q.buf, q.text)
}

// lowered has the small letter of each letter of ASCII.
var lowered = func() (table [256]byte) {
	for c := range table {
		table[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			table[c] = byte(c) + 'a' - 'A'
		}
	}
	return table
}()

// hashPrefix is how an info hash begins.
type hashPrefix struct {
	low, high bittorrent.InfoHash // the first and the last that begin so
}

// parseHashPrefix reads up to 40 hexadecimal digits; none are the beginning of all.
func parseHashPrefix(digits string) (p hashPrefix, ok bool) {
	const most = 2 * len(bittorrent.InfoHash{})
	if len(digits) > most {
		return hashPrefix{}, false
	}
	rest := most - len(digits)
	_, err := hex.Decode(p.low[:], []byte(digits+strings.Repeat("0", rest)))
	if err != nil {
		return hashPrefix{}, false
	}
	_, err = hex.Decode(p.high[:], []byte(digits+strings.Repeat("f", rest)))
	return p, err == nil
}

// of reports whether a hash begins so.
func (p *hashPrefix) of(h *bittorrent.InfoHash) bool {
	return bytes.Compare(h[:], p.low[:]) >= 0 && bytes.Compare(h[:], p.high[:]) <= 0
}
