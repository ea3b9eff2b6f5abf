package link

import (
	"encoding/binary"
	"strings"

	"waggle/link/carrier"
	"waggle/link/core"
	"waggle/torrent"
)

// Of each tracker a message has: its origin (8 bytes), hops (1), the length of its name
// (1), the name, the length of its URLs (2), the URLs.

// writeTrackers writes as many trackers as may be told.
func writeTrackers(all []reach) (b []byte) {
	for i := range all[:min(len(all), mostTrackers)] {
		r := &all[i]
		if len(b)+8+1+1+len(r.name)+2+len(r.urls) > core.MaxFileData {
			break
		}
		b = append(binary.BigEndian.AppendUint64(b, uint64(r.origin)), r.hops)
		b = append(append(b, byte(len(r.name))), r.name...)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(r.urls))), r.urls...)
	}
	return b
}

// readTrackers reads what [writeTrackers] has written, up to the first fault. Who has no
// origin or name, or no URL of a tracker, or is too far away, is left out, and so are URLs
// that are none, and all but one that say to be the other end themselves.
func readTrackers(b []byte) (all []reach) {
	near := false
	for len(b) >= 8+1+1 && len(all) < mostTrackers {
		r := reach{origin: core.Origin(binary.BigEndian.Uint64(b)), hops: b[8]}
		name, rest, ok := cutBytes(b[9:], 1)
		if !ok {
			break
		}
		urls, rest, ok := cutBytes(rest, 2)
		if !ok {
			break
		}
		b = rest
		if len(urls) > mostURLBytes || carrier.CheckName(string(name)) != nil || r.hops > mostHops || near && r.hops == 0 {
			continue
		}
		r.name, r.urls = string(name), trackerURLs(string(urls))
		if r.origin != 0 && r.urls != "" {
			near = near || r.hops == 0
			all = append(all, r)
		}
	}
	return all
}

// cutBytes takes bytes off that their length in so many bytes stands before.
func cutBytes(b []byte, lengthBytes int) (some, rest []byte, ok bool) {
	if len(b) < lengthBytes {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:lengthBytes] {
		n = n<<8 | int(c)
	}
	if b = b[lengthBytes:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// trackerURLs leaves out what is no URL of a tracker.
func trackerURLs(text string) string {
	var good []string
	for _, u := range strings.Fields(text) {
		if torrent.CheckTrackerURL(u) == nil && !strings.ContainsFunc(u, strange) {
			good = append(good, u)
		}
	}
	return strings.Join(good, " ")
}

// strange reports what stands in no URL, or has a meaning where URLs are listed.
func strange(r rune) bool { return r <= ' ' || r > '~' || r == ',' }
