package console

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waggle/account"
)

// roleOf has the operations of the API that change something, or that not everybody who
// may read may call. Those that are not here read, and are for viewers.
var roleOf = map[string]account.Role{
	"upload-torrent":      account.Operator,
	"delete-torrent":      account.Operator,
	"edit-transfer":       account.Operator,
	"activate-transfer":   account.Operator,
	"deactivate-transfer": account.Operator,
	"leave-link":          account.Operator,
	"drop-link":           account.Operator,
	"reset-link":          account.Operator,
	"step-down":           account.Operator,
	"leave-cluster":       account.Operator,
	"create-passkeys":     account.Operator,
	"find-passkey":        account.Operator,
	"edit-passkey":        account.Operator,
	"revoke-passkey":      account.Operator,
	"restore-passkey":     account.Operator,
	"renew-passkey":       account.Operator,
	"reset-passkey":       account.Operator,
	"delete-passkey":      account.Operator,
	"invite-link":         account.Admin,
	"join-link":           account.Admin,
	"set-link-rights":     account.Admin,
	"list-accounts":       account.Admin,
	"create-account":      account.Admin,
	"edit-account":        account.Admin,
	"delete-account":      account.Admin,
	"list-audit":          account.Admin,
	"get-configuration":   account.Admin,
}

// needed returns the role that an operation needs.
func needed(op *huma.Operation) account.Role {
	if role, ok := roleOf[op.OperationID]; ok {
		return role
	}
	if safe(op.Method) {
		return account.Viewer
	}
	return account.Operator
}

// Paths that need more than reading, and paths that need nothing.
const (
	profilesPath = "/debug/pprof/"
	loginPath    = "/login"
)

func open(path string) bool {
	return path == loginPath || path == "/favicon.ico" || strings.HasPrefix(path, "/static/")
}

func isPage(path string) bool {
	return !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/debug/")
}

// guard finds out who makes a request, and lets through what anybody may do who has
// that role. What an operation of the API needs is for [api.authorise].
type guard struct {
	tokenFile bool
	token     [sha256.Size]byte // of the token file: its hash, so that comparing takes as long whatever its length
	accounts  *account.Accounts
	sites     *http.CrossOriginProtection

	// refuse answers a request for a page that is refused.
	refuse func(w http.ResponseWriter, r *http.Request, status int, why string)
}

// newGuard returns one for the token and the accounts of options.
func newGuard(o *Options) *guard {
	return &guard{
		tokenFile: o.Token != "", token: sha256.Sum256([]byte(o.Token)),
		accounts: o.Accounts, sites: http.NewCrossOriginProtection(),
		refuse: func(w http.ResponseWriter, _ *http.Request, status int, why string) { writeProblem(w, status, why) },
	}
}

// closed reports whether there is a credential.
func (g *guard) closed() bool { return g.tokenFile || g.accounts.Len() > 0 }

// refusal is why a request is not answered.
type refusal struct {
	status int
	why    string
	after  int // seconds, after which to try again; 0: that would not help
}

// protect lets the requests through that are allowed, with who makes them in their
// contexts.
func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // what may be kept says so itself
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // pages have their own
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		who, refused := g.admit(w, r)
		if refused == nil {
			next.ServeHTTP(w, r.WithContext(account.With(r.Context(), who)))
			return
		}
		// A stranger keeps no place, nor by a body that never comes.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refuseTime)) // in vain only if the connection is gone
		if refused.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(refused.after))
		}
		switch {
		case refused.status == http.StatusUnauthorized && isPage(r.URL.Path) && wantsHTML(r):
			http.Redirect(w, r, loginFor(r), http.StatusSeeOther)
		case isPage(r.URL.Path) && wantsHTML(r):
			g.refuse(w, r, refused.status, refused.why)
		default:
			if refused.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			writeProblem(w, refused.status, refused.why)
		}
	})
}

const challenge = `Bearer realm="waggle"`

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// loginFor returns where to log in, to go on with a request if that can be repeated.
func loginFor(r *http.Request) string {
	if !safe(r.Method) {
		return loginPath
	}
	return loginPath + "?" + url.Values{"next": {account.LocalPath(r.URL.RequestURI())}}.Encode()
}

// admit returns who makes a request, or why it is refused.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) (account.Identity, *refusal) {
	if g.sites.Check(r) != nil {
		return account.Identity{}, &refusal{status: http.StatusForbidden, why: "this request comes from a web page of another site, which may change nothing here"}
	}
	if embedded(r) {
		return account.Identity{}, &refusal{status: http.StatusForbidden, why: "this request comes from a web page of another site, which may only lead here"}
	}
	who, refused := g.identify(r)
	if refused != nil || open(r.URL.Path) {
		return who, refused
	}
	if refused := mayEnter(&who, r.URL.Path); refused != nil {
		return who, refused
	}
	if who.CSRF != "" && !safe(r.Method) && !carries(w, r, who.CSRF) {
		return who, &refusal{status: http.StatusForbidden, why: "this request does not carry what the pages of this session do: load the page again; " +
			"a script sends the header " + csrfHeader + ", or uses a token"}
	}
	return who, nil
}

// embedded reports whether a browser fetches something for a page of another site, and not
// because somebody follows a link. Such a page could not read the answer, but have those made
// that take time or keep a place, or learn how long one took; profiles are not even linked to.
// Browsers that do not say what they fetch for are as programs.
func embedded(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" || strings.HasPrefix(r.URL.Path, profilesPath)
	}
	return false
}

// identify returns who makes a request; nobody, where that is not to be found out.
func (g *guard) identify(r *http.Request) (account.Identity, *refusal) {
	from := account.ClientAddress(r)
	if !g.closed() {
		if !fromHere(r) {
			return account.Identity{}, &refusal{status: http.StatusForbidden, why: "this console answers at its loopback address only; " +
				"with an account (waggle token create) or console.token_file it answers elsewhere too"}
		}
		return account.Identity{Name: account.NameLoopback, Role: account.Admin, Via: account.ViaLoopback, Address: from}, nil
	}
	if token, shown := bearer(r); shown {
		return g.byToken(r, token, from)
	}
	if who, ok := g.accounts.Session(r); ok {
		return who, nil
	}
	if fromHere(r) {
		return account.Identity{Name: account.NameLoopback, Role: account.Viewer, Via: account.ViaLoopback, Address: from}, nil
	}
	return account.Identity{Address: from}, nil
}

func (g *guard) byToken(r *http.Request, token string, from netip.Addr) (account.Identity, *refusal) {
	if g.isTokenFile(token) {
		return account.Identity{Name: account.NameTokenFile, Role: account.Admin, Via: account.ViaTokenFile, Address: from}, nil
	}
	who, err := g.accounts.Token(r.Context(), from, token)
	if err == nil {
		return who, nil
	}
	if limited, ok := errors.AsType[*account.LimitedError](err); ok {
		return who, &refusal{status: http.StatusTooManyRequests, why: err.Error(), after: limited.Seconds()}
	}
	switch {
	case errors.Is(err, account.ErrBusy):
		return who, &refusal{status: http.StatusTooManyRequests, why: err.Error(), after: 1}
	case errors.Is(err, account.ErrExpired):
		return who, &refusal{status: http.StatusUnauthorized, why: err.Error()}
	case errors.Is(err, account.ErrWrong):
		return who, &refusal{status: http.StatusUnauthorized, why: "this is neither the token of an account, or not any more, nor that of console.token_file"}
	}
	return who, &refusal{status: http.StatusServiceUnavailable, why: "the token could not be looked at: try again", after: 1}
}

func (g *guard) isTokenFile(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return g.tokenFile && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// mayEnter refuses who may not even read what is at a path.
func mayEnter(who *account.Identity, path string) *refusal {
	need := account.Viewer
	if strings.HasPrefix(path, profilesPath) {
		need = account.Admin
	}
	switch {
	case who.Role >= need:
		return nil
	case who.Role == account.Nobody:
		return &refusal{status: http.StatusUnauthorized, why: "another machine needs a token as Authorization: Bearer TOKEN, that of an account or of console.token_file, or a log-in"}
	}
	return tooLittle(who, need)
}

// tooLittle refuses what somebody's role is too low for.
func tooLittle(who *account.Identity, need account.Role) *refusal {
	if who.Via == account.ViaLoopback {
		return &refusal{status: http.StatusUnauthorized, why: "this machine may only read; for this one needs the token of an account that is " + need.String() +
			", or of console.token_file, as Authorization: Bearer TOKEN (commands: --token-file)"}
	}
	return &refusal{status: http.StatusForbidden, why: "this is for the role " + need.String() + "; " + who.Name + " is " + who.Role.String() + ": ask an admin for more"}
}

// authorise lets operations of the API through for which the role of who calls them is
// high enough, from within the process too.
func (a *api) authorise(ctx huma.Context, next func(huma.Context)) {
	who, need := account.From(ctx.Context()), needed(ctx.Operation())
	var refused *refusal
	switch {
	case who.Role == account.Nobody:
		refused = &refusal{status: http.StatusUnauthorized, why: "nobody is logged in"}
	case who.Ended(), who.Via == account.ViaLoopback && who.Role > account.Viewer && a.accounts.Len() > 0:
		refused = &refusal{status: http.StatusUnauthorized, why: "this session or account has ended: log in again"}
	case who.Role < need:
		refused = tooLittle(&who, need)
	default:
		next(ctx)
		return
	}
	if refused.status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", challenge)
	}
	_ = huma.WriteErr(a.huma, ctx, refused.status, refused.why) // in vain only if whoever asked is gone
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

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// marksOfProxies are headers that some proxies add, and clients do not.
var marksOfProxies = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// fromHere reports whether a request comes from this machine and was meant for it.
// A browser sends one for another host's name when that name was made to mean this
// machine; a proxy sends one for somebody else. Where nobody has set that up, nginx says
// so by speaking HTTP/1.0 alone.
func fromHere(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) || slices.ContainsFunc(marksOfProxies, func(h string) bool { return r.Header.Get(h) != "" }) {
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

// Where a request that a session makes says that it comes from a page of waggle's.
const (
	csrfHeader = "X-CSRF-Token"
	csrfField  = "csrf"
)

// What is read of a body to find that.
const (
	maxForm  = 256 << 10 // a form without files
	peekForm = 4 << 10   // of one with files, whose first field it must be
)

// carries reports whether a request carries what its session demands. The body can be
// read as before.
func carries(w http.ResponseWriter, r *http.Request, csrf string) bool {
	got := r.Header.Get(csrfHeader)
	if got == "" {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerTime)) // in vain only if the connection is gone
		got = fromForm(w, r)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(csrf)) == 1
}

func fromForm(w http.ResponseWriter, r *http.Request) string {
	media, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "application/x-www-form-urlencoded":
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if r.ParseForm() != nil { // remembers what it reads
			return ""
		}
		return r.PostForm.Get(csrfField)
	case "multipart/form-data":
		head, err := io.ReadAll(io.LimitReader(r.Body, peekForm))
		r.Body = rest{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
		if err != nil {
			return ""
		}
		return firstField(head, parameters["boundary"])
	}
	return ""
}

// rest is a body of which something was read.
type rest struct {
	io.Reader
	io.Closer
}

// firstField returns the field that a form begins with, if it is the one.
func firstField(head []byte, boundary string) string {
	if boundary == "" {
		return ""
	}
	part, err := multipart.NewReader(bytes.NewReader(head), boundary).NextPart()
	if err != nil || part.FormName() != csrfField {
		return ""
	}
	value, err := io.ReadAll(io.LimitReader(part, 128))
	if err != nil {
		return ""
	}
	return string(value)
}
