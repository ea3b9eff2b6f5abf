package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/console/client"
)

// elsewhere are paths that others answer.
var elsewhere = []string{"/api/v1/", "/feed.atom", "/metrics", "/figures", "/debug/pprof/"}

func TestEveryPageIsADocumentThatAnybodyCanUse(t *testing.T) {
	w := newWorld(t)
	w.who = session()
	for _, path := range everyPage {
		t.Run(path, func(t *testing.T) {
			got := w.get(t, path)
			if got.StatusCode != http.StatusOK {
				t.Fatalf("status %d: %s", got.StatusCode, text(t, got))
			}
			checkDocument(t, page(t, got))
		})
	}
}

func checkDocument(t *testing.T, n *html.Node) {
	t.Helper()
	if lang, _ := attribute(all(n, "html")[0], "lang"); lang != "en" {
		t.Errorf("its language is %q", lang)
	}
	for name, count := range map[string]int{"title": 1, "main": 1, "h1": 1, "header": 1, "footer": 1} {
		if found := all(n, name); len(found) != count || words(found[0]) == "" {
			t.Errorf("it has %d elements %s, or an empty one", len(found), name)
		}
	}
	ids := map[string]bool{}
	for _, e := range all(n, "") {
		if id, ok := attribute(e, "id"); ok {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	if skip, _ := attribute(all(n, "a")[0], "href"); skip != "#main" || !ids["main"] {
		t.Errorf("the first link goes to %s, not past the navigation", skip)
	}
	for _, e := range all(n, "th") {
		if _, ok := attribute(e, "scope"); !ok {
			t.Errorf("a heading of a table has no scope: %s", words(e))
		}
	}
	for _, e := range slices.Concat(all(n, "input"), all(n, "select"), all(n, "textarea")) {
		kind, _ := attribute(e, "type")
		_, labelled := attribute(e, "aria-label")
		if kind != "hidden" && !labelled && !within(e, "label") {
			t.Errorf("a field has no label: %v", e.Attr)
		}
	}
	for _, e := range slices.Concat(all(n, "button"), all(n, "a"), all(n, "progress")) {
		if _, labelled := attribute(e, "aria-label"); !labelled && words(e) == "" {
			t.Errorf("%s says nothing: %v", e.Data, e.Attr)
		}
	}
	for _, e := range all(n, "") {
		for _, name := range []string{"aria-labelledby", "aria-describedby"} {
			if id, ok := attribute(e, name); ok && !ids[id] {
				t.Errorf("%s names %s, which is not there", name, id)
			}
		}
	}
}

func within(n *html.Node, name string) bool {
	for a := range n.Ancestors() {
		if a.Data == name {
			return true
		}
	}
	return false
}

func TestNoPageHasScriptsOrStylesOfItsOwn(t *testing.T) {
	w := newWorld(t)
	for _, path := range everyPage {
		got := w.get(t, path)
		policy := got.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
			}
		}
		n := page(t, got)
		for _, e := range all(n, "") {
			for _, a := range e.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(strings.ToLower(a.Val)), "javascript:") {
					t.Errorf("%s: <%s %s=%q>", path, e.Data, a.Key, a.Val)
				}
			}
		}
		for _, e := range slices.Concat(all(n, "script"), all(n, "style")) {
			if words(e) != "" || e.Data == "style" {
				t.Errorf("%s: <%s>%s", path, e.Data, words(e))
			}
		}
	}
}

func TestTextOfStrangersIsShownAsText(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/torrents": 1, "/transfers/" + hash.String(): 2, "/transfers/" + hash.String() + "/delete": 1,
		"/transfers/" + hash.String() + "/peers/10.1.2.1:6881": 2, "/peers": 1, "/history": 1, "/links": 1, "/cluster": 1,
		"/settings": 2, "/settings/accounts": 1, "/settings/audit": 3, "/": 1,
	} {
		n := page(t, w.get(t, path))
		if got := strings.Count(words(n), nasty); got < want {
			t.Errorf("%s shows it %d times as text, not %d", path, got, want)
		}
		for _, e := range slices.Concat(all(n, "script"), all(n, "img")) {
			if src, _ := attribute(e, "src"); !strings.HasPrefix(src, "/static/") {
				t.Errorf("%s: it became <%s src=%q>", path, e.Data, src)
			}
		}
	}
}

func TestEveryFormThatChangesSomethingCarriesWhatItsSessionDemands(t *testing.T) {
	w := newWorld(t)
	w.who = session()
	forms := 0
	for _, path := range everyPage {
		for _, form := range all(page(t, w.get(t, path)), "form") {
			if method, _ := attribute(form, "method"); method != "post" {
				continue
			}
			forms++
			fields := all(form, "input")
			// Of a form with files it must be the first field.
			if len(fields) == 0 || !has(fields[0], "name", "csrf") || !has(fields[0], "value", w.who.CSRF) {
				t.Errorf("%s: a form begins with no field csrf: %v", path, form.Attr)
			}
		}
	}
	if forms < 20 {
		t.Errorf("there are %d forms", forms)
	}
}

func has(n *html.Node, name, value string) bool {
	got, ok := attribute(n, name)
	return ok && got == value
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, path := range everyPage {
		for _, e := range slices.Concat(all(page(t, w.get(t, path)), "a"), all(page(t, w.get(t, path)), "link"), all(page(t, w.get(t, path)), "script")) {
			href, _ := attribute(e, "href")
			if src, ok := attribute(e, "src"); ok {
				href = src
			}
			if strings.HasPrefix(href, "#") || strings.HasPrefix(href, "magnet:") || seen[href] {
				continue
			}
			seen[href] = true
			if slices.ContainsFunc(elsewhere, func(prefix string) bool { return strings.HasPrefix(href, prefix) }) || strings.HasSuffix(href, "/peers.csv") {
				continue
			}
			if !strings.HasPrefix(href, "/") {
				t.Errorf("%s links to %s", path, href)
				continue
			}
			// The other torrents of the list are none that the API here knows.
			if got := w.get(t, href); got.StatusCode != http.StatusOK && !strings.Contains(href, "/transfers/bb") {
				t.Errorf("%s links to %s, which answers %d", path, href, got.StatusCode)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("there are %d links", len(seen))
	}
}

func TestNavigationMarksThePage(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{"/": "/", "/torrents?query=x": "/torrents", "/transfers/" + hash.String(): "/torrents", "/settings/audit": "/settings", "/about": "/about"} {
		marked := []string{}
		for _, e := range all(all(page(t, w.get(t, path)), "nav")[0], "a") {
			if _, ok := attribute(e, "aria-current"); ok {
				href, _ := attribute(e, "href")
				marked = append(marked, href)
			}
		}
		if !slices.Equal(marked, []string{want}) {
			t.Errorf("on %s, %v is marked", path, marked)
		}
	}
}

func TestViewersSeeNothingThatTheyMayNotDo(t *testing.T) {
	w := newWorld(t)
	w.who = account.Identity{Name: "vera", Role: account.Viewer, Via: account.ViaSession, CSRF: "c"}
	for _, path := range []string{"/", "/torrents", "/transfers/" + hash.String(), "/peers", "/history", "/links", "/cluster"} {
		n := page(t, w.get(t, path))
		for _, form := range all(n, "form") {
			if action, _ := attribute(form, "action"); !has(form, "method", "get") && action != "/logout" {
				t.Errorf("%s has a form to %s", path, action)
			}
		}
		if strings.Contains(words(all(n, "nav")[0]), "Settings") {
			t.Errorf("%s leads to the settings", path)
		}
	}
	for _, path := range []string{"/transfers/" + hash.String() + "/delete", "/settings/accounts/delete?name=x", "/links/drop?name=fra", "/links/leave", "/cluster/stepdown", "/cluster/leave"} {
		if got := w.get(t, path); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s answers %d", path, got.StatusCode)
		}
	}
}

func TestErrorsArePagesInTheSameFrame(t *testing.T) {
	w := newWorld(t)
	w.refuse("GET /configuration", http.StatusForbidden, "this is for the role admin")
	w.refuse("GET /peers", http.StatusInternalServerError, "the tracker could not do this; its log tells more")
	w.refuse("GET /swarms", http.StatusUnprocessableEntity, "begin with the first page")
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/nothing":                              {404, "There is no page /nothing."},
		"/transfers/nothing":                    {404, "40 hexadecimal digits"},
		"/transfers/" + strings.Repeat("0", 40): {404, "there is nothing at"},
		"/settings":                             {403, "This is for the role admin."},
		"/peers":                                {500, "its log tells more"},
		"/torrents?cursor=rubbish":              {422, "Begin with the first page."},
		"/torrents?query=" + strings.Repeat("x", 300):    {422, "shorter"},
		"/transfers/" + hash.String() + "/peers/rubbish": {404, "IP:PORT"},
	} {
		got := w.get(t, path)
		n := page(t, got)
		if got.StatusCode != want.status || !strings.Contains(strings.ToLower(words(all(n, "main")[0])), strings.ToLower(want.text)) {
			t.Errorf("%s answers %d: %s", path, got.StatusCode, words(all(n, "main")[0]))
		}
		checkDocument(t, n)
	}
}

func TestWhoeverMustLogInIsSentThereAndBack(t *testing.T) {
	w := newWorld(t)
	w.refuse("GET /configuration", http.StatusUnauthorized, "this needs a log-in")
	got := w.get(t, "/settings?x=1")
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/login?next=%2Fsettings%3Fx%3D1" {
		t.Errorf("status %d to %s", got.StatusCode, got.Header.Get("Location"))
	}
	w.refuse("POST /transfers/"+hash.String()+"/activate", http.StatusUnauthorized, "this machine may only read")
	got = w.post(t, "/transfers/"+hash.String()+"/activate", nil)
	if got.StatusCode != http.StatusUnauthorized || !strings.Contains(text(t, got), `href="/login"`) {
		t.Errorf("a change answers %d", got.StatusCode)
	}
}

func TestAPageThatIsRefusedBeforeItIsReachedIsAPage(t *testing.T) {
	w := newWorld(t)
	recorder := httptest.NewRecorder()
	w.site.Refuse(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/torrents", nil), http.StatusForbidden, "load the page again")
	got := recorder.Result()
	if got.StatusCode != http.StatusForbidden || got.Header.Get("Content-Security-Policy") == "" || !strings.Contains(words(page(t, got)), "Load the page again.") {
		t.Errorf("status %d, %v", got.StatusCode, got.Header)
	}
}

func TestATorrentThatIsNotListedHasAPage(t *testing.T) {
	w := newWorld(t)
	said := words(page(t, w.get(t, "/transfers/"+strange.String())))
	if !strings.Contains(said, "not in the catalogue") || !strings.Contains(said, "[2001:db8::1]:6881") || strings.Contains(said, "Deactivate") {
		t.Errorf("got %s", said)
	}
}

func TestMagnetLinksNameTheTracker(t *testing.T) {
	w := newWorld(t)
	for _, e := range all(page(t, w.get(t, "/transfers/"+hash.String())), "a") {
		href, _ := attribute(e, "href")
		if !strings.HasPrefix(href, "magnet:") {
			continue
		}
		u, err := url.Parse(href)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Get("xt") != "urn:btih:"+hash.String() || q.Get("dn") != nasty || !slices.Equal(q["tr"], []string{"udp://example.com:6969/announce", "http://example.com:6969/announce"}) {
			t.Errorf("got %v", q)
		}
		return
	}
	t.Error("there is no magnet link")
}

func TestSortingTurnsTheOrderAround(t *testing.T) {
	w := newWorld(t)
	for _, e := range all(page(t, w.get(t, "/torrents?sort=size&order=desc&query=a+b&state=active")), "th") {
		sorted, ok := attribute(e, "aria-sort")
		if !ok {
			continue
		}
		href, _ := attribute(all(e, "a")[0], "href")
		if words(e) != "Size" || sorted != "descending" || href != "/torrents?order=asc&query=a+b&sort=size&state=active" {
			t.Errorf("%s is %s and leads to %s", words(e), sorted, href)
		}
		return
	}
	t.Error("no column is marked as sorted")
}

func TestHEADAnswersWithoutABody(t *testing.T) {
	w := newWorld(t)
	got := w.do(t, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/torrents", nil))
	if got.StatusCode != http.StatusOK || text(t, got) != "" {
		t.Errorf("status %d with a body", got.StatusCode)
	}
}

func TestATorrentWhoseNameShowsNothingIsCalledByItsHash(t *testing.T) {
	w := newWorld(t)
	blank := client.Torrent{InfoHash: hash, Name: " \u00a0 "}
	w.answer("GET /swarms", client.SwarmPage{Total: 1, Swarms: []client.Swarm{{InfoHash: hash, Name: blank.Name, State: "active"}}})
	w.answer("GET /history", client.PeriodPage{Periods: []client.Period{{Torrent: blank}}})
	w.answer("GET /peers", client.PeerPage{Peers: []client.Peer{{InfoHash: hash, Name: blank.Name, Address: "10.1.2.1:6881"}}})
	w.answer("GET /transfers/"+hash.String(), client.Transfer{Torrent: blank})
	for _, path := range []string{"/torrents", "/history", "/peers", "/transfers/" + hash.String() + "/peers/10.1.2.1:6881"} {
		found := false
		for _, e := range all(page(t, w.get(t, path)), "a") {
			if has(e, "href", "/transfers/"+hash.String()) {
				if found = true; words(e) == "" {
					t.Errorf("%s: a link says nothing", path)
				}
			}
		}
		if !found {
			t.Errorf("%s does not lead to the torrent", path)
		}
	}
	for _, e := range all(page(t, w.get(t, "/transfers/"+hash.String())), "h1") {
		if words(e) != hash.String() {
			t.Errorf("its own page is headed %q", words(e))
		}
	}
}
