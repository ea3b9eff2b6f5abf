package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused is what has the focus, in words.
const focused = `(document.activeElement.innerText || document.activeElement.getAttribute("aria-label") || document.activeElement.name || document.activeElement.id || document.activeElement.nodeName).trim()`

func TestFirstTabSkipsTheNavigation(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.visit("/torrents")
	w.press(kb.Tab)
	if got := evaluate[string](w, focused); got != "Skip to the content" {
		t.Fatalf("the first tab leads to %q", got)
	}
	if box := evaluate[[4]float64](w, `(() => { const b = document.activeElement.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()`); box[0] < 0 || box[1] < 0 || box[2] < 20 || box[3] < 10 {
		t.Errorf("what has the focus cannot be seen: %v", box)
	}
	w.press(kb.Enter)
	w.until(`document.activeElement.id === "main"`)
	w.press(kb.Tab)
	if got := evaluate[bool](w, `document.getElementById("main").contains(document.activeElement)`); !got {
		t.Error("the next tab leads out of the content")
	}
}

func TestPagesAreReachedByKeyboard(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.visit("/")
	for range 10 {
		w.press(kb.Tab)
		if evaluate[string](w, focused) == "Peers" {
			break
		}
	}
	if style := evaluate[string](w, `getComputedStyle(document.activeElement).outlineStyle`); style == "none" {
		t.Error("one cannot see what has the focus")
	}
	w.leads(chromedp.KeyEvent(kb.Enter))
	w.wantText("h1", "Peers")
	if got := evaluate[string](w, `document.querySelector("nav.site [aria-current]").innerText`); got != "Peers" {
		t.Errorf("the navigation says that this is %q", got)
	}
}

func TestEverythingThatCanBeClickedCanBeTabbedTo(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(admin, "/torrents?query=build-00")
	w.until(`document.getElementById("theme").hidden === false`)
	want := evaluate[int](w, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, canvas")].filter((e) => e.checkVisibility()).length`)
	reached := map[string]bool{}
	for range want + 5 {
		w.press(kb.Tab)
		if id := evaluate[string](w, `(() => {
			const e = document.activeElement;
			if (e === document.body) return "";
			globalThis.tabbed ??= new Map();
			if (!tabbed.has(e)) tabbed.set(e, String(tabbed.size));
			return tabbed.get(e);
		})()`); id != "" {
			reached[id] = true
		}
	}
	if len(reached) < want {
		t.Errorf("%d of %d are reached by the tab key", len(reached), want)
	}
}
