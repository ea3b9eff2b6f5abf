package account

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// Cookie is the name of the cookie that has a session.
const Cookie = "waggle_session"

// LogIn lets somebody in by name and secret, a password or a token, and gives the
// browser the cookie of a new session, which takes the place of the one that it had. It
// is not for requests from web pages of other sites.
//
// Errors are [ErrWrong], [ErrExpired], a [*LimitedError], [ErrBusy], that of the request's
// context, or of a [Shared] store; then the answer is untouched. The audit log has who was
// let in and who was wrong, but not what was asked too often, or as a name that no account
// has: people sometimes write their password there.
func (a *Accounts) LogIn(w http.ResponseWriter, r *http.Request, name, secret string) (Identity, error) {
	ctx, from := r.Context(), ClientAddress(r)
	e, err := a.verify(ctx, from, name, secret)
	if err != nil {
		a.noteWrong(ctx, e, from, ViaSession, err)
		return Identity{}, err
	}
	cookie, s, err := a.beginSession(ctx, e)
	if err != nil {
		return Identity{}, err
	}
	if old, err := r.Cookie(Cookie); err == nil {
		a.endSession(ctx, old.Value)
	}
	http.SetCookie(w, a.cookie(r, cookie, 0))
	i := s.identity(from)
	a.Note(ctx, i.Entry(LogIn, "", Done))
	return i, nil
}

// LogOut ends the session of a request, where it has one, and takes the cookie back.
func (a *Accounts) LogOut(w http.ResponseWriter, r *http.Request) {
	i, ok := a.Session(r)
	if ok {
		cookie, _ := r.Cookie(Cookie) // Session has found it
		a.endSession(r.Context(), cookie.Value)
		a.Note(r.Context(), i.Entry(LogOut, "", Done))
	}
	http.SetCookie(w, a.cookie(r, "", -1))
}

// Session returns whose session a request belongs to, and counts the session as used.
// It does not look at what the request must carry to change anything: [Identity.CSRF].
func (a *Accounts) Session(r *http.Request) (Identity, bool) {
	cookie, err := r.Cookie(Cookie)
	if err != nil {
		return Identity{}, false
	}
	s := a.findSession(r.Context(), cookie.Value)
	if s == nil {
		return Identity{}, false
	}
	return s.identity(ClientAddress(r)), true
}

func (s *session) identity(from netip.Addr) Identity {
	e := s.entry
	return Identity{Name: e.record.Name, Role: e.record.Role, Via: ViaSession, Address: from, CSRF: s.csrf, entry: e, session: s}
}

// cookie is one for as long as the browser runs, where age is 0.
func (*Accounts) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: Cookie, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: Secure(r),
	}
}

// Secure reports whether a browser's request came over TLS: to waggle itself, or to a
// proxy on this machine, which says so by X-Forwarded-Proto. Cookies that answer it are
// for such requests alone.
func Secure(r *http.Request) bool {
	return r.TLS != nil || fromLoopback(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func fromLoopback(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// ClientAddress returns where a request comes from. A proxy on this machine names its
// client last in X-Forwarded-For; nobody else's header counts. It is not valid where it
// is not known.
func ClientAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.Unmap().IsLoopback() {
		return peer.Unmap()
	}
	lines := r.Header.Values("X-Forwarded-For")
	if len(lines) == 0 {
		return peer.Unmap()
	}
	hops := strings.Split(lines[len(lines)-1], ",")
	client, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
	if err != nil {
		return peer.Unmap()
	}
	return client.Unmap().WithZone("")
}

// noteWrong writes down that somebody was not let in. What is the tracker's own fault,
// or was not looked at, is left out.
func (a *Accounts) noteWrong(ctx context.Context, e *entry, from netip.Addr, via Via, err error) {
	if !errors.Is(err, ErrWrong) && !errors.Is(err, ErrExpired) {
		return
	}
	entry := Entry{Via: via, Address: from, What: LogIn, Outcome: err.Error()}
	if e != nil {
		entry.Name = e.record.Name
	}
	a.NoteRefusal(ctx, entry)
}

// LocalPath returns a path of this console to go on to, as a request says: "/" where
// that would lead elsewhere.
func LocalPath(path string) string {
	u, err := url.Parse(path)
	switch {
	case err != nil, u.Scheme != "", u.Host != "", u.User != nil, len(path) > 2048,
		!strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"), strings.Contains(path, `\`),
		strings.ContainsFunc(path, unicode.IsControl):
		return "/"
	}
	return path
}
