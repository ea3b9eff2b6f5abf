package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guard says who may do what.
type guard struct {
	closed bool              // there is a token
	token  [sha256.Size]byte // its hash, so that comparing takes as long whatever its length
	sites  *http.CrossOriginProtection
}

func newGuard(token string) *guard {
	return &guard{closed: token != "", token: sha256.Sum256([]byte(token)), sites: http.NewCrossOriginProtection()}
}

// protect lets the requests through that are allowed.
func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, why := g.refusal(r)
		if status == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="waggle"`)
		}
		w.Header().Set("Connection", "close") // a stranger keeps no place
		writeProblem(w, status, why)
	})
}

// refusal returns the status and reason of what a request is refused with, or 0.
func (g *guard) refusal(r *http.Request) (status int, why string) {
	if g.sites.Check(r) != nil {
		return http.StatusForbidden, "this request comes from a web page of another site, which may change nothing here"
	}
	if !g.closed {
		if !fromHere(r) {
			return http.StatusForbidden, "this console answers at its loopback address only; with console.token_file it answers elsewhere too"
		}
		return 0, ""
	}
	switch token, shown := bearer(r); {
	case shown && g.matches(token):
		return 0, ""
	case shown:
		return http.StatusUnauthorized, "this is not the token of console.token_file"
	case fromHere(r) && reads(r):
		return 0, ""
	case fromHere(r):
		return http.StatusUnauthorized, "this changes something, so it needs the token of console.token_file as Authorization: Bearer TOKEN"
	}
	return http.StatusUnauthorized, "another machine needs the token of console.token_file as Authorization: Bearer TOKEN"
}

func (g *guard) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// bearer returns the token that a request shows (RFC 6750), and whether it shows
// any credential.
func bearer(r *http.Request) (token string, shown bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", false
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// fromHere reports whether a request comes from this machine and was meant for it.
// A browser sends one for another host's name when that name was made to mean this
// machine; a proxy sends one for somebody else.
func fromHere(r *http.Request) bool {
	if r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" {
		return false
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !client.Addr().Unmap().IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}
