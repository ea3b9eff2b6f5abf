package torrent

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"waggle/bittorrent"
)

// WithTrackers returns the .torrent b with other trackers: tiers of URLs as in
// [CreateOptions], of which "announce" has the first, and "announce-list" all if
// there are several (BEP 12); without tiers it has neither. Nothing else changes.
// Every other key stands with its bytes and in its place, so the info dictionary
// and its hashes are the same, and keys that were sorted still are. b is left
// alone.
//
// It is an error if [Parse] refuses b, or a tier is empty, or [CheckTrackerURL]
// refuses a URL.
func WithTrackers(b []byte, tiers [][]string) ([]byte, error) {
	if err := checkTiers(tiers); err != nil {
		return nil, err
	}
	if _, err := Parse(b); err != nil {
		return nil, err
	}
	root, err := bittorrent.ParseBencode(b)
	if err != nil {
		return nil, err
	}
	added := []string{"announce", "announce-list"}
	dst := append(make([]byte, 0, len(b)), 'd')
	for key, value := range root.Dict() {
		for len(added) > 0 && string(key) >= added[0] {
			dst = appendTrackers(dst, added[0], tiers)
			added = added[1:]
		}
		if string(key) == "announce" || string(key) == "announce-list" {
			continue
		}
		dst = bittorrent.AppendBytes(dst, key)
		dst = append(dst, value.Raw()...)
	}
	for _, key := range added {
		dst = appendTrackers(dst, key, tiers)
	}
	dst = append(dst, 'e')
	if len(dst) > MaxFileSize {
		return nil, fmt.Errorf("with these trackers the .torrent would be larger than %d MiB; name fewer", MaxFileSize>>20)
	}
	// One unsorted key more can be one too many.
	if _, err := bittorrent.ParseBencode(dst); err != nil {
		return nil, fmt.Errorf("with these trackers nobody could read the .torrent: %w", err)
	}
	return dst, nil
}

func checkTiers(tiers [][]string) error {
	for _, tier := range tiers {
		if len(tier) == 0 {
			return errors.New("announce: a tier names no tracker")
		}
		for _, u := range tier {
			if err := CheckTrackerURL(u); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckTrackerURL returns nil if u can be announced to: an absolute URL with a
// host and one of the schemes udp (BEP 15), http, https (BEP 3), ws and wss (as
// WebTorrent does). UDP has no default port, so it needs one.
func CheckTrackerURL(u string) error {
	if err := checkURL(u, "udp", "http", "https", "ws", "wss"); err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	if parsed, _ := ParseTracker(u); parsed.Scheme == "udp" && parsed.Port() == "" {
		return fmt.Errorf("tracker: %q: a udp tracker needs a port, such as udp://%s:6969", u, parsed.Host)
	}
	return nil
}

// ParseTracker reads the URL of a tracker. The interface of an IPv6 address may be
// written as people do, %eth0, beside the %25eth0 that URLs want.
func ParseTracker(u string) (*url.URL, error) {
	before, zone, found := strings.Cut(u, "%")
	if found && strings.Contains(before, "//[") && !strings.Contains(before, "]") && !strings.HasPrefix(zone, "25") {
		u = before + "%25" + zone
	}
	return url.Parse(u)
}

func checkURL(u string, schemes ...string) error {
	parsed, err := ParseTracker(u)
	if err != nil {
		return fmt.Errorf("%q is not a URL: %w", u, errors.Unwrap(err))
	}
	known := false
	for _, scheme := range schemes {
		known = known || parsed.Scheme == scheme
	}
	if !known {
		return fmt.Errorf("%q: want a URL that begins with one of %s", u, strings.Join(schemes, "://, ")+"://")
	}
	if parsed.Hostname() == "" {
		return fmt.Errorf("%q names no host", u)
	}
	if port := parsed.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: port %s is not one of 1 to 65535", u, port)
		}
	}
	if strings.ContainsAny(u, " \t") {
		return fmt.Errorf("%q has a space in it; write %%20", u)
	}
	return nil
}
