//go:build screenshots

package browser

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	colour "image/color" //nolint:misspell // its name
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"waggle/bittorrent"
	"waggle/console/client"
)

const (
	screenshots = "../../docs/screenshots"
	largest     = 150 << 10 // bytes of a picture
	phone       = 390       // CSS pixels: how wide one is
)

// picture is a page to be drawn.
type picture struct {
	name, path string
	prepare    func(w *window) // nil: as it is
	phone      bool            // as a phone shows it, too
	stranger   bool            // as those see it who are not logged in
}

// pictures are all pages.
func (r *room) pictures() []picture {
	transfer := "/transfers/" + r.image.String()
	return []picture{
		{name: "overview", path: "/", phone: true},
		{name: "overview-day", path: "/?span=day", prepare: func(w *window) { w.scrollTo("#over-time") }},
		{name: "overview-state", path: "/", prepare: func(w *window) { w.scrollTo("#state-h") }},
		{name: "overview-events", path: "/", prepare: func(w *window) { w.scrollTo("#events-h") }},
		{name: "torrents", path: "/torrents", phone: true},
		{name: "transfer", path: transfer, phone: true},
		{name: "racks", path: transfer, prepare: explainOne},
		{name: "transfer-peers", path: transfer, prepare: func(w *window) { w.scrollTo("#peers-h") }},
		{name: "places", path: transfer, prepare: func(w *window) { w.scrollTo("#places-h") }},
		{name: "peer", path: transfer + "/peers/10.20.7.1:51413"},
		{name: "delete", path: transfer + "/delete"},
		{name: "peers", path: "/peers"},
		{name: "browsers", path: "/peers?address=10.20.0.0/24"},
		{name: "history", path: "/history"},
		{name: "passkeys", path: "/passkeys", phone: true},
		{name: "passkey", path: "/passkeys/" + r.passkey},
		{name: "settings", path: "/settings"},
		{name: "accounts", path: "/settings/accounts"},
		{name: "audit", path: "/settings/audit"},
		{name: "about", path: "/about"},
		{name: "not-found", path: "/nowhere"},
		{name: "login", path: "/login", stranger: true},
	}
}

// explainOne clicks a host of the map that downloads across the uplink of its rack.
func explainOne(w *window) {
	w.scrollTo("#racks-h")
	evaluate[int](w, `document.querySelector("#racks canvas").focus() ?? 0`)
	for range racks * perRack {
		w.press(kb.ArrowRight)
		if evaluate[bool](w, `document.getElementById("rack-pick").textContent.includes("importer")`) {
			break
		}
	}
	w.press(kb.Enter)
	w.until(`document.querySelectorAll(".rack-side .sentences li").length > 0`)
}

// scrollTo brings an element to the top of the window.
func (w *window) scrollTo(selector string) {
	w.t.Helper()
	evaluate[int](w, `(() => { document.querySelector(`+quoted(selector)+`).scrollIntoView(); scrollBy(0, -12); return 0; })()`)
}

// TestScreenshots draws every page, in both themes.
func TestScreenshots(t *testing.T) {
	r := newRoom(t)
	if err := r.issue(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, r.dir, "bench", "udp", r.udp, "--torrents", "1", "--peers", "4", "--rate", "30", "--duration", "1h", "--numwant", "5")
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	passed := make(chan struct{}, 2) // by then everybody has a place
	group.Go(func() {
		if err := r.announceOn(ctx, passed); err != nil {
			t.Error(err)
		}
	})
	defer group.Wait()
	defer cancel()
	r.browse(t)
	for range cap(passed) {
		select {
		case <-passed:
		case <-time.After(patience):
			t.Fatal("the peers do not come to an end with announcing")
		}
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	w := open(t, r.tracker)
	w.expect(refused("404"))
	stranger := open(t, r.tracker)
	w.logIn("anna", "/")
	w.until(`/Announces\s*[1-9]/.test(document.getElementById("figures").innerText)`)
	for _, p := range r.pictures() {
		by := w
		if p.stranger {
			by = stranger
		}
		by.draw(t, p, p.name, wide)
		if p.phone {
			by.draw(t, p, p.name+"-phone", phone)
		}
	}
	stranger.console = "http://127.0.0.1:6969"
	stranger.origins = append(stranger.origins, stranger.console)
	stranger.draw(t, picture{path: "/"}, "public", wide)
}

// TestScreenshotsOfLinks draws the links of a tracker that has a hub and leaves, of which
// one has just died.
func TestScreenshotsOfLinks(t *testing.T) {
	hub := startTracker(t, "--link-name", "world", "--link-listen", "127.0.0.1:0")
	tr := startTracker(t, "--link-name", "ams", "--link-listen", "127.0.0.1:0")
	leaves := []string{"fra", "lon", "osl"}
	trackers := []*tracker{tr, hub}
	join(t, hub, tr, "ams", client.Rights{Receive: true, Send: true})
	for i, name := range leaves {
		leaf := startTracker(t, "--link-name", name)
		trackers = append(trackers, leaf)
		join(t, tr, leaf, name, client.Rights{Receive: true, Send: true, Share: []string{"", client.ShareBoth, client.ShareReceive}[i], Peers: 60_000 * i})
	}
	if _, err := tr.api.Invite(t.Context(), client.NewInvitation{Name: "rom", Rights: client.Rights{Receive: true}}); err != nil {
		t.Fatal(err)
	}
	w := open(t, tr)
	w.visit("/links")
	w.until(`document.querySelectorAll(".tree.broad .l-active").length === 4`)
	for i := range 500 {
		at := fmt.Sprintf("10.20.%d.%d:51413", i/250, 1+i%250)
		if err := trackers[i%13%5].tell(t.Context(), bittorrent.InfoHash{byte(i % 9)}, peer{at: at, id: fmt.Sprintf("-TR4060-%012d", i), left: int64(i % 3)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = trackers[3].stop()
	w.until(`document.querySelector("#link-leaf-lon .badge").textContent === "split"`)
	w.draw(t, picture{path: "/links"}, "links", wide)
	w.draw(t, picture{path: "/links"}, "links-phone", phone)
	w.draw(t, picture{path: "/links/rights?name=osl"}, "link-rights", wide)
}

// TestScreenshotsOfCluster draws the cluster of a master that has two slaves, while peers come.
func TestScreenshotsOfCluster(t *testing.T) {
	l := newLAN(t)
	all := l.start(3)
	if err := all[0].account(t.Context(), operator, "operator"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for from, tr := range all {
		group.Go(func() {
			ticker := time.NewTicker(25 * time.Millisecond)
			defer ticker.Stop()
			for i := 0; ; i++ {
				at := fmt.Sprintf("10.20.%d.%d:51413", 3*(i/250%8)+from, 1+i%250)
				err := tr.tell(ctx, bittorrent.InfoHash{byte(i % 9)}, peer{at: at, id: fmt.Sprintf("-TR4060-%012d", i), left: int64(i % 3)})
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
		})
	}
	defer group.Wait()
	defer cancel()
	w := open(t, all[0])
	w.logIn(operator, "/cluster")
	counts := picture{path: "/cluster", prepare: func(w *window) {
		w.until(`/Committed\s+[1-9]\S* \/s/.test(document.querySelector("#cluster .figures").innerText)`)
	}}
	counts.prepare(w)
	w.draw(t, counts, "cluster", wide)
	w.draw(t, counts, "cluster-phone", phone)
	w.draw(t, picture{path: "/cluster/leave"}, "cluster-leave", wide)
}

// join makes one tracker the leaf of another.
func join(t *testing.T, hub, leaf *tracker, name string, r client.Rights) {
	t.Helper()
	invitation, err := hub.api.Invite(t.Context(), client.NewInvitation{Name: name, Rights: r})
	if err == nil {
		_, err = leaf.api.Join(t.Context(), invitation.Line)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// draw writes the pictures of a page as a window of a width shows it.
func (w *window) draw(t *testing.T, p picture, name string, width int64) {
	t.Helper()
	w.size(width, high)
	for _, theme := range []string{"light", "dark"} {
		w.theme(theme)
		w.visit(p.path)
		w.settle()
		if evaluate[bool](w, `Boolean(document.body.dataset.live)`) {
			w.until(`document.getElementById("live-state").textContent.includes("Live")`)
		}
		if p.prepare != nil {
			p.prepare(w)
		}
		evaluate[int](w, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))`)
		shot, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		b, err := smaller(shot)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > largest {
			t.Errorf("%s-%s.png has %d bytes", name, theme, len(b))
		}
		if err := os.WriteFile(filepath.Join(screenshots, name+"-"+theme+".png"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// smaller writes a picture anew with 256 colours, those that are most often in it: what
// else there is are edges of letters, which take the nearest.
func smaller(shot []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	bounds := from.Bounds()
	counts := map[colour.RGBA]int{}
	at := func(x, y int) colour.RGBA { return colour.RGBAModel.Convert(from.At(x, y)).(colour.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	often := slices.SortedFunc(maps.Keys(counts), func(a, b colour.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(luminance(a), luminance(b)))
	})
	palette := spread(often, 256)
	to := image.NewPaletted(bounds, palette)
	nearest := map[colour.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			n, known := nearest[c]
			if !known {
				n = uint8(palette.Index(c))
				nearest[c] = n
			}
			to.SetColorIndex(x, y, n)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}

func luminance(c colour.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

// spread returns at most so many of the colours: first those that are most often, but of
// those that can hardly be told apart only one.
func spread(often []colour.RGBA, most int) colour.Palette {
	var chosen []colour.RGBA
	for _, near := range []int{24, 8, 0} {
		for _, c := range often {
			if len(chosen) < most && !slices.ContainsFunc(chosen, func(p colour.RGBA) bool { return distance(p, c) <= near }) {
				chosen = append(chosen, c)
			}
		}
	}
	palette := make(colour.Palette, len(chosen))
	for i, c := range chosen {
		palette[i] = c
	}
	return palette
}

// distance is how far apart two colours are, as the sum over red, green and blue.
func distance(a, b colour.RGBA) (sum int) {
	for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
		sum += max(d, -d)
	}
	return sum
}
