package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/console/client"
	"waggle/console/web"
)

// rows are the tables of a page, line by line.
func rows(n *html.Node) (lines []string) {
	for _, tr := range all(n, "tr") {
		var cells []string
		for _, cell := range slices.Concat(all(tr, "th"), all(tr, "td")) {
			cells = append(cells, words(cell))
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	return lines
}

func TestClusterSaysWhatThisInstanceAndAllOthersAre(t *testing.T) {
	w := newWorld(t)
	n := page(t, w.get(t, "/cluster"))
	said := words(n)
	for _, want := range []string{
		"This instance is master", "Instances3 alive", "A commit takes< 1 ms", "Requests under way3", "Peers1,204",
		"ID6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000000", "Address10.0.0.1:41702", "Masterthis one", "239.192.0.69:6968", "udp://239.192.0.69:6969/announce",
		"Rows1,999", "1 min 30 s ahead of the time of the cluster",
	} {
		if !strings.Contains(strings.ReplaceAll(said, " ", ""), strings.ReplaceAll(want, " ", "")) {
			t.Errorf("the page does not say %q: %s", want, said)
		}
	}
	lines := rows(n)
	for _, want := range []string{
		"10.0.0.1this instance 41702 master – 88,213 – – 6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000000",
		"10.0.0.2 38119 slave 0.4 s ago 12,345 2 ms copied to 6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000001",
		"2001:db8::1 40002 newcomer 0.1 s ago – – joining none yet",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no line %q: %q", want, lines)
		}
	}
	for label, number := range map[string]string{
		"Waited": "101", "Asked again": "102", "Sent again": "103", "Refused": "104", "Without room": "105", "Forged": "106", "Replayed": "107",
		"Broken": "108", "Out of place": "109", "Lost": "110", "Not sent": "111",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, label+" "+number+" ") }) {
			t.Errorf("%s is not %s: %q", label, number, lines)
		}
	}
}

func TestSlaveShowsTheMasterBeforeOthersAndWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	c := clustered()
	c.Role, c.Master, c.Group = client.ClusterSlave, "10.0.0.9:1", ""
	c.Members = []client.ClusterMember{
		{IP: "10.0.0.2", Port: 2, Role: client.ClusterNewcomer}, {IP: "10.0.0.3", Port: 3, ID: "03", Role: client.ClusterSlave}, {IP: "10.0.0.9", Port: 1, ID: "01", Role: client.ClusterMaster},
	}
	w.answer("GET /cluster", c)
	n := page(t, w.get(t, "/cluster"))
	lines := rows(n)
	at := func(ip string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, ip) })
	}
	if order := []int{at("10.0.0.1this"), at("10.0.0.9 "), at("10.0.0.3 "), at("10.0.0.2 ")}; order[0] < 0 || !slices.IsSorted(order) {
		t.Errorf("the order is %v of %q", order, lines)
	}
	if said := words(n); !slices.Contains(lines, "10.0.0.3 3 slave 0.0 s ago – – – 03") || !strings.Contains(said, "a NATS") || !strings.Contains(said, "known to the master") {
		t.Errorf("%q", lines)
	}
	if got := ways(n); !slices.Equal(got, []string{"/cluster/leave"}) {
		t.Errorf("a slave can %q", got)
	}
}

// ways are where the actions of a page lead.
func ways(n *html.Node) (paths []string) {
	for _, a := range all(n, "a") {
		if _, asks := attribute(a, "data-confirm"); asks {
			path, _ := attribute(a, "href")
			paths = append(paths, path)
		}
	}
	return paths
}

func TestWhatIsWrongWithAClusterIsSaidFirst(t *testing.T) {
	for want, change := range map[string]func(*client.Cluster){
		"":                            func(*client.Cluster) {},
		"A master is being elected":   func(c *client.Cluster) { c.Electing, c.Serving, c.Role = true, false, client.ClusterSlave },
		"has left the cluster":        func(c *client.Cluster) { c.Role, c.Members, c.Serving = client.ClusterLeft, nil, false },
		"looks for others":            func(c *client.Cluster) { c.Role, c.ID, c.Serving = client.ClusterNewcomer, "", false },
		"looks what the others know":  func(c *client.Cluster) { c.Serving = false },
		"is brought what it lacks":    func(c *client.Cluster) { c.Role, c.Serving = client.ClusterSlave, false },
		"There is no other instance:": func(c *client.Cluster) { c.Members = nil },
	} {
		w := newWorld(t)
		c := clustered()
		change(&c)
		w.answer("GET /cluster", c)
		n := page(t, w.get(t, "/cluster"))
		checkDocument(t, n)
		var told string
		for _, e := range all(n, "div") {
			if has(e, "role", "status") {
				told = words(e)
			}
		}
		if want == "" && told != "" || !strings.Contains(told, want) {
			t.Errorf("it tells %q, want %q", told, want)
		}
	}
}

func TestTrackerWithoutAClusterSaysHowThereIsOne(t *testing.T) {
	w := newWorld(t)
	w.refuse("GET /cluster", http.StatusNotFound, "this tracker is in no cluster: set cluster.group and cluster.secret_file")
	got := w.get(t, "/cluster")
	n := page(t, got)
	if said := words(n); got.StatusCode != http.StatusOK || !strings.Contains(said, "Set cluster.group") && !strings.Contains(said, "set cluster.group") || len(all(n, "form")) != 0 || len(ways(n)) != 0 {
		t.Errorf("status %d: %s", got.StatusCode, said)
	}
	for _, path := range []string{"/cluster/leave", "/cluster/stepdown"} {
		if got := w.get(t, path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.StatusCode)
		}
	}
	w.refuse("GET /cluster", http.StatusInternalServerError, "so it is")
	if got := w.get(t, "/cluster"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("where the API fails the page answers %d", got.StatusCode)
	}
}

func TestCommitsASecondAreKnownFromTheSecondLookOn(t *testing.T) {
	w := newWorld(t)
	at := now
	site, err := web.New(web.Options{API: w, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	w.site = site
	look := func(after time.Duration, committed uint64) string {
		t.Helper()
		at = at.Add(after)
		c := clustered()
		c.Totals.Committed = committed
		w.answer("GET /cluster", c)
		said := words(page(t, w.get(t, "/cluster")))
		_, said, _ = strings.Cut(said, "alive Committed")
		said, _, _ = strings.Cut(said, "/s")
		return strings.TrimSpace(said)
	}
	for _, l := range []struct {
		after     time.Duration
		committed uint64
		want      string
	}{
		{0, 1000, "–"},
		{100 * time.Millisecond, 2000, "–"}, // too short to say anything
		{1900 * time.Millisecond, 3000, "1,000"},
		{8 * time.Second, 3000, "200"},
		{2 * time.Second, 3000, "0"}, // the first look is longer ago than counts
		{2 * time.Minute, 999_999, "–"},
		{2 * time.Second, 1_000_099, "50.0"},
		{2 * time.Second, 5, "–"}, // another process
	} {
		if got := look(l.after, l.committed); got != l.want {
			t.Errorf("%d committed at %v: %s a second, want %s", l.committed, at.Sub(now), got, l.want)
		}
	}
}

func TestInstanceStepsDownAndLeavesWhenToldSo(t *testing.T) {
	w := newWorld(t)
	w.answer("POST /cluster/stepdown", struct{}{})
	w.answer("POST /cluster/leave", struct{}{})
	n := page(t, w.get(t, "/cluster"))
	if got := ways(n); !slices.Equal(got, []string{"/cluster/stepdown", "/cluster/leave"}) {
		t.Errorf("a master can %q", got)
	}
	for path, says := range map[string][2]string{
		"/cluster/stepdown": {"joins again, as a slave", "This instance has stepped down"},
		"/cluster/leave":    {"until it is started again", "This instance has left the cluster"},
	} {
		asked := page(t, w.get(t, path))
		if said := words(asked); !strings.Contains(said, says[0]) {
			t.Errorf("before one does %s, it says %s", path, said)
		}
		for _, a := range all(n, "a") {
			if text, _ := attribute(a, "data-confirm-text"); has(a, "href", path) && !strings.Contains(words(asked), text) {
				t.Errorf("%s: the dialogue says %q, the page %q", path, text, words(asked))
			}
		}
		got := w.post(t, path, nil)
		done := w.changes()
		next, said := w.follow(t, got)
		if next != "/cluster" || done[len(done)-1] != "POST "+path+"?" || len(said) != 1 || !strings.HasPrefix(said[0], "done: "+says[1]) {
			t.Errorf("%s: asked for %q, to %s, which says %q", path, done, next, said)
		}
		w.refuse("POST "+path, http.StatusConflict, "so it is not")
		if next, said := w.follow(t, w.post(t, path, nil)); next != "/cluster" || !slices.Equal(said, []string{"failed: Failed: So it is not."}) {
			t.Errorf("%s: refused, %s says %q", path, next, said)
		}
		w.refuse("POST "+path, http.StatusForbidden, "this is for the role operator")
		if got := w.post(t, path, nil); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: who may not is answered %d", path, got.StatusCode)
		}
	}
}

func TestLeavingSaysWhatBecomesOfTheCluster(t *testing.T) {
	for want, change := range map[string]func(*client.Cluster){
		"Another instance becomes master": func(*client.Cluster) {},
		"The others go on without it":     func(c *client.Cluster) { c.Role = client.ClusterSlave },
		"It is the only instance":         func(c *client.Cluster) { c.Members = nil },
	} {
		w := newWorld(t)
		c := clustered()
		change(&c)
		w.answer("GET /cluster", c)
		if said := words(page(t, w.get(t, "/cluster/leave"))); !strings.Contains(said, want) {
			t.Errorf("it says %s, want %s", said, want)
		}
	}
}

func TestMasterThatNobodyCouldFollowIsNotOfferedToStepDown(t *testing.T) {
	w := newWorld(t)
	c := clustered()
	c.Members = c.Members[:1] // a newcomer
	w.answer("GET /cluster", c)
	if got := ways(page(t, w.get(t, "/cluster"))); !slices.Equal(got, []string{"/cluster/leave"}) {
		t.Errorf("it can %q", got)
	}
	c.Role, c.Members = client.ClusterLeft, nil
	w.answer("GET /cluster", c)
	if got := ways(page(t, w.get(t, "/cluster"))); got != nil {
		t.Errorf("one that has left can %q", got)
	}
	w.answer("GET /cluster", clustered())
	w.who = account.Identity{Name: "vera", Role: account.Viewer, Via: account.ViaSession, CSRF: "c"}
	if n := page(t, w.get(t, "/cluster")); ways(n) != nil || len(all(n, "dialog")) != 0 {
		t.Errorf("a viewer can %q", ways(n))
	}
}
