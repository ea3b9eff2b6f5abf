package browser

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/cluster/carrier"
	"waggle/console/client"
	"waggle/internal/clustertest"
)

// lan is where trackers of a test find each other: multicast on loopback.
type lan struct {
	t      *testing.T
	group  netip.AddrPort
	secret string
	flags  []string
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, group: clustertest.Group(t), secret: "of-the-cluster-of-a-test-of-pages"}
	file := filepath.Join(t.TempDir(), "cluster.secret")
	if err := os.WriteFile(file, []byte(l.secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.flags = slices.Concat(withToken, []string{
		"--store", "memory:", "--cluster-group", l.group.String(), "--cluster-peers", clustertest.Group(t).String(), "--cluster-interface", "lo", "--cluster-secret-file", file,
	})
	return l
}

// start starts instances and waits until they are one cluster. The first is master.
func (l *lan) start(n int) (all []*tracker) {
	l.t.Helper()
	for range n {
		tr := startTracker(l.t, l.flags...)
		all = append(all, tr)
		agree(l.t, all...)
	}
	return all
}

// agree waits until trackers are one cluster, and returns the master.
func agree(t *testing.T, all ...*tracker) (master *tracker) {
	t.Helper()
	eventually(t, "they are one cluster", func() error {
		master = nil
		for _, tr := range all {
			c, err := tr.api.Cluster(t.Context())
			if err != nil {
				return err
			}
			unequal := slices.ContainsFunc(c.Members, func(m client.ClusterMember) bool { return m.State != "" && m.State != "equal" })
			switch {
			case !c.Serving || c.Electing || len(c.Members) != len(all)-1 || unequal:
				return fmt.Errorf("%s has %+v", tr.console, c)
			case c.Role == client.ClusterMaster && master != nil:
				return errors.New("there are two masters")
			case c.Role == client.ClusterMaster:
				master = tr
			}
		}
		if master == nil {
			return errors.New("there is no master")
		}
		return nil
	})
	return master
}

// role is a script that has what the page says this instance is.
const role = `document.querySelector("#cluster .figures dd").textContent`

// instances is a script that has how many the table has, and line one that has a line of it.
const instances = `document.querySelectorAll("#instances-h ~ .scroller tbody tr").length`

func line(m *client.ClusterMember) string {
	return fmt.Sprintf(`(document.getElementById(%s)?.innerText ?? "")`, quoted(fmt.Sprintf("instance-%s-%d", m.IP, m.Port)))
}

func TestClusterIsShownByEachOfItsInstancesAsItGoesOn(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	all := newLAN(t).start(3)
	var pages []*window
	for _, tr := range all {
		w := open(t, tr)
		w.visit("/cluster")
		w.until(instances + ` === 3`)
		w.until(`document.getElementById("live-state").textContent.includes("Live")`)
		pages = append(pages, w)
	}
	master, slave := pages[0], pages[1]
	for i, want := range []string{client.ClusterMaster, client.ClusterSlave, client.ClusterSlave} {
		pages[i].until(role + ` === ` + quoted(want))
	}
	for i := range 20 {
		if err := all[i%3].tell(t.Context(), bittorrent.InfoHash{9}, peer{at: fmt.Sprintf("203.0.113.%d:6881", i+1), id: fmt.Sprintf("-XX0000-%012d", i), left: 1}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the page of the master says how far the slaves are", func() error { // at 20, unless this machine stood still
		c, err := all[0].api.Cluster(t.Context())
		if err != nil {
			return err
		}
		if c.UnderWay > 0 || len(c.Members) != 2 {
			return fmt.Errorf("%+v", c)
		}
		for i := range c.Members {
			m := &c.Members[i]
			if m.Sequence == 0 || m.Lag <= 0 {
				return fmt.Errorf("%+v", c)
			}
			want := fmt.Sprintf(`/slave\s+\d\.\d s ago\s+%d\s.* m?s\s+equal\s+%s/s`, m.Sequence, m.ID)
			if text := evaluate[string](master, line(m)); !evaluate[bool](master, want+`.test(`+quoted(text)+`)`) {
				return fmt.Errorf("the page says %q, not %s", text, want)
			}
		}
		return nil
	})
	slave.until(`[...document.querySelectorAll("#cluster tbody tr")].some((tr) => /master\s+\d\.\d s ago\s+–\s+–\s+–\s+[0-9a-f]{40}/.test(tr.innerText))`)
	for _, w := range pages {
		w.until(`/Peers\s+20$/.test(document.querySelector("#cluster .figures").innerText.trim())`)
		w.until(`/Committed\s+\S*\d\S* \/s/.test(document.querySelector("#cluster .figures").innerText)`)
	}
	master.audit("/cluster of a master", axe)
	slave.audit("/cluster of a slave", axe)

	// Who is only on this machine may look, and nothing else.
	slave.expect(refused("401"))
	slave.expect(refused("403"))
	for _, path := range []string{"/cluster/stepdown", "/cluster/leave"} {
		if evaluate[bool](slave, `Boolean(document.querySelector("#confirm, a[data-confirm]"))`) {
			t.Error("a viewer is offered to change something")
		}
		if got := evaluate[int](slave, `fetch(`+quoted(path)+`, { method: "POST" }).then((answer) => answer.status)`); got != http.StatusUnauthorized && got != http.StatusForbidden {
			t.Errorf("POST %s by a viewer: status %d", path, got)
		}
	}
	if status := slave.visit("/cluster/leave"); status != http.StatusForbidden {
		t.Errorf("a viewer who is about to have it leave: status %d", status)
	}
	slave.wantText("main", "at the word of operators")
	if got := agree(t, all...); got != all[0] {
		t.Error("a viewer has changed something")
	}
}

func TestMasterStepsDownAndInstanceLeavesByTheirPages(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	all := newLAN(t).start(3)
	for _, tr := range all {
		if err := tr.account(t.Context(), operator, "operator"); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, all[0])
	w.logIn(operator, "/cluster")
	w.until(role + ` === "master"`)
	w.ask("/cluster/stepdown")
	w.wantText("#confirm", "Step down?")
	w.wantText("#confirm", "joins again, as a slave")
	if got := evaluate[string](w, focused); got != "Stay" {
		t.Errorf("the focus is on %q, not where nothing happens", got)
	}
	w.press(kb.Escape)
	w.until(`!document.getElementById("confirm").open && document.activeElement.getAttribute("href") === "/cluster/stepdown"`)
	if got := agree(t, all...); got != all[0] {
		t.Error("a question that was not answered has changed something")
	}
	w.ask("/cluster/stepdown")
	w.follow("#confirm button.danger")
	w.wantText("[role=status]", "This instance has stepped down")
	w.until(role + ` === "slave"`)
	w.until(instances + ` === 3`)
	if evaluate[bool](w, `Boolean(document.querySelector("a[href='/cluster/stepdown']"))`) {
		t.Error("a slave is offered to step down")
	}
	master := agree(t, all...)
	if master == all[0] {
		t.Fatal("it is master again")
	}
	other := open(t, master)
	other.logIn(operator, "/cluster")
	other.until(role + ` === "master"`)
	other.until(instances + ` === 3`)

	w.withoutScripts()
	w.visit("/cluster")
	w.follow("a[href='/cluster/leave']")
	w.wantText("h1", "Leave the cluster?")
	w.wantText("main", "The others go on without it")
	w.follow("main form button.danger")
	w.wantText("[role=status]", "This instance has left the cluster")
	w.wantText("#cluster [role=status]", "Start it again to join")
	if got := evaluate[string](w, role); got != "left" {
		t.Errorf("it is %s", got)
	}
	other.until(instances + ` === 2`)
	agree(t, all[1], all[2])
	other.ask("/cluster/leave")
	other.wantText("#confirm", "Another instance becomes master")
	other.audit("the question whether to leave", axe)
	other.follow("#confirm button.danger")
	other.until(role + ` === "left"`)
	other.audit("/cluster of one that has left", axe)
	for _, tr := range all[1:] {
		if tr != master {
			agree(t, tr)
		}
	}
}

// ask opens the question that a link asks, by keyboard.
func (w *window) ask(path string) {
	w.t.Helper()
	w.until(`Boolean(document.querySelector("a[href='` + path + `']"))`)
	evaluate[int](w, `document.querySelector("a[href='`+path+`']").focus() ?? 0`)
	w.do(chromedp.KeyEvent(kb.Enter, func(p *input.DispatchKeyEventParams) {
		if p.Type == kb.KeyDown {
			p.Type = kb.KeyRawDown // as a keyboard does: else Enter would answer the question, too
		}
	}))
	w.until(`document.getElementById("confirm").open`)
}

// mute is an instance that is alive, and neither votes nor does anything else. It may be stopped
// twice.
func (l *lan) mute() (stop func()) {
	l.t.Helper()
	c, err := carrier.NewMulticast(carrier.MulticastOptions{GroupOptions: carrier.GroupOptions{Group: l.group, Interface: "lo", TTL: 1}, Secret: []byte(l.secret)})
	if err != nil {
		l.t.Fatal(err)
	}
	keepalive := binary.BigEndian.AppendUint32(nil, 0)
	keepalive = append(keepalive, strings.Repeat("\xfe", len(cluster.ID{}))...)
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(cluster.Document.Keepalive / 2)
		defer ticker.Stop()
		for {
			c.Broadcast(keepalive)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		if err := c.Close(); err != nil {
			l.t.Error(err)
		}
	}
}

func TestElectionIsSaidWhileItGoesOn(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	l := newLAN(t)
	all := l.start(2)
	w := open(t, all[1])
	w.visit("/cluster")
	w.until(role + ` === "slave"`)
	stop := l.mute()
	defer stop()
	w.until(instances + ` === 3`)
	if got := w.text("#cluster [role=status]"); got != "" {
		t.Errorf("all is well, and it is said that %s", got)
	}
	if err := all[0].stop(); err != nil { // and so there is an election, in which one does not vote
		t.Error(err)
	}
	w.until(`document.querySelector("#cluster [role=status]").textContent.includes("A master is being elected")`)
	w.audit("/cluster in an election", axe)
	stop()
	w.until(role + ` === "master"`)
	w.until(`document.querySelector("#cluster [role=status]").textContent.includes("There is no other instance")`)
}
