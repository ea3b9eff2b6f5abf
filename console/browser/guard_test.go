package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What all other tests rely on: that a window sees what no page may do.
func TestWindowNoticesWhatNoPageMayDo(t *testing.T) {
	t.Parallel()
	w := open(t, shared(t).tracker)
	w.visit("/about")
	for does, fault := range map[string]string{
		`console.error("wrong")`:                      "console.error of a script",
		`setTimeout(() => { throw Error("lost") })`:   "a script threw: Uncaught Error: lost",
		`setTimeout(() => alert("hello"))`:            "a dialogue: hello",
		`fetch("http://127.0.0.2:9/").catch(() => 0)`: "http://127.0.0.2:9/",

		`document.body.append(Object.assign(new Image(), { src: "http://127.0.0.2:9/pixel" }))`:       "http://127.0.0.2:9/pixel",
		`document.body.append(Object.assign(document.createElement("script"), { textContent: "1" }))`: "script-src 'self'",
		`document.body.setAttribute("style", "margin: 0")`:                                            "style-src 'self'",
	} {
		w.expect(fault)
		evaluate[any](w, "void "+does)
		eventually(t, "it is noticed that a page does "+does, func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.ContainsFunc(w.faults, func(seen string) bool { return strings.Contains(seen, fault) }) {
				return fmt.Errorf("there is no %q in %q", fault, w.faults)
			}
			return nil
		})
	}
}
