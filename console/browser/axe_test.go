package browser

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// axeFile is what npm installs.
const axeFile = "../web/node_modules/axe-core/axe.min.js"

// violation is one that axe found.
type violation struct {
	ID, Help string
	Nodes    []struct {
		Target  []any
		Summary string `json:"failureSummary"`
	}
}

// What axe looks for: by the rules of WCAG 2.1 AA, those of WCAG 2.2, and best practice; and
// those rules of these that a theme may break.
const (
	everything = `{ type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }`
	colours    = `{ type: "rule", values: ["color-contrast", "link-in-text-block"] }` //nolint:misspell // axe calls it that
)

// examine runs axe by some rules.
const examine = `axe.run(document, { resultTypes: ["violations"], runOnly: %s }).then((found) => found.violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ target, failureSummary }) => ({ target, failureSummary })) })))`

// readAxe returns its script.
func readAxe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(axeFile)
	if err != nil {
		t.Fatalf("%v: %s (npm ci --ignore-scripts in console/web)", err, remedy)
	}
	return string(script)
}

func TestAxeFindsNoViolationOnAnyPage(t *testing.T) {
	t.Parallel()
	axe := readAxe(t)
	world := shared(t)
	paths := slices.DeleteFunc(world.pages(), alike(world))
	for _, half := range split(paths, 2) {
		t.Run(fmt.Sprintf("%d pages from %s", len(half), half[0]), func(t *testing.T) {
			t.Parallel()
			w := open(t, world.tracker)
			w.expect(refused("404"))
			w.logIn(admin, "/")
			for _, path := range half {
				w.visit(path)
				w.settle()
				w.audit(path, axe)
			}
		})
	}
	t.Run("pages of those who are not logged in", func(t *testing.T) {
		t.Parallel()
		w := open(t, world.tracker)
		w.origins = append(w.origins, strings.TrimSuffix(world.publicURL(), "/"))
		w.visit("/login")
		w.audit("/login", axe)
		w.visit("/transfers/" + world.unlisted.String())
		w.settle()
		w.audit("a transfer", axe)
		w.console = strings.TrimSuffix(world.publicURL(), "/")
		w.visit("/")
		w.audit("the public page", axe)
	})
}

// alike reports whether a page has nothing that another one lacks but for its data.
func alike(world *world) func(path string) bool {
	return func(path string) bool {
		return path == "/?span=day" || path == "/torrents?query=nothing+is+called+so" || path == "/transfers/"+world.hostile.String()
	}
}

// split cuts a list into parts of one length, or nearly so.
func split(all []string, parts int) (out [][]string) {
	for i := range parts {
		out = append(out, all[i*len(all)/parts:(i+1)*len(all)/parts])
	}
	return out
}

// settle waits until charts and map are drawn, where a page has them.
func (w *window) settle() {
	w.t.Helper()
	w.until(`[...document.querySelectorAll(".charts .plot")].every((plot) => plot.querySelector("canvas"))`)
	w.until(`!document.getElementById("racks") || document.getElementById("rack-text").textContent !== ""`)
}

// audit has axe examine the page in both themes, wide and narrow.
func (w *window) audit(name, axe string) {
	w.t.Helper()
	evaluate[bool](w, axe+";true")
	for _, width := range []int64{wide, 390} {
		w.size(width, high)
		if over := evaluate[float64](w, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			w.t.Errorf("%s is %v pixels wider than a window of %d", name, over, width)
		}
		for theme, rules := range map[string]string{"light": everything, "dark": colours} {
			w.theme(theme)
			for _, v := range evaluate[[]violation](w, fmt.Sprintf(examine, rules)) {
				for _, n := range v.Nodes {
					w.t.Errorf("%s, %s, %d pixels wide: %s (%s) at %v: %s", name, theme, width, v.Help, v.ID, n.Target, n.Summary)
				}
			}
		}
	}
	w.size(wide, high)
	w.theme("light")
}
