package locality

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webServer answers by a function, and is closed with the test.
func webServer(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func newREST(t *testing.T, o RESTOptions) *REST {
	t.Helper()
	r, err := NewREST(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestServiceOfP2ptrackerIsAskedAsP2ptrackerDoes(t *testing.T) {
	url := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/smdb/servers/ipaddresses/192.0.2.1", "/smdb/servers/ipaddresses/2001:db8::1":
			_, _ = fmt.Fprint(w, `{"server": {"id": 17, "cabinet": "r12", "name": "h1"}}`)
		default:
			http.NotFound(w, r)
		}
	})
	r := newREST(t, RESTOptions{URL: url + "/smdb/"})
	if r.String() != "rest "+url+"/smdb/servers/ipaddresses/{ip}" {
		t.Error(r)
	}
	wantPath(t, r, "192.0.2.1", "r12", "")
	wantPath(t, r, "2001:db8::1", "r12", "")
	wantPath(t, r, "192.0.2.2", "", "")
}

func TestURLAndPathOfAServiceAreFree(t *testing.T) {
	url := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("address") == "2001:db8::1" && r.URL.Query().Get("format") == "json" {
			_, _ = fmt.Fprint(w, `[{"site/room": "ams1", "rack": 12345678901234567890, "tilde~": "x"}]`)
		}
	})
	r := newREST(t, RESTOptions{URL: url + "/where?format=json&address={ip}", Path: "dc-{/0/site~1room}/{/0/tilde~0}/r{/0/rack}"})
	wantPath(t, r, "2001:db8::1", "dc-ams1/x/r12345678901234567890", "")
}

func TestAnswerWithoutALocationIsAnAddressThatIsNotKnown(t *testing.T) {
	for _, answer := range []string{`{}`, `{"server": null}`, `{"server": {"cabinet": null}}`, `{"server": {"cabinet": ""}}`, `[]`, `"x"`, `{"server": ["cabinet"]}`} {
		r := newREST(t, RESTOptions{URL: webServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, answer) })})
		wantPath(t, r, "192.0.2.1", "", "")
	}
}

func TestServiceThatAnswersRubbishIsSaidTo(t *testing.T) {
	for answer, want := range map[string]string{
		"<html>": "the answer is not JSON", "": "the answer is not JSON", `{"server": {"cabinet": "r12"}} x`: "the answer goes on after its JSON",
		`{"server": {"cabinet": ["r12"]}}`:     "/server/cabinet of the answer is neither a text nor a number",
		`"` + strings.Repeat("x", 2<<20) + `"`: "answers with more than 1048576 bytes",
	} {
		r := newREST(t, RESTOptions{URL: webServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, answer) })})
		wantPath(t, r, "192.0.2.1", "", want)
		if _, err := r.Locate(t.Context(), here); !isRubbish(err) {
			t.Errorf("%v is no rubbish", err)
		}
	}
}

func TestServiceThatFailsIsNoRubbish(t *testing.T) {
	for status, want := range map[int]string{500: "answers 500 Internal Server Error", 403: "see whether its token may read this", 204: "answers 204 No Content"} {
		r := newREST(t, RESTOptions{URL: webServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })})
		wantPath(t, r, "192.0.2.1", "", want)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	wantPath(t, newREST(t, RESTOptions{URL: s.URL}), "192.0.2.1", "", "connection refused")
}

func TestTokenIsReadForEachLookUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	url := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"server": {"cabinet": %q}}`, r.Header.Get("Authorization"))
	})
	r := newREST(t, RESTOptions{URL: url, TokenFile: file})
	wantPath(t, r, "192.0.2.1", "", "no such file")
	for _, token := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantPath(t, r, "192.0.2.1", "Bearer "+token, "")
	}
	if err := os.WriteFile(file, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantPath(t, r, "192.0.2.1", "", "is not one line")
}

func TestRESTOptionsThatCannotBeAreRefused(t *testing.T) {
	for _, o := range []RESTOptions{
		{},
		{URL: "smdb.example"},
		{URL: "ftp://smdb.example"},
		{URL: "http://smdb/{ip}/{port}"},
		{URL: "http://smdb/{ip"},
		{URL: "http://smdb", Path: "{cabinet}"},
		{URL: "http://smdb", Path: "{/a"},
	} {
		if _, err := NewREST(o); err == nil || !strings.HasPrefix(err.Error(), "rest: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// FuzzRESTAnswer reads any bytes as the answer of a service.
func FuzzRESTAnswer(f *testing.F) {
	f.Add([]byte(`{"server": {"cabinet": "r12"}}`), "/server/cabinet")
	f.Add([]byte(`[[1.5e300, "a/b"], {"": {"~/": true}}]`), "/1//~0~1")
	f.Add([]byte(strings.Repeat("[", 100000)), "/0/0")
	f.Add([]byte(`{"a": 1} 2`), "/a")
	f.Fuzz(func(t *testing.T, document []byte, pointer string) {
		path, err := ParseTemplate("{" + pointer + "}")
		if err != nil || len(path.Names()) != 1 || path.Names()[0][0] != '/' {
			return
		}
		text := ""
		root, err := parseJSON(document)
		if err == nil {
			text, err = fillIn(path, root)
		}
		if err != nil && (!isRubbish(err) || text != "" || len(err.Error()) > 2000) {
			t.Errorf("%q, %v", text, err)
		}
		if len(text) > len(document) {
			t.Errorf("%d bytes out of %d", len(text), len(document))
		}
	})
}

func TestSecretsInTheURLOfAServiceAreInNoNameAndNoError(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/192.0.2.1":
			w.WriteHeader(http.StatusForbidden)
		case "/192.0.2.2":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = w.Write(make([]byte, maxAnswer+1))
		}
	}))
	host := strings.TrimPrefix(refusing.URL, "http://")
	r, err := NewREST(RESTOptions{URL: "http://user:secret@" + host + "/{ip}?key=secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if got, want := r.String(), "rest http://"+host+"/{ip}"; got != want {
		t.Errorf("it is called %s, want %s", got, want)
	}
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		if ip == "192.0.2.4" {
			refusing.Close() // and cannot be reached
		}
		if _, err := r.Locate(t.Context(), netip.MustParseAddr(ip)); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), host) {
			t.Errorf("%s: %v", ip, err)
		}
	}
}
