package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/console/client"
)

func TestLinksSayInWordsHowTheyAre(t *testing.T) {
	w := newWorld(t)
	n := page(t, w.get(t, "/links"))
	said := words(n)
	for _, want := range []string{
		"Links up2 of 5", "7,654,321", "0.0.0.0:6971", "Leaf ofworld", "12 ms", "5.0 MiB/s", "1,235/s", "in 400 ms, 77 missing", "in < 1 ms, 3 missing",
		"9 changes were not taken in", "5 waiting", "look at its clock", "since 1 h ago",
		"receives only, 1 torrent only, receives and sends .torrent files, at most 1,000 peers, at most 1 change a second",
		"sends only, receives .torrent files", "Invited, and not here yet",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %q: %s", want, said)
		}
	}
	for _, state := range []string{"active", "healing", "connecting", "split", "refused"} {
		found := false
		for _, e := range all(n, "span") {
			class, _ := attribute(e, "class")
			found = found || strings.HasPrefix(class, "badge") && words(e) == state
		}
		if !found {
			t.Errorf("no badge says %s", state)
		}
	}
}

// drawings returns those of a page, by the windows that they are for.
func drawings(n *html.Node) map[string]*html.Node {
	found := map[string]*html.Node{}
	for _, svg := range all(n, "svg") {
		if class, _ := attribute(svg.Parent, "class"); strings.HasPrefix(class, "scroller tree ") {
			found[strings.TrimPrefix(class, "scroller tree ")] = svg
		}
	}
	return found
}

func TestTreeIsDrawnForEachWidthWithATextInItsPlace(t *testing.T) {
	w := newWorld(t)
	found := drawings(page(t, w.get(t, "/links")))
	for class, lines := range map[string]int{"broad": 5, "slim": 6} { // in a column, leaves have a line in common
		svg := found[class]
		if svg == nil {
			t.Fatalf("there is no drawing that is %s", class)
		}
		label, _ := attribute(svg, "aria-label")
		if !has(svg, "role", "img") || label != "Tree of links. This tracker is ams. Its hub: world is active. It has 4 leaves: fra is healing, lon is split, mad is refused, osl is connecting." {
			t.Errorf("%s: its text is %q", class, label)
		}
		if len(all(svg, "rect")) != 6 || len(all(svg, "line")) != lines {
			t.Errorf("%s: there are %d boxes and %d lines", class, len(all(svg, "rect")), len(all(svg, "line")))
		}
		if said := words(svg); said != "worldhub, active amsthis tracker fraleaf, healing lonleaf, split madleaf, refused oslleaf, connecting" {
			t.Errorf("%s: it says %s", class, said)
		}
		inside(t, class, svg)
	}
}

// inside checks that what is drawn lies within the drawing, and no box upon another.
func inside(t *testing.T, class string, svg *html.Node) {
	t.Helper()
	number := func(e *html.Node, name string) int {
		text, _ := attribute(e, name)
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Errorf("%s: %s of a %s: %v", class, name, e.Data, err)
		}
		return n
	}
	width, height := number(svg, "width"), number(svg, "height")
	boxes := all(svg, "rect")
	for i, b := range boxes {
		x, y := number(b, "x"), number(b, "y")
		if x < 2 || y < 2 || x+number(b, "width") > width-2 || y+number(b, "height") > height-2 {
			t.Errorf("%s: a box at %d, %d lies beyond %d, %d", class, x, y, width, height)
		}
		for _, other := range boxes[:i] {
			if max(x-number(other, "x"), number(other, "x")-x) < number(b, "width") && max(y-number(other, "y"), number(other, "y")-y) < number(b, "height") {
				t.Errorf("%s: a box lies upon another at %d, %d", class, x, y)
			}
		}
	}
	for _, l := range all(svg, "line") {
		for _, name := range []string{"x1", "x2", "y1", "y2"} {
			if n := number(l, name); n < 0 || n > map[byte]int{'x': width, 'y': height}[name[0]] {
				t.Errorf("%s: a line has %s %d", class, name, n)
			}
		}
	}
}

func TestManyLeavesAreDrawnAsFarAsThereIsRoomThoseInTroubleFirst(t *testing.T) {
	w := newWorld(t)
	l := linked()
	for i := range 100 {
		l.Links = append(l.Links, client.Link{Name: fmt.Sprintf("site-%03d", i), Role: "leaf", State: "active"})
	}
	l.Links = append(l.Links, client.Link{Name: "zzz", Role: "leaf", State: "refused", Why: "no"})
	w.answer("GET /links", l)
	n := page(t, w.get(t, "/links"))
	for class, most := range map[string]int{"broad": 7, "slim": 12} {
		svg := drawings(n)[class]
		rest := fmt.Sprintf("and %d more", 105-most+1)
		if said := words(svg); len(all(svg, "rect")) != 2+most || !strings.Contains(said, "zzz") || !strings.Contains(said, rest) {
			t.Errorf("%s: %d boxes: %s", class, len(all(svg, "rect")), said)
		}
		inside(t, class, svg)
	}
	if rows := len(all(n, "tr")); rows != 1+len(l.Links)+2 {
		t.Errorf("the tables have %d rows", rows)
	}
}

func TestTreeOfALeafAloneIsDrawn(t *testing.T) {
	w := newWorld(t)
	l := linked()
	l.Links = l.Links[:1]
	w.answer("GET /links", l)
	for class, svg := range drawings(page(t, w.get(t, "/links"))) {
		if said := words(svg); said != "worldhub, active amsthis tracker" || len(all(svg, "line")) != 1 {
			t.Errorf("%s: %d lines: %s", class, len(all(svg, "line")), said)
		}
		inside(t, class, svg)
	}
}

func TestTrackerWithoutLinksSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.refuse("GET /links", http.StatusNotFound, "links need the memory or SQLite store")
	got := w.get(t, "/links")
	n := page(t, got)
	if said := words(n); got.StatusCode != http.StatusOK || !strings.Contains(said, "Links need the memory or SQLite store.") || len(all(n, "form")) != 0 {
		t.Errorf("status %d: %s", got.StatusCode, said)
	}
	w.answer("GET /links", client.Links{Name: "ams"})
	if said := words(page(t, w.get(t, "/links"))); !strings.Contains(said, "There are no links yet.") || !strings.Contains(said, "it listens for none") || strings.Contains(said, "announced here") {
		t.Errorf("without any: %s", said)
	}
}

func TestInvitationIsShownOnceByTheAnswerItself(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /links/invitations", client.Invitation{Name: "rom", Line: "waggle-link-1.secret"})
	got := w.post(t, "/links", url.Values{
		"name": {" rom "}, "direction": {"receive"}, "share": {"send"}, "torrents": {hash.String() + "\r\n" + strange.String()},
		"peers": {"1000"}, "changes": {" 20 "}, "addresses": {"a.example:1, b.example:2"},
	})
	n := page(t, got)
	if got.StatusCode != http.StatusCreated || !strings.Contains(words(n), "waggle-link-1.secret") || len(got.Cookies()) != 0 {
		t.Errorf("status %d, cookies %v: %s", got.StatusCode, got.Cookies(), words(n))
	}
	checkDocument(t, n)
	want := `POST /links/invitations? {"name":"rom","rights":{"receive":true,"send":false,"torrents":["` + hash.String() + `","` + strange.String() +
		`"],"share":"send","peers":1000,"changes_per_second":20},"addresses":["a.example:1","b.example:2"]}`
	if asked := w.changes(); !slices.Equal(asked, []string{want}) {
		t.Errorf("it asked for %q", asked)
	}
	if said := words(page(t, w.get(t, "/links"))); strings.Contains(said, "waggle-link-1.secret") {
		t.Error("it is shown twice")
	}
}

func TestInvitationWithoutALineSaysWhatTheLeafNeeds(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /links/invitations", client.Invitation{Name: "rom"})
	n := page(t, w.post(t, "/links", url.Values{"name": {"rom"}}))
	if said := words(n); !strings.Contains(said, "link.name: rom") || strings.Contains(said, "copy it now") {
		t.Errorf("it says %s", said)
	}
	checkDocument(t, n)
}

func TestInvitationThatCannotBeMadeKeepsWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	got := w.post(t, "/links", url.Values{"name": {"rom"}, "direction": {"send"}, "peers": {"many"}})
	said := words(page(t, got))
	if got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(said, "A bound is a number") || len(w.changes()) != 0 {
		t.Errorf("status %d, %q: %s", got.StatusCode, w.changes(), said)
	}
	w.refuse("POST /links/invitations", http.StatusConflict, "rom is linked already")
	n := page(t, w.post(t, "/links", url.Values{"name": {"rom"}, "direction": {"send"}, "torrents": {"x"}}))
	kept := 0
	for _, e := range slices.Concat(all(n, "input"), all(n, "option")) {
		_, selected := attribute(e, "selected")
		if has(e, "value", "rom") && has(e, "name", "name") && within(e, "label") || has(e, "value", "send") && selected {
			kept++
		}
	}
	if kept != 2 || !strings.Contains(words(n), "Rom is linked already.") {
		t.Errorf("%d are kept: %s", kept, words(n))
	}
	w.refuse("POST /links/invitations", http.StatusForbidden, "this is for admins")
	if got := w.post(t, "/links", url.Values{"name": {"rom"}}); got.StatusCode != http.StatusForbidden {
		t.Errorf("who may not is answered %d", got.StatusCode)
	}
}

func TestFormsOfLinksAskTheAPI(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /links/join", client.Link{Name: "world"})
	for _, what := range []string{"POST /links/fra/reset", "DELETE /links/fra", "DELETE /links/hub"} {
		w.answer(what, struct{}{})
	}
	for _, test := range []struct {
		path, want, text string
		form             url.Values
	}{
		{"/links/join", `POST /links/join? {"line":"waggle-link-1.x"}`, "The hub is joined", url.Values{"line": {"waggle-link-1.x"}}},
		{"/links/reset", "POST /links/fra/reset?", "The link with fra begins anew", url.Values{"name": {"fra"}}},
		{"/links/drop?name=fra", "DELETE /links/fra?", "The link with fra is dropped", nil},
		{"/links/leave", "DELETE /links/hub?", "This tracker has left its hub", nil},
	} {
		got := w.post(t, test.path, test.form)
		asked := w.changes()
		if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/links" || asked[len(asked)-1] != test.want {
			t.Errorf("%s: status %d to %s, asked for %q", test.path, got.StatusCode, got.Header.Get("Location"), asked)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/links", nil)
		for _, c := range got.Cookies() {
			r.AddCookie(c)
		}
		if said := words(page(t, w.do(t, r))); !strings.Contains(said, test.text) || strings.Contains(said, "waggle-link-1.x") {
			t.Errorf("%s: then the page says %s", test.path, said)
		}
	}
}

func TestOperatorsResetAndDropAndAdminsInvite(t *testing.T) {
	w := newWorld(t)
	w.who = account.Identity{Name: "otto", Role: account.Operator, Via: account.ViaSession, CSRF: "c"}
	actions := map[string]bool{}
	for _, form := range all(page(t, w.get(t, "/links")), "form") {
		action, _ := attribute(form, "action")
		actions[action] = true
	}
	if !actions["/links/reset"] || !actions["/links/drop"] || actions["/links"] || actions["/links/join"] {
		t.Errorf("an operator has %v", actions)
	}
	if changesRights(t, w) {
		t.Error("an operator is led to the rights of leaves")
	}
	if got := w.get(t, "/links/rights?name=fra"); got.StatusCode != http.StatusForbidden {
		t.Errorf("an operator who looks at them all the same is answered %d", got.StatusCode)
	}
}

// changesRights reports whether the page of links leads to the rights of a leaf.
func changesRights(t *testing.T, w *world) bool {
	t.Helper()
	return slices.ContainsFunc(all(page(t, w.get(t, "/links")), "a"), func(a *html.Node) bool { return has(a, "href", "/links/rights?name=fra") })
}

func TestPageThatShowsAnInvitationIsThatOfTheLinks(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /links/invitations", client.Invitation{Name: "rom", Line: "waggle-link-1.secret"})
	n := page(t, w.post(t, "/links", url.Values{"name": {"rom"}}))
	if live, _ := attribute(all(n, "body")[0], "data-live"); live != "/live?page=%2Flinks" {
		t.Errorf("its changes are those of %s", live)
	}
	w.refuse("GET /links", http.StatusInternalServerError, "so it is")
	n = page(t, w.post(t, "/links", url.Values{"name": {"rom"}}))
	if said := words(n); !strings.Contains(said, "waggle-link-1.secret") || len(all(n, "option")) == 0 {
		t.Errorf("where the links cannot be shown, it says %s", said)
	}
}

func TestHubThatDidNotSayItsNameIsShownAsOne(t *testing.T) {
	w := newWorld(t)
	w.answer("GET /links", client.Links{Name: "ams", Links: []client.Link{{Name: "hub", Role: client.RoleHub, State: client.LinkConnecting}}})
	n := page(t, w.get(t, "/links"))
	if said := words(n); strings.Count(said, "a hub that did not say yet what it is called") != 2 || slices.ContainsFunc(all(n, "form"), func(f *html.Node) bool { return has(f, "action", "/links/join") }) {
		t.Errorf("the page says %s", said)
	}
}

func TestRightsOfALeafAreShownAsTheyAreAndChangedAsAWhole(t *testing.T) {
	w := newWorld(t)
	if !changesRights(t, w) {
		t.Error("no link leads there")
	}
	w.answer("PUT /links/fra/rights", struct{}{})
	for _, test := range []struct{ name, want string }{
		{"fra", `{"receive":true,"send":false,"torrents":["` + hash.String() + `"],"share":"both","peers":1000,"changes_per_second":1}`},
		{"mad", `{"receive":false,"send":true,"share":"receive"}`},
		{"rom", `{"receive":true,"send":true}`}, // it was only invited
	} {
		path := "/links/rights?name=" + test.name
		n := page(t, w.get(t, path))
		w.answer("PUT /links/"+test.name+"/rights", struct{}{})
		got := w.post(t, path, fields(n))
		asked := w.changes()
		if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/links" || asked[len(asked)-1] != "PUT /links/"+test.name+"/rights? "+test.want {
			t.Errorf("%s as it is: status %d, asked for %q", test.name, got.StatusCode, asked)
		}
	}
	got := w.post(t, "/links/rights?name=fra", url.Values{"direction": {"send"}, "share": {""}, "torrents": {""}, "peers": {" 5 "}, "changes": {""}})
	if asked := w.changes(); asked[len(asked)-1] != `PUT /links/fra/rights? {"receive":false,"send":true,"peers":5}` {
		t.Errorf("asked for %q", asked)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/links", nil)
	for _, c := range got.Cookies() {
		r.AddCookie(c)
	}
	if said := words(page(t, w.do(t, r))); !strings.Contains(said, "The leaf fra has other rights: sends only, at most 5 peers") {
		t.Errorf("then the page says %s", said)
	}
}

func TestRightsThatCannotBeGivenKeepWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	typed := url.Values{"direction": {"send"}, "peers": {"many"}, "torrents": {"xyz"}}
	got := w.post(t, "/links/rights?name=fra", typed)
	n := page(t, got)
	if said := words(n); got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(said, "A bound is a number") || len(w.changes()) != 0 {
		t.Errorf("status %d, %q: %s", got.StatusCode, w.changes(), said)
	}
	if kept := fields(n); kept.Get("direction") != "send" || kept.Get("peers") != "many" || kept.Get("torrents") != "xyz" {
		t.Errorf("kept are %v", kept)
	}
	w.refuse("PUT /links/fra/rights", http.StatusUnprocessableEntity, "rights name torrents by their info hashes")
	typed.Set("peers", "")
	n = page(t, w.post(t, "/links/rights?name=fra", typed))
	if said := words(n); !strings.Contains(said, "Rights name torrents by their info hashes.") || fields(n).Get("torrents") != "xyz" {
		t.Errorf("refused: %s", said)
	}
	checkDocument(t, n)
	w.refuse("PUT /links/fra/rights", http.StatusForbidden, "this is for admins")
	if got := w.post(t, "/links/rights?name=fra", typed); got.StatusCode != http.StatusForbidden {
		t.Errorf("who may not is answered %d", got.StatusCode)
	}
	for _, name := range []string{"tim", "world", ""} { // a hub's are not ours to change
		if got := w.get(t, "/links/rights?name="+name); got.StatusCode != http.StatusNotFound {
			t.Errorf("of %q: status %d", name, got.StatusCode)
		}
	}
}

func TestAsManyTorrentsAsRightsCanNameFitIntoTheForm(t *testing.T) {
	w := newWorld(t)
	w.answer("PUT /links/fra/rights", struct{}{})
	lines := strings.Repeat(hash.String()+"\r\n", 2048)
	if got := w.post(t, "/links/rights?name=fra", url.Values{"torrents": {lines}}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("status %d", got.StatusCode)
	}
	if asked := w.changes(); len(asked) != 1 || strings.Count(asked[0], hash.String()) != 2048 {
		t.Errorf("asked for %.100q", asked)
	}
}

// fields are those of the form of a page, as a browser sends them.
func fields(n *html.Node) url.Values {
	form := url.Values{}
	for _, f := range all(n, "form") {
		if action, _ := attribute(f, "action"); !strings.HasPrefix(action, "/links") {
			continue
		}
		for _, e := range all(f, "input") {
			name, _ := attribute(e, "name")
			value, _ := attribute(e, "value")
			form.Set(name, value)
		}
		for _, e := range all(f, "textarea") {
			name, _ := attribute(e, "name")
			form.Set(name, words(e))
		}
		for _, e := range all(f, "select") {
			name, _ := attribute(e, "name")
			for _, o := range all(e, "option") {
				if _, selected := attribute(o, "selected"); selected {
					value, _ := attribute(o, "value")
					form.Set(name, value)
				}
			}
		}
	}
	return form
}
