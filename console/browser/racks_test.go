package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// openMap goes to a transfer and waits for its map.
func openMap(t *testing.T, world *world) *window {
	t.Helper()
	w := open(t, world.tracker)
	w.visit("/transfers/" + world.file.String())
	w.until(`!document.getElementById("racks").hidden && waggle.racks.count > 0`)
	w.wantText("#rack-text", "3 racks, 30 hosts")
	return w
}

// search moves a pointer over the map until it is on a host, and returns where that is and
// what the map says of it.
const search = `(() => {
	const canvas = document.querySelector("#racks canvas"), tip = document.querySelector(".rack-tip");
	const box = canvas.getBoundingClientRect();
	for (let y = box.top + 20; y < Math.min(box.bottom, innerHeight - 10); y += 5) {
		for (let x = box.left + 20; x < box.right; x += 5) {
			canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y }));
			if (!tip.hidden && tip.textContent.startsWith("127.0.")) return { X: x + 2, Y: y + 2, Said: tip.textContent };
		}
	}
	return null;
})()`

// hostAt finds a host on the map.
func hostAt(w *window) (at point, said string) {
	w.t.Helper()
	w.middle("#racks canvas") // brings it into view
	found := evaluate[*struct {
		point
		Said string
	}](w, search)
	if found == nil {
		w.t.Fatal("no host is found on the map")
	}
	return found.point, found.Said
}

func TestHostOnTheRackMapIsExplainedByAClick(t *testing.T) {
	t.Parallel()
	w := openMap(t, shared(t))
	at, said := hostAt(w)
	address, rest, _ := strings.Cut(said, "\n")
	if !strings.Contains(rest, "\nr0") {
		t.Errorf("the map says of a host: %q", said)
	}
	w.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at.X, at.Y))
	w.until(`document.querySelector(".rack-tip").textContent === ` + quoted(said))
	w.do(chromedp.MouseClickXY(at.X, at.Y))
	w.until(`document.querySelectorAll(".rack-side .sentences li").length > 0`)
	w.wantText(".rack-side", address)
	w.wantText(".rack-side", "Location")
	w.wantText("#rack-pick", address)
	evaluate[int](w, `document.querySelector(".rack-side .head button").click() ?? 0`)
	w.until(`document.querySelector(".rack-side").hidden && document.activeElement === document.querySelector("#racks canvas")`)
}

func TestRackMapIsUsedByKeyboard(t *testing.T) {
	t.Parallel()
	w := openMap(t, shared(t))
	evaluate[int](w, `document.querySelector("#racks canvas").focus() ?? 0`)
	w.press(kb.ArrowRight)
	w.until(`document.getElementById("rack-pick").textContent.startsWith("127.0.")`)
	first := w.text("#rack-pick")
	w.press(kb.ArrowRight)
	w.until(`document.getElementById("rack-pick").textContent !== ` + quoted(first))
	w.press(kb.ArrowLeft)
	w.until(`document.getElementById("rack-pick").textContent === ` + quoted(first))
	w.press(kb.ArrowDown)
	w.until(`document.getElementById("rack-pick").textContent !== ` + quoted(first))
	address, _, _ := strings.Cut(w.text("#rack-pick"), ",")
	w.press(kb.Enter)
	w.until(`document.querySelectorAll(".rack-side .sentences li").length > 0`)
	w.wantText(".rack-side", address)
	w.press("+")
	w.press("0")
	w.press(kb.Escape)
	w.until(`document.querySelector(".rack-side").hidden && document.getElementById("rack-pick").textContent === ""`)
	if !evaluate[bool](w, `document.activeElement === document.querySelector("#racks canvas")`) {
		t.Error("the map has lost the focus")
	}
}

func TestRackMapSaysNoMoreThatTheTrackerIsGoneOnceItAnswers(t *testing.T) {
	t.Parallel()
	w := openMap(t, shared(t))
	const said = `document.getElementById("rack-text").textContent`
	w.until(said + `.includes("racks")`)
	const again = `document.dispatchEvent(new Event("visibilitychange")) ? 1 : 0`
	evaluate[int](w, `globalThis.kept = fetch; globalThis.fetch = () => Promise.reject(new TypeError()); `+again)
	w.until(said + `.includes("does not answer")`)
	evaluate[int](w, `globalThis.fetch = kept; `+again)
	w.until(said + `.includes("racks")`)
}

func TestExplanationHasAPageOfItsOwn(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.visit("/transfers/" + world.file.String())
	w.follow(`#places a[href*="/peers/"]`)
	w.wantText("h1", "Peer 127.0.")
	w.wantText(".sentences", "127.0.")
	w.follow(".head .end a")
	w.wantText("h1", "image.iso")
}
