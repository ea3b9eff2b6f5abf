package public

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// errHost says that a request is for no host that can be written into a link.
var errHost = errors.New("the header Host is no name or address of a host")

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)
})

// base returns scheme and host of a request, such as http://tracker.example:6969, by
// which its client reaches the tracker. A proxy that speaks TLS with the client says
// so by X-Forwarded-Proto; whoever claims it falsely gets links that do not work.
func base(r *http.Request) (string, error) {
	if !validHost(r.Host) {
		return "", errHost
	}
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		return "https://" + r.Host, nil
	}
	return "http://" + r.Host, nil
}

// validHost reports whether a text is a name or an IP address, with a port or not.
func validHost(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host = text
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false
	}
	inside, bracketed := strings.CutPrefix(text, "[")
	if !bracketed {
		return hostName().MatchString(host)
	}
	inside, _, _ = strings.Cut(inside, "]")
	ip, err := netip.ParseAddr(inside)
	return err == nil && ip.Is6() && ip.Zone() == "" && (text == "["+inside+"]" || text == "["+inside+"]:"+port)
}
