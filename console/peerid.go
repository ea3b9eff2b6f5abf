package console

import (
	"fmt"
	"strconv"
	"strings"

	"waggle/bittorrent"
)

// clients are names by their two letters in ids of the form -qB4520-, from BEP 20
// and the clients themselves.
var clients = map[string]string{
	"7T": "aTorrent", "AG": "Ares", "AZ": "Vuze", "BC": "BitComet", "BI": "BiglyBT", "BT": "BitTorrent",
	"DE": "Deluge", "FD": "Free Download Manager", "GT": "anacrolix/torrent", "KT": "KTorrent", "LT": "libtorrent",
	"PI": "PicoTorrent", "TB": "BitTorrent Web", "TR": "Transmission", "TX": "Tixati", "UM": "µTorrent for Mac",
	"UT": "µTorrent", "UW": "µTorrent Web", "WW": "WebTorrent", "XL": "Xunlei", "lt": "rTorrent", "qB": "qBittorrent",
}

// clientName returns the name and version of the client that gave itself an id, or
// "" if the id does not tell (BEP 20). Of libtorrent, version 2.0.8 is -LT2080-;
// letters are digits beyond 9, as in -DE13A0-. WebTorrent 2.2 is -WW0202-.
func clientName(id bittorrent.PeerID) string {
	if strings.HasPrefix(string(id[:]), "A2-") { // A2-1-36-0-
		version, _, _ := strings.Cut(string(id[3:]), "\x00")
		parts := strings.Split(version, "-")
		if len(parts) > 3 && numeric(parts[:3]) {
			return "aria2 " + strings.Join(parts[:3], ".")
		}
		return "aria2"
	}
	if id[0] != '-' || id[7] != '-' {
		return ""
	}
	name, known := clients[string(id[1:3])]
	if !known {
		return ""
	}
	version, ok := versionOf(id[3:7])
	if name == "WebTorrent" {
		version, ok = versionInPairs(string(id[3:7]))
	}
	if !ok {
		return name
	}
	return name + " " + version
}

func numeric(parts []string) bool {
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// versionInPairs reads two digits and two digits.
func versionInPairs(digits string) (version string, ok bool) {
	major, err1 := strconv.ParseUint(digits[:2], 10, 8)
	minor, err2 := strconv.ParseUint(digits[2:], 10, 8)
	return fmt.Sprintf("%d.%d", major, minor), err1 == nil && err2 == nil
}

// versionOf reads four digits, of which the last is left out if it is 0.
func versionOf(digits []byte) (version string, ok bool) {
	const all = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var parts []string
	for i, c := range digits {
		value := strings.IndexByte(all, c)
		if value < 0 {
			return "", false
		}
		if i < 3 || value > 0 {
			parts = append(parts, strconv.Itoa(value))
		}
	}
	return strings.Join(parts, "."), true
}
