package udp

import (
	"strings"
	"unsafe"

	"waggle/bittorrent"
)

// passkey returns the passkey in the path of the announce URL that options carry (BEP 41), ""
// where there is none. It is good until the next one is asked for.
func (p *responder) passkey(options []byte) string {
	if !p.passkeys || len(options) == 0 {
		return ""
	}
	url, err := bittorrent.AppendURLData(p.urlData[:0], options)
	if err != nil || len(url) == 0 {
		return ""
	}
	path, _, _ := strings.Cut(unsafe.String(&url[0], len(url)), "?")
	passkey, _, _ := bittorrent.PasskeyPath(path)
	return passkey
}
