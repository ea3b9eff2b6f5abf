package bittorrent

import (
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// Error is a fault in what a stranger sent, in words that may be sent back as
// a tracker's "failure reason". Errors of this package are constants, so that
// refusing a request allocates nothing.
type Error string

// Error returns the words.
func (e Error) Error() string { return string(e) }

// InfoHash names a torrent: the SHA-1 of its info dictionary (BEP 3), or the
// first 20 bytes of the SHA-256 where the torrent is of version 2 (BEP 52),
// since trackers and handshakes have room for 20 bytes only.
type InfoHash [20]byte

// InfoHashV2 is the whole SHA-256 of a version 2 info dictionary (BEP 52).
type InfoHashV2 [32]byte

// Truncated returns the 20 bytes by which trackers know a version 2 torrent.
func (h InfoHashV2) Truncated() InfoHash { return InfoHash(h[:20]) }

// String returns 64 lower-case hexadecimal digits.
func (h InfoHashV2) String() string { return hex.EncodeToString(h[:]) }

// Faults of an info hash in text.
const (
	ErrInfoHashText Error = "info hash: want 40 hexadecimal digits (v1), 64 (v2) or 32 base32 characters"
)

// ParseInfoHash reads an info hash as people write it: 40 hexadecimal digits,
// 64 of version 2 (which are truncated), or the 32 base32 characters of older
// magnet links. Letters may be of either case. The error is [ErrInfoHashText].
func ParseInfoHash(s string) (InfoHash, error) {
	var h InfoHash
	switch len(s) {
	case 40:
		if _, err := hex.Decode(h[:], []byte(s)); err != nil {
			return InfoHash{}, ErrInfoHashText
		}
		return h, nil
	case 64:
		var v2 InfoHashV2
		if _, err := hex.Decode(v2[:], []byte(s)); err != nil {
			return InfoHash{}, ErrInfoHashText
		}
		return v2.Truncated(), nil
	case 32:
		if _, err := base32.StdEncoding.Decode(h[:], []byte(strings.ToUpper(s))); err != nil {
			return InfoHash{}, ErrInfoHashText
		}
		return h, nil
	}
	return InfoHash{}, ErrInfoHashText
}

// String returns 40 lower-case hexadecimal digits.
func (h InfoHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText makes an info hash readable in JSON and logs.
func (h InfoHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of MarshalText; it takes what [ParseInfoHash] takes.
func (h *InfoHash) UnmarshalText(text []byte) error {
	parsed, err := ParseInfoHash(string(text))
	*h = parsed
	return err
}

// PeerID is the 20 bytes by which a client calls itself (BEP 3). By the
// convention of BEP 20 its first bytes tell client and version.
type PeerID [20]byte

// String returns the id with everything that is not printable ASCII escaped as
// in a URL, so that it is safe in a log or a page.
func (id PeerID) String() string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range id {
		if c > ' ' && c < 0x7f && c != '%' && c != '"' && c != '<' && c != '>' && c != '&' && c != '\'' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
