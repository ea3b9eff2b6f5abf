package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Size of a window, in CSS pixels.
const (
	wide = 1280
	high = 800
)

// patience is how long a page may take to become what a test waits for.
const patience = 2 * time.Minute

// window is a tab of a browser that shares nothing, such as cookies, with those of other
// tests. Its methods end the test where they fail.
type window struct {
	t       *testing.T
	ctx     context.Context
	console string // URL, without a slash at the end
	origins []string

	mu       sync.Mutex
	faults   []string
	expected []string // parts of faults that the test provokes
	requests int
}

// open opens a window for the pages of a tracker.
func open(t *testing.T, tr *tracker) *window {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return newWindow(t, ctx, tr.console)
}

// another opens a second tab that shares the cookies of the first.
func (w *window) another() *window {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.ctx)
	w.t.Cleanup(cancel)
	return newWindow(w.t, ctx, w.console)
}

func newWindow(t *testing.T, ctx context.Context, console string) *window {
	t.Helper()
	w := &window{t: t, ctx: ctx, console: console, origins: []string{console}}
	if err := chromedp.Listen(ctx, w.note); err != nil {
		t.Fatal(err)
	}
	// Other windows may have the focus of the system.
	w.do(command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	w.size(wide, high)
	w.theme("light")
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, fault := range w.faults {
			if !slices.ContainsFunc(w.expected, func(part string) bool { return strings.Contains(fault, part) }) {
				t.Errorf("the browser: %s", fault)
			}
		}
		if w.requests == 0 {
			t.Error("the browser asked for nothing: this test tested nothing")
		}
	})
	return w
}

// expect says that a fault with this text in it will be provoked.
func (w *window) expect(part string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = append(w.expected, part)
}

func (w *window) fault(format string, a ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, a...))
}

// note looks at what the browser tells of the page. It must not wait.
func (w *window) note(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.requests++
		if !w.own(e.Request.URL) {
			w.fault("a request to %s, of %s", e.Request.URL, e.DocumentURL)
		}
	case *network.EventWebSocketCreated:
		w.fault("a WebSocket to %s", e.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		w.fault("a script threw: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			w.fault("console.%s of a script", e.Type)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			w.fault("%s (%s) of %s: %s", e.Entry.Level, e.Entry.Source, e.Entry.URL, e.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		w.fault("a dialogue: %s", e.Message)
		go func() { _, _ = chromedp.Call(w.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) }()
	}
}

// own reports whether a URL stays with the console.
func (w *window) own(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	return u.Scheme == "data" || u.Scheme == "about" || slices.Contains(w.origins, u.Scheme+"://"+u.Host)
}

// do runs actions, which may take as long as a page may.
func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		w.t.Fatal(err)
	}
}

// command is a command of the protocol whose answer nobody needs.
func command[P, R any](c cdp.Command[P, R], parameters P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, parameters)
		return err
	})
}

// size gives the window a size in CSS pixels.
func (w *window) size(width, height int64) {
	w.t.Helper()
	w.do(chromedp.EmulateViewport(width, height))
}

// theme has the system be light or dark. Nothing moves, so that nothing is half there.
func (w *window) theme(name string) {
	w.t.Helper()
	w.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}, //nolint:misspell // the words of CSS
	}}))
}

// visit goes to a path and returns the status of the page that is there at last.
func (w *window) visit(path string) (status int64) {
	w.t.Helper()
	return w.leads(command(page.Navigate, page.NavigateParams{URL: w.console + path}))
}

// leads runs actions that lead to another page, and returns its status.
func (w *window) leads(steps ...chromedp.Action[chromedp.Void]) (status int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	r, err := chromedp.RunResponse(ctx, steps...)
	if err != nil || r == nil {
		w.t.Fatalf("no page came: %v", err)
	}
	return r.Status
}

// evaluate returns the value of an expression in the page.
func evaluate[T any](w *window, expression string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// look is a script that waits until an expression is true. The pages' policy forbids what
// chromedp has for this: scripts made of text.
const look = `new Promise((done) => {
	const is = () => { try { return Boolean(%s); } catch { return false; } };
	if (is()) return done(true);
	const check = () => {
		if (!is()) return;
		observer.disconnect();
		clearInterval(timer);
		done(true);
	};
	const observer = new MutationObserver(check);
	observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
	const timer = setInterval(check, 100); // for what is no change of the document
})`

// until waits for an expression to be true, on this page or on one that follows it.
func (w *window) until(expression string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(look, expression), chromedp.EvalAwaitPromise))
		if err == nil {
			return
		}
		if _, gone := errors.AsType[*cdproto.Error](err); !gone {
			w.t.Fatalf("not so after %v: %s\n%v\nthe page is %s", patience, expression, err, w.whatIsThere())
		}
		select { // the page was left, and the next one is not there yet
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// whatIsThere is for messages.
func (w *window) whatIsThere() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// path returns the path and query of the page.
func (w *window) path() string {
	w.t.Helper()
	return evaluate[string](w, `location.pathname + location.search`)
}

// text returns what can be read on the page, or in an element.
func (w *window) text(selector string) string {
	w.t.Helper()
	return evaluate[string](w, fmt.Sprintf(`document.querySelector(%s)?.innerText ?? ""`, quoted(selector)))
}

// wantText fails the test, and goes on, if an element does not say something.
func (w *window) wantText(selector, part string) {
	w.t.Helper()
	if got := w.text(selector); !strings.Contains(got, part) {
		w.t.Errorf("%s says %q, and not %q", selector, got, part)
	}
}

// quoted returns a text as a literal of JavaScript.
func quoted(text string) string {
	b, _ := json.Marshal(text) // a string is always to be had in JSON
	return string(b)
}

// point is a place in the window, in CSS pixels.
type point struct{ X, Y float64 }

const middleOf = `(() => {
	const found = document.querySelector(%s);
	found?.scrollIntoView();
	const down = innerHeight / 3 - found?.getBoundingClientRect().top;
	if (down > 0) scrollBy(0, -down);
	const box = found?.getBoundingClientRect();
	return box && box.width && box.height ? { X: box.x + box.width / 2, Y: box.y + box.height / 2 } : null;
})()`

// middle brings an element into view and returns its middle.
func (w *window) middle(selector string) point {
	w.t.Helper()
	p := evaluate[*point](w, fmt.Sprintf(middleOf, quoted(selector)))
	if p == nil {
		w.t.Fatalf("there is nothing to see of %s: %s", selector, w.whatIsThere())
	}
	return *p
}

// click clicks the middle of an element.
func (w *window) click(selector string) {
	w.t.Helper()
	at := w.middle(selector)
	w.do(chromedp.MouseClickXY(at.X, at.Y))
}

// follow clicks what leads to another page, and returns the status of that.
func (w *window) follow(selector string) (status int64) {
	w.t.Helper()
	at := w.middle(selector)
	return w.leads(chromedp.MouseClickXY(at.X, at.Y))
}

// fill writes into a field in place of what is there.
func (w *window) fill(selector, text string) {
	w.t.Helper()
	if !evaluate[bool](w, fmt.Sprintf(`(() => { const f = document.querySelector(%s); f?.focus(); f?.select(); return Boolean(f); })()`, quoted(selector))) {
		w.t.Fatalf("there is no field %s: %s", selector, w.whatIsThere())
	}
	w.do(command(input.InsertText, input.InsertTextParams{Text: text}))
}

// press presses keys, by package kb where they have no letter.
func (w *window) press(keys string) {
	w.t.Helper()
	w.do(chromedp.KeyEvent(keys))
}

// logIn logs in, to go on at a path.
func (w *window) logIn(name, next string) {
	w.t.Helper()
	w.visit("/login?" + url.Values{"next": {next}}.Encode())
	w.giveCredentials(name, password)
	if got := w.path(); got != next {
		w.t.Fatalf("after the log-in one is at %s, not at %s: %s", got, next, w.whatIsThere())
	}
}

// giveCredentials fills in the form of the log-in and sends it.
func (w *window) giveCredentials(name, secret string) (status int64) {
	w.t.Helper()
	w.fill(`main input[name=name]`, name)
	w.fill(`main input[name=password]`, secret)
	return w.follow(`main form button.first`)
}

// eventually waits until probe returns nil.
func eventually(t *testing.T, what string, probe func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := probe()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
