package bittorrent

import "strings"

// maxPasskey is how many bytes a passkey has at most.
const maxPasskey = 128

// PasskeyPath takes apart the path of an announce URL that has a passkey in it, which is
// /PASSKEY/announce or /announce/PASSKEY, or the same with scrape: resource is announce or
// scrape. A passkey has letters and digits of ASCII, "-" and "_". Any other path is not ok.
func PasskeyPath(path string) (passkey, resource string, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return "", "", false
	}
	passkey, resource, ok = strings.Cut(path, "/")
	if !isResource(resource) {
		passkey, resource = resource, passkey
	}
	if !ok || !isResource(resource) || passkey == "" || len(passkey) > maxPasskey {
		return "", "", false
	}
	for i := range len(passkey) {
		c := passkey[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", "", false
		}
	}
	return passkey, resource, true
}

func isResource(part string) bool { return part == "announce" || part == "scrape" }

// PasskeyURL returns an announce URL with a passkey in the path, before its last part.
func PasskeyURL(announce, passkey string) string {
	rest, query, asked := strings.Cut(announce, "?")
	at := strings.LastIndexByte(rest, '/') + 1
	url := rest[:at] + passkey + "/" + rest[at:]
	if asked {
		url += "?" + query
	}
	return url
}
