package console

import (
	"bytes"
	"encoding/hex"
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
}

func newSwarmQuery(text string) *swarmQuery {
	text = strings.ToLower(strings.TrimSpace(text))
	q := &swarmQuery{text: []byte(text)}
	q.prefix, q.isHash = parseHashPrefix(text)
	return q
}

// matches reports whether a transfer is found.
func (q *swarmQuery) matches(t *catalog.Transfer) bool {
	if len(q.text) == 0 || q.in(t.Name) || q.in(t.File) {
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
	q.buf = q.buf[:0]
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return strings.Contains(strings.ToLower(text), string(q.text))
		}
		q.buf = append(q.buf, lower(text[i]))
	}
	return bytes.Contains(q.buf, q.text)
}

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
