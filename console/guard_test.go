package console

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"waggle/account"
)

// guarded is a guard with one account, anna, before a page that says who asks, and what
// form came.
func guarded(t *testing.T) (h http.Handler, cookie *http.Cookie, csrf string) {
	t.Helper()
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := accounts.Create(t.Context(), account.New{Name: "anna", Role: account.Admin})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	who, err := accounts.LogIn(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil), "anna", token)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(&Options{Accounts: accounts})
	g.refuse = func(w http.ResponseWriter, _ *http.Request, status int, why string) {
		w.Header().Set("Content-Type", "text/html")
		http.Error(w, "<p>"+why, status)
	}
	return g.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, account.From(r.Context()).Name+" ")
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			_ = r.ParseMultipartForm(1 << 20)
		}
		_, _ = io.WriteString(w, r.FormValue("text"))
	})), w.Result().Cookies()[0], who.CSRF
}

func TestBrowserIsSentToLogIn(t *testing.T) {
	h, _, _ := guarded(t)
	const html = "text/html,application/xhtml+xml"
	for _, test := range []struct {
		method, path, accept string
		status               int
		location             string
	}{
		{"GET", "/transfers/x?limit=1", html, 303, "/login?next=%2Ftransfers%2Fx%3Flimit%3D1"},
		{"GET", "//evil.example/", html, 303, "/login?next=%2F"},
		{"POST", "/upload", html, 303, "/login"},
		{"GET", "/transfers/x", "", 401, ""},
		{"GET", "/api/v1/transfers", html, 401, ""},
		{"GET", "/debug/pprof/", html, 401, ""},
		{"GET", "/login", html, 200, ""},
		{"POST", "/login", html, 200, ""},
		{"GET", "/static/x", html, 200, ""},
		{"GET", "/favicon.ico", html, 200, ""},
		{"GET", "/login/x", html, 303, "/login?next=%2Flogin%2Fx"},
		{"GET", "/staticx", html, 303, "/login?next=%2Fstaticx"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "http://tracker.example"+test.path, nil)
		r.Header.Set("Accept", test.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location {
			t.Errorf("%s %s: status %d, to %q", test.method, test.path, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestNothingIsKeptByOthersUnlessItSaysSo(t *testing.T) {
	h, _, _ := guarded(t)
	for _, host := range []string{"tracker.example", "127.0.0.1"} { // refused, and answered
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/figures", nil)
		r.RemoteAddr = "127.0.0.1:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == 200) != (host == "127.0.0.1") || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v", host, w.Code, w.Header())
		}
	}
}

func TestPathThatEscapesFromAnOpenOneIsNotOpen(t *testing.T) {
	h, _, _ := guarded(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /transfers", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	for _, path := range []string{"/static/../transfers", "/static/%2e%2e/transfers", "/static/..%2ftransfers", "//static/../transfers"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://tracker.example"+path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		mux.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s shows it", path)
		}
	}
}

func TestRequestThatAProxyPassesOnIsNotOfThisMachine(t *testing.T) {
	h, _, _ := guarded(t)
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"none":      {func(*http.Request) {}, 200},
		"forwarded": {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 401},
		"real ip":   {func(r *http.Request) { r.Header.Set("X-Real-IP", "192.0.2.1") }, 401},
		"via":       {func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") }, 401},
		"old nginx": {func(r *http.Request) { r.ProtoMinor = 0 }, 401},
		"host":      {func(r *http.Request) { r.Host = "tracker.example" }, 401},
		"elsewhere": {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:6970/figures", nil)
		r.RemoteAddr = "127.0.0.1:1"
		test.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// files is a form of these fields, in their order, with a file.
func files(t *testing.T, fields ...string) (body []byte, media string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateFormFile("file", "a.torrent")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

func TestFormMustCarryWhatItsPageGaveIt(t *testing.T) {
	h, cookie, csrf := guarded(t)
	form := func(fields ...string) (body []byte, media string) {
		values := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			values.Add(fields[i], fields[i+1])
		}
		return []byte(values.Encode()), "application/x-www-form-urlencoded"
	}
	long := strings.Repeat("x", 5000)
	for name, test := range map[string]posted{
		"form":                    of(form("csrf", csrf, "text", "hello"))(200),
		"form in another order":   of(form("text", "hello", "csrf", csrf))(200),
		"form without it":         of(form("text", "hello"))(403),
		"form with another":       of(form("text", "hello", "csrf", csrf[1:]))(403),
		"form that is too large":  of(form("csrf", csrf, "text", strings.Repeat(long, 60)))(403),
		"files":                   of(files(t, "csrf", csrf, "text", "hello"))(200),
		"files, after the text":   of(files(t, "text", "hello", "csrf", csrf))(403),
		"files without it":        of(files(t, "text", "hello"))(403),
		"files with a long token": of(files(t, "csrf", csrf+long))(403),
		"files without boundary":  {[]byte("x"), "multipart/form-data", 403},
		"JSON":                    {[]byte(`{"csrf":"` + csrf + `"}`), "application/json", 403},
		"nothing":                 {nil, "", 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://tracker.example/upload", bytes.NewReader(test.body))
		r.Header.Set("Content-Type", test.media)
		r.Header.Set("Accept", "text/html")
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.want || test.want == 200 && w.Body.String() != "anna hello" || test.want == 403 && !strings.HasPrefix(w.Body.String(), "<p>this request does not carry") {
			t.Errorf("%s: status %d, %.100s", name, w.Code, w.Body)
		}
	}
}

// posted is a form, and how it is to be answered.
type posted struct {
	body  []byte
	media string
	want  int
}

func of(body []byte, media string) func(want int) posted {
	return func(want int) posted { return posted{body, media, want} }
}

func TestRequestFromWithinTheProcessIsOfWhoMadeThePagesRequest(t *testing.T) {
	o := Options{Figures: func() any { return 1 }}
	if err := o.openAccounts(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	h := newAPI(&o)
	for role, want := range map[account.Role]int{account.Nobody: 401, account.Viewer: 403, account.Operator: 403, account.Admin: 200} {
		r := httptest.NewRequestWithContext(account.With(t.Context(), account.Identity{Name: "x", Role: role, Via: account.ViaSession}), http.MethodGet, root+"/accounts", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%v: status %d, %s", role, w.Code, w.Body)
		}
	}
}

func TestSessionThatEndsMeanwhileDoesNothingFromWithinTheProcess(t *testing.T) {
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 64, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := accounts.Create(t.Context(), account.New{Name: "anna", Role: account.Admin})
	if err != nil {
		t.Fatal(err)
	}
	r, w := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil), httptest.NewRecorder()
	who, err := accounts.LogIn(w, r, "anna", token)
	if err != nil {
		t.Fatal(err)
	}
	h := newAPI(&Options{Figures: func() any { return 1 }, Accounts: accounts})
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(account.With(t.Context(), who), http.MethodGet, root+"/self", nil))
		return w.Code
	}
	if got := ask(); got != 200 {
		t.Errorf("before: status %d", got)
	}
	r.AddCookie(w.Result().Cookies()[0])
	accounts.LogOut(httptest.NewRecorder(), r)
	if got := ask(); got != 401 {
		t.Errorf("after: status %d", got)
	}
	who = account.Identity{Name: account.NameLoopback, Role: account.Admin, Via: account.ViaLoopback} // from before there was an account
	if got := ask(); got != 401 {
		t.Errorf("this machine, without a credential: status %d", got)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", []byte("csrf=abc&text=hello"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--x--\r\n"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nabc\r\n--x--\r\n"))
	f.Add("multipart/form-data; boundary=\"\"", []byte("--"))
	f.Add("text/plain", []byte("csrf=abc"))
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", media)
		got := fromForm(httptest.NewRecorder(), r)
		if len(got) > max(128, len(body)) {
			t.Errorf("%d bytes of %d", len(got), len(body))
		}
		if r.PostForm != nil {
			return // remembered
		}
		if rest, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(rest, body) {
			t.Errorf("of %d bytes %d are left, %v", len(body), len(rest), err)
		}
	})
}
