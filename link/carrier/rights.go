package carrier

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What of .torrent files may travel over a link, as Rights.Share says.
const (
	ShareOff     = "off"
	ShareReceive = "receive"
	ShareSend    = "send"
	ShareBoth    = "both"
)

// MaxTorrents is the most torrents that rights can name.
const MaxTorrents = 2048

// Rights are what a leaf may do on its link. The carrier keeps them and tells both
// sides of them; it does not look at messages, so others enforce them.
type Rights struct {
	Receive bool `json:"receive"` // the leaf is told of peers
	Send    bool `json:"send"`    // the leaf tells of peers

	// Torrents are the info hashes, in hexadecimal, that the leaf may tell and be told
	// of; none: all.
	Torrents []string `json:"torrents,omitempty"`

	// Share is what of .torrent files the leaf may do; "" is ShareOff.
	Share string `json:"share,omitempty"`

	Peers            int `json:"peers,omitempty"`              // most peers that come by the leaf; 0: as the hub says for all
	ChangesPerSecond int `json:"changes_per_second,omitempty"` // most changes that the leaf tells; 0: as the hub says for all
}

// Check returns what is wrong with the rights, in words for whoever grants them.
func (r *Rights) Check() error {
	switch {
	case !r.Receive && !r.Send:
		return errors.New("a leaf that may neither receive nor send has no use: allow one of them, or both")
	case !slices.Contains([]string{"", ShareOff, ShareReceive, ShareSend, ShareBoth}, r.Share):
		return fmt.Errorf("share is %q: it is %s, %s, %s or %s", r.Share, ShareOff, ShareReceive, ShareSend, ShareBoth)
	case r.Peers < 0 || r.ChangesPerSecond < 0:
		return errors.New("the most peers and changes a second are 0, for no limit of its own, or more")
	case len(r.Torrents) > MaxTorrents:
		return fmt.Errorf("%d torrents are named: at most %d can be; name none to allow all", len(r.Torrents), MaxTorrents)
	}
	for _, h := range r.Torrents {
		if b, err := hex.DecodeString(h); err != nil || len(b) != 20 {
			return fmt.Errorf("%q is not an info hash: 40 hexadecimal digits are one", h)
		}
	}
	return nil
}

func (r *Rights) equal(other *Rights) bool {
	return r.Receive == other.Receive && r.Send == other.Send && r.Share == other.Share &&
		r.Peers == other.Peers && r.ChangesPerSecond == other.ChangesPerSecond &&
		slices.Equal(r.Torrents, other.Torrents)
}

// CheckName returns what is wrong with the name of a hub or a leaf: it has 1 to 64
// letters of ASCII, digits, - and _.
func CheckName(name string) error {
	strange := func(r rune) bool { return !strings.ContainsRune(nameLetters, r) }
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, strange) {
		return fmt.Errorf("%q cannot be the name of a hub or a leaf: 1 to 64 letters of ASCII, digits, - and _ can", cut(name, 80))
	}
	return nil
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// cut returns at most the first n bytes of what came from outside.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
