package udp

import (
	"strings"
	"unsafe"

	"waggle/bittorrent"
)

// token returns the token that the announce URL has which options carry (BEP 41), "" where
// there is none. It is good until the next one is asked for.
func (p *responder) token(options []byte) string {
	if len(options) == 0 {
		return ""
	}
	var err error
	if p.shown, err = bittorrent.AppendURLData(p.shown[:0], options); err != nil {
		return ""
	}
	_, query, _ := strings.Cut(unsafe.String(unsafe.SliceData(p.shown), len(p.shown)), "?")
	return bittorrent.Token(query)
}
