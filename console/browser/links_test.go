package browser

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/console/client"
)

// links are those of a tracker that is nothing but its console.
type links struct {
	mu    sync.Mutex
	shown client.Links
	asked []string
}

// linked returns a tracker with a link in every state.
func linked(t *testing.T) (*links, *tracker) {
	t.Helper()
	both, at := client.Rights{Receive: true, Send: true}, time.Now().Add(-90*time.Minute)
	l := &links{shown: client.Links{
		Name: "ams", Listening: []string{"0.0.0.0:6971"}, Hub: "world", Own: 123456, Relayed: 654321, Torrents: 4321,
		Links: []client.Link{
			{
				Name: "world", Role: client.RoleHub, State: client.LinkActive, Since: at, Address: "192.0.2.1:6971", Software: "waggle 0.1.0", Peers: 600000,
				ChangesIn: 1234, ChangesOut: 321, BytesIn: 64 << 10, BytesOut: 17 << 10, Lag: 0.0123, LastHeal: &client.Heal{At: at, Took: 0.4, Entries: 77}, Rights: both,
			},
			{
				Name: "fra", Role: client.RoleLeaf, State: client.LinkHealing, Since: at, Address: "192.0.2.2:40000", Peers: 50000, Waiting: 12, Capped: 9,
				Rights: client.Rights{Receive: true, Send: true, Share: client.ShareBoth, Peers: 50000, ChangesPerSecond: 1000},
			},
			{Name: "lon", Role: client.RoleLeaf, State: client.LinkSplit, Why: "it did not answer for 8 s: it is asked again every two seconds", Since: at, Rights: both},
			{Name: "mad", Role: client.RoleLeaf, State: client.LinkRefused, Why: "its clock is 27 h ahead: set the clocks of both", Since: at, Rights: client.Rights{Receive: true}},
			{Name: "a-name-as-long-as-a-name-can-be-which-is-64-characters-and-no-more", Role: client.RoleLeaf, State: client.LinkConnecting, Rights: both},
		},
		Invited: []client.Invited{{Name: "rom", At: at, Rights: both}},
	}}
	c, err := console.Listen(t.Context(), "127.0.0.1:0", console.Options{Links: l, Version: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, &tracker{console: "http://" + c.Addr().String()}
}

func (l *links) Show() client.Links {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.shown
	all.Links, all.Invited = slices.Clone(all.Links), slices.Clone(all.Invited)
	return all
}

// become gives a link another state.
func (l *links) become(name, state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.shown.Links {
		if l.shown.Links[i].Name == name {
			l.shown.Links[i].State, l.shown.Links[i].Why = state, ""
		}
	}
}

func (l *links) do(format string, a ...any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf(format, a...))
	return nil
}

func (l *links) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.asked, want) {
		t.Errorf("asked %q, want %q", l.asked, want)
	}
}

func (l *links) Invite(_ context.Context, n client.NewInvitation) (client.Invitation, error) {
	return client.Invitation{Name: n.Name, Line: "waggle-link-1." + strings.Repeat("c2VjcmV0", 50)}, l.do("invite %s", n.Name)
}

func (l *links) Join(_ context.Context, line string) (client.Link, error) {
	return client.Link{Name: "world", Role: client.RoleHub, State: client.LinkConnecting}, l.do("join %s", line)
}

func (l *links) Leave(context.Context) error {
	l.mu.Lock()
	l.shown.Hub, l.shown.Links = "", l.shown.Links[1:]
	l.mu.Unlock()
	return l.do("leave")
}

func (l *links) Drop(_ context.Context, name string) error {
	l.mu.Lock()
	l.shown.Links = slices.DeleteFunc(l.shown.Links, func(one client.Link) bool { return one.Name == name })
	l.mu.Unlock()
	return l.do("drop %s", name)
}

func (l *links) Reset(_ context.Context, name string) error { return l.do("reset %s", name) }

func (l *links) SetRights(_ context.Context, name string, r client.Rights) error {
	return l.do("rights %s %+v", name, r)
}

func (l *links) AnnounceLists(context.Context) ([][]string, error) { return nil, nil }

func TestLinksAreShownToEverybodyAndAsTheyBecome(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	l, tr := linked(t)
	w := open(t, tr)
	w.visit("/links")
	w.audit("/links", axe)
	for name, state := range map[string]string{"hub-world": "active", "leaf-fra": "healing", "leaf-lon": "split", "leaf-mad": "refused"} {
		w.wantText("#link-"+name+" .badge", state)
	}
	w.wantText("#link-leaf-mad", "set the clocks of both")
	w.until(`document.getElementById("live-state").textContent.includes("Live")`)
	l.become("lon", client.LinkActive)
	w.until(`document.querySelector("#link-leaf-lon .badge").textContent === "active"`)
	w.until(`document.querySelector(".tree svg").getAttribute("aria-label").includes("lon is active")`)
	if got := evaluate[int](w, `document.querySelectorAll(".tree.broad line.l-active").length`); got != 2 {
		t.Errorf("%d lines are drawn as active", got)
	}
	if got := evaluate[string](w, `getComputedStyle(document.querySelector(".tree.broad line.l-refused")).strokeDasharray`); got == "none" {
		t.Error("a link that is refused is drawn like one that is active, but for its colour")
	}
	w.visit("/links/drop?name=fra")
	w.audit("/links/drop", axe)
}

func TestLinksAreResetDroppedAndLeft(t *testing.T) {
	t.Parallel()
	l, tr := linked(t)
	w := open(t, tr)
	w.visit("/links")
	w.follow("#link-leaf-fra form button")
	w.wantText("[role=status]", "The link with fra begins anew")
	w.click("#link-leaf-lon a.danger")
	w.until(`document.getElementById("confirm").open`)
	w.wantText("#confirm", "Drop the leaf lon?")
	w.click("#confirm button[type=button]")
	w.until(`!document.getElementById("confirm").open`)
	l.wantAsked(t, "reset fra")
	w.click("#link-leaf-lon a.danger")
	w.until(`document.getElementById("confirm").open`)
	w.follow("#confirm button.danger")
	w.wantText("[role=status]", "The link with lon is dropped")
	if evaluate[bool](w, `Boolean(document.getElementById("link-leaf-lon"))`) {
		t.Error("it is still there")
	}
	w.withoutScripts()
	w.visit("/links")
	w.follow("#link-hub-world a.danger")
	w.wantText("h1", "Leave the hub?")
	w.follow("main form button.danger")
	w.wantText("[role=status]", "This tracker has left its hub")
	w.wantText("#join-h + form", "The line that its invitation has")
	l.wantAsked(t, "reset fra", "drop lon", "leave")
}

func TestInvitationIsShownOnceAndHubIsJoined(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	l, tr := linked(t)
	if err := l.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := open(t, tr)
	w.visit("/links")
	w.fill("form[action='/links'] input[name=name]", "osl")
	if status := w.follow("form[action='/links'] button.first"); status != http.StatusCreated {
		t.Errorf("status %d", status)
	}
	w.wantText("#line", "waggle-link-1.")
	w.audit("an invitation", axe)
	w.visit("/links")
	if evaluate[bool](w, `Boolean(document.getElementById("line"))`) {
		t.Error("it is shown twice")
	}
	w.fill("form[action='/links/join'] input[name=line]", "waggle-link-1.abc")
	w.follow("form[action='/links/join'] button.first")
	w.wantText("[role=status]", "The hub is joined")
	l.wantAsked(t, "leave", "invite osl", "join waggle-link-1.abc")
}

func TestRightsOfALeafAreChanged(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	l, tr := linked(t)
	w := open(t, tr)
	w.expect(refused("422"))
	w.visit("/links")
	w.follow(`#link-leaf-fra .rights a`)
	w.wantText("h1", "Rights of fra")
	w.audit("/links/rights", axe)
	w.fill("input[name=peers]", "a few")
	if status := w.follow("main form button.first"); status != http.StatusUnprocessableEntity {
		t.Errorf("status %d", status)
	}
	w.wantText("[role=alert]", "A bound is a number")
	w.fill("input[name=peers]", "70")
	w.fill("textarea[name=torrents]", strings.Repeat("ab", 20)+" "+strings.Repeat("cd", 20))
	w.follow("main form button.first")
	w.wantText("[role=status]", "The leaf fra has other rights: receives and sends, 2 torrents only, receives and sends .torrent files, at most 70 peers, at most 1,000 changes a second")
	l.wantAsked(t, "rights fra {Receive:true Send:true Torrents:["+strings.Repeat("ab", 20)+" "+strings.Repeat("cd", 20)+"] Share:both Peers:70 ChangesPerSecond:1000}")
}

func TestTrackersAreLinkedByTheirPagesAlone(t *testing.T) {
	t.Parallel()
	hub := startTracker(t, "--link-name", "ams", "--link-listen", "127.0.0.1:0")
	leaf := startTracker(t, "--link-name", "elsewhere")
	atHub, atLeaf := open(t, hub), open(t, leaf)
	atHub.visit("/links")
	atHub.fill("form[action='/links'] input[name=name]", "fra")
	atHub.follow("form[action='/links'] button.first")
	line := strings.TrimSpace(atHub.text("#line"))
	atLeaf.visit("/links")
	atLeaf.fill("form[action='/links/join'] input[name=line]", line)
	atLeaf.follow("form[action='/links/join'] button.first")
	atLeaf.until(`document.querySelector("#link-hub-ams .badge").textContent === "active"`)
	atHub.until(`document.querySelector("#link-leaf-fra .badge").textContent === "active"`) // on the page that has the line, too
	if got := strings.TrimSpace(atHub.text("#line")); got != line {
		t.Errorf("the line became %q", got)
	}
	for i := range 3 {
		if err := leaf.tell(t.Context(), bittorrent.InfoHash{7}, peer{at: fmt.Sprintf("203.0.113.%d:6881", i+1), id: fmt.Sprintf("-XX0000-%012d", i), left: 1}); err != nil {
			t.Fatal(err)
		}
	}
	atHub.until(`document.querySelector("#link-leaf-fra td.n").textContent === "3"`)

	atHub.follow("#link-leaf-fra .rights a")
	evaluate[string](atHub, `document.querySelector("select[name=direction]").value = "receive"`)
	atHub.follow("main form button.first")
	atHub.wantText("[role=status]", "receives only")
	atHub.until(`document.querySelector("#link-leaf-fra .badge").textContent === "active"`)
	atLeaf.until(`document.querySelector("#link-hub-ams .rights").textContent.includes("receives only")`)

	atHub.click("#link-leaf-fra a.danger")
	atHub.until(`document.getElementById("confirm").open`)
	atHub.follow("#confirm button.danger")
	atHub.until(`!document.getElementById("link-leaf-fra")`)
	atLeaf.until(`document.querySelector("#link-hub-ams .badge").textContent === "refused"`)
	atLeaf.wantText("#link-hub-ams .why", "invitation")
}
