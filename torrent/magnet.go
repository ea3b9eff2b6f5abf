package torrent

import (
	"net/url"
	"strconv"
	"strings"
)

// Magnet returns a magnet link with the info hashes (BEP 9, BEP 52), the name,
// the length in bytes, all trackers and all web seeds.
func (m *Metainfo) Magnet() string {
	var b strings.Builder
	b.WriteString("magnet:?")
	if m.Version != V2 {
		b.WriteString("xt=urn:btih:" + m.InfoHashV1.String() + "&")
	}
	if m.Version != V1 {
		// 1220 is the multihash prefix: SHA-256, 32 bytes.
		b.WriteString("xt=urn:btmh:1220" + m.InfoHashV2.String() + "&")
	}
	b.WriteString("dn=" + escape(m.Name))
	b.WriteString("&xl=" + strconv.FormatInt(m.Length, 10))
	for _, tier := range m.Trackers() {
		for _, tracker := range tier {
			b.WriteString("&tr=" + escape(tracker))
		}
	}
	for _, seed := range m.WebSeeds {
		b.WriteString("&ws=" + escape(seed))
	}
	return b.String()
}

// escape writes a space as %20, as clients differ in what they take a + for.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
