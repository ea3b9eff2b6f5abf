package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"

	"waggle/console/client"
)

// refused is what the browser's console says of an answer.
func refused(status string) string { return "the server responded with a status of " + status }

func TestFirstAdminPasswordIsSetOnThisMachine(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "--store", "memory:")
	w := open(t, tr)
	w.visit("/")
	w.wantText(".who", "admin")
	w.visit("/settings/accounts")
	w.wantText("main", "whoever is on this machine may do everything")
	w.fill("input[name=name]", "root of all")
	w.fill("input[name=password]", password)
	w.fill("input[name=again]", "another password")
	w.expect(refused("422"))
	if status := w.follow("main form button.first"); status != http.StatusUnprocessableEntity {
		t.Errorf("two different passwords: status %d", status)
	}
	w.wantText("[role=alert]", "The two passwords differ")
	w.fill("input[name=password]", password)
	w.fill("input[name=again]", password)
	w.follow("main form button.first")
	if got := w.path(); got != "/login?next=/settings/accounts" {
		t.Errorf("then one is at %s", got)
	}
	w.wantText("[role=status]", "The account root of all is made. From now on changes need a log-in.")
	w.giveCredentials("root of all", password)
	if got := w.path(); got != "/settings/accounts" {
		t.Errorf("after the log-in one is at %s", got)
	}
	w.wantText("tbody tr", "root of all you")
	w.wantText(".who", "root of all · admin")

	stranger := open(t, tr)
	stranger.visit("/settings/accounts")
	if got := stranger.path(); got != "/login?next=%2Fsettings%2Faccounts" {
		t.Errorf("without a log-in the accounts lead to %s", got)
	}
}

func TestWrongPasswordIsRefusedAndAfterManyOneHasToWait(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "--store", "memory:")
	if err := tr.account(t.Context(), admin, "admin"); err != nil {
		t.Fatal(err)
	}
	w := open(t, tr)
	w.expect(refused("401"))
	w.expect(refused("429"))
	w.visit("/login?next=/peers")
	if status := w.giveCredentials(admin, "not the password"); status != http.StatusUnauthorized {
		t.Errorf("a wrong password: status %d", status)
	}
	w.wantText("[role=alert]", "The name or the secret is wrong.")
	if got := evaluate[string](w, `document.activeElement.name`); got != "password" {
		t.Errorf("the focus is on %q, not where one goes on", got)
	}
	for range 5 { // an attempt is earned again meanwhile where this machine is slow
		if w.refusedByNumber() {
			return
		}
		w = open(t, tr)
		w.expect(refused("401"))
		w.expect(refused("429"))
		w.visit("/login?next=/peers")
	}
	t.Error("the right password is taken right after too many wrong ones")
}

// refusedByNumber gives wrong passwords until there are too many, and reports whether the right
// one is refused then.
func (w *window) refusedByNumber() bool {
	w.t.Helper()
	for range 40 { // as many as it takes
		if w.giveCredentials(admin, "not the password") == http.StatusTooManyRequests {
			break
		}
	}
	w.wantText("[role=alert]", "Too many wrong attempts: try again in ")
	return w.giveCredentials(admin, password) == http.StatusTooManyRequests
}

func TestLogInLeadsOnAndLogOutEndsIt(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(operator, "/torrents?state=active")
	w.wantText(".who", operator+" · operator")
	if evaluate[bool](w, `Boolean(document.querySelector("nav.site a[href='/settings']"))`) {
		t.Error("an operator is led to the settings")
	}
	other := w.another()
	other.visit("/")
	other.until(`document.getElementById("live-state").textContent.includes("Live")`)
	w.follow(".who form button")
	if got := w.path(); got != "/login" {
		t.Errorf("after the log-out one is at %s", got)
	}
	w.wantText("[role=status]", "You are logged out")
	other.until(`document.getElementById("live-state").textContent.includes("You are not logged in any more")`)
	other.visit("/torrents")
	other.wantText(".who", "viewer") // as anybody on this machine
	if evaluate[bool](other, `Boolean(document.getElementById("upload"))`) {
		t.Error("whoever is not logged in can upload")
	}
}

func TestSessionThatEndedLeadsToTheLogInAndBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr, err := run(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.account(t.Context(), admin, "admin"); err != nil {
		t.Error(err)
	}
	w := open(t, tr)
	w.logIn(admin, "/settings/audit?cursor=")
	if err := tr.close(); err != nil {
		t.Fatal(err)
	}
	startTrackerIn(t, dir, "--listen-console", strings.TrimPrefix(tr.console, "http://")) // restarted: sessions have ended
	w.leads(command(page.Reload, page.ReloadParams{}))
	if got := w.path(); !strings.HasPrefix(got, "/login?next=%2Fsettings%2Faudit") {
		t.Fatalf("a page of an ended session leads to %s", got)
	}
	w.giveCredentials(admin, password)
	if got := w.path(); got != "/settings/audit?cursor=" {
		t.Errorf("after the log-in one is at %s", got)
	}
	w.wantText("tbody", "log-in")
}

func TestFormWithoutItsTokenChangesNothing(t *testing.T) {
	t.Parallel()
	world := shared(t)
	h := mustAdd(t, world.tracker, "forged.iso", 1<<20)
	w := open(t, world.tracker)
	w.logIn(operator, "/transfers/"+h.String())
	w.expect(refused("403"))
	evaluate[int](w, `document.querySelectorAll("input[name=csrf]").forEach((field) => field.remove()) ?? 0`)
	if status := w.follow("#actions button"); status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
	w.wantText("h1", "Not allowed")
	if got := evaluate[int](w, `fetch("/transfers/`+h.String()+`/deactivate", { method: "POST", body: new URLSearchParams({ csrf: "guessed" }) }).then((answer) => answer.status)`); got != http.StatusForbidden {
		t.Errorf("a guessed token: status %d", got)
	}
	world.until(t, h, "it is as it was", func(f client.Transfer) bool { return f.Active })
}

func TestViewerIsToldThatChangesAreNotForThem(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(viewer, "/transfers/"+world.file.String())
	if evaluate[bool](w, `Boolean(document.querySelector("#actions, #act, a[data-confirm]"))`) {
		t.Error("a viewer is offered changes")
	}
	w.expect(refused("403"))
	if status := w.visit("/transfers/" + world.file.String() + "/delete"); status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
	w.wantText("main", "Deleting takes the role of an operator.")
}
