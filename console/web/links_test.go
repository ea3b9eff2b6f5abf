package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console/client"
)

func TestLinksSayInWordsHowTheyAre(t *testing.T) {
	w := newWorld(t)
	n := page(t, w.get(t, "/links"))
	said := words(n)
	for _, want := range []string{
		"Links up2 of 5", "7,654,321", "0.0.0.0:6971", "Leaf ofworld", "12 ms", "5.0 MiB/s", "1,235/s", "in 400 ms, 77 missing",
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

func TestTreeIsDrawnWithATextInItsPlace(t *testing.T) {
	w := newWorld(t)
	n := page(t, w.get(t, "/links"))
	for _, svg := range all(n, "svg") {
		label, ok := attribute(svg, "aria-label")
		if !ok {
			continue
		}
		if !has(svg, "role", "img") || label != "Tree of links. This tracker is ams. Its hub: world is active. It has 4 leaves: fra is healing, lon is split, mad is refused, osl is connecting." {
			t.Errorf("its text is %q", label)
		}
		if boxes, lines := all(svg, "rect"), all(svg, "line"); len(boxes) != 6 || len(lines) != 5 {
			t.Errorf("there are %d boxes and %d lines", len(boxes), len(lines))
		}
		return
	}
	t.Error("there is no drawing")
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
	for _, svg := range all(n, "svg") {
		if _, ok := attribute(svg, "aria-label"); !ok {
			continue
		}
		if said := words(svg); len(all(svg, "rect")) != 14 || !strings.Contains(said, "zzz") || !strings.Contains(said, "and 94 more") {
			t.Errorf("%d boxes: %s", len(all(svg, "rect")), said)
		}
	}
	if rows := len(all(n, "tr")); rows != 1+len(l.Links)+2 {
		t.Errorf("the tables have %d rows", rows)
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
	if said := words(page(t, w.get(t, "/links"))); !strings.Contains(said, "There are no links yet.") || !strings.Contains(said, "it listens for none") {
		t.Errorf("without any: %s", said)
	}
}

func TestInvitationIsShownOnceByTheAnswerItself(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /links/invitations", client.Invitation{Name: "rom", Line: "waggle-link-1.secret"})
	got := w.post(t, "/links/invite", url.Values{
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
	n := page(t, w.post(t, "/links/invite", url.Values{"name": {"rom"}}))
	if said := words(n); !strings.Contains(said, "link.name: rom") || strings.Contains(said, "copy it now") {
		t.Errorf("it says %s", said)
	}
	checkDocument(t, n)
}

func TestInvitationThatCannotBeMadeKeepsWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	got := w.post(t, "/links/invite", url.Values{"name": {"rom"}, "direction": {"send"}, "peers": {"many"}})
	said := words(page(t, got))
	if got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(said, "A bound is a number") || len(w.changes()) != 0 {
		t.Errorf("status %d, %q: %s", got.StatusCode, w.changes(), said)
	}
	w.refuse("POST /links/invitations", http.StatusConflict, "rom is linked already")
	n := page(t, w.post(t, "/links/invite", url.Values{"name": {"rom"}, "direction": {"send"}, "torrents": {"x"}}))
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
	if got := w.post(t, "/links/invite", url.Values{"name": {"rom"}}); got.StatusCode != http.StatusForbidden {
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
	if !actions["/links/reset"] || !actions["/links/drop"] || actions["/links/invite"] || actions["/links/join"] {
		t.Errorf("an operator has %v", actions)
	}
}
