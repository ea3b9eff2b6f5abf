package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
)

// withoutScripts turns off the scripts of pages that are visited from then on.
func (w *window) withoutScripts() {
	w.t.Helper()
	w.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

func TestEveryPageCanBeReadWithoutJavaScript(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.withoutScripts()
	w.logIn(admin, "/")
	w.expect(refused("404"))
	for _, path := range world.pages() {
		if status := w.visit(path); status != http.StatusOK && !nowhere(path) {
			t.Errorf("%s: status %d", path, status)
		}
		if w.text("h1") == "" || len(w.text("main")) < 40 {
			t.Errorf("%s can hardly be read: %s", path, w.whatIsThere())
		}
		for _, promise := range []string{"Loading", "Live"} {
			if said := w.text("body"); strings.Contains(said, promise) {
				t.Errorf("%s says %s, which only a script can do", path, promise)
			}
		}
	}
	w.visit("/")
	if n := evaluate[int](w, `[...document.querySelectorAll(".plot svg path")].filter((p) => p.getAttribute("d") !== null).length`); n == 0 {
		t.Error("there are no charts")
	}
	w.visit("/transfers/" + world.file.String())
	w.wantText("main", "The map needs JavaScript")
	w.wantText("#places", "r03")
	w.wantText("#peers", "qBittorrent 4.5.2")
}

func TestTorrentIsChangedWithoutJavaScript(t *testing.T) {
	t.Parallel()
	world := shared(t)
	h := mustAdd(t, world.tracker, "plain.iso", 1<<30)
	w := open(t, world.tracker)
	w.withoutScripts()
	w.logIn(operator, "/torrents?query=plain.iso")
	w.follow("#t-" + h.String() + " button")
	w.wantText("[role=status]", "plain.iso is not active any more")
	w.follow("#t-" + h.String() + " a.danger")
	w.wantText("h1", "Delete plain.iso?")
	w.follow("main form button")
	w.wantText("[role=status]", "plain.iso is deleted")
	if _, err := world.api.Transfer(t.Context(), h); err == nil {
		t.Error("it is still there")
	}
}
