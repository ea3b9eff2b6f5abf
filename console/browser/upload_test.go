package browser

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"waggle/console/client"
)

func TestTorrentIsUploadedByTheFileInput(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	var files []string
	for _, name := range []string{"chosen one.iso", "chosen two.iso"} {
		file := filepath.Join(t.TempDir(), name+".torrent")
		if err := os.WriteFile(file, metainfo(name, 3<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		forget(t, world.tracker, hashOf(t, metainfo(name, 3<<20)))
	}
	w.logIn(operator, "/torrents")
	w.do(chromedp.SetUploadFiles(chromedp.CSS("#upload input[type=file]"), files))
	w.follow("#upload button")
	if got := w.path(); got != "/torrents" {
		t.Errorf("the upload leads to %s", got)
	}
	w.wantText("[role=status]", "2 torrents registered, and active")
	w.visit("/torrents?query=chosen+one")
	w.wantText("#list", "1 torrent found")
	w.follow("#list tbody th a")
	w.wantText("h1", "chosen one.iso")
	w.wantText("#now", "active")
}

// drop drops files on the page, whose contents are in base64.
const drop = `(() => {
	const moved = new DataTransfer();
	for (const [name, text] of %s) {
		moved.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type: "application/x-bittorrent" }));
	}
	const seen = [];
	for (const kind of ["dragenter", "dragover", "drop"]) {
		const event = new DragEvent(kind, { dataTransfer: moved, bubbles: true, cancelable: true });
		document.querySelector("main").dispatchEvent(event);
		seen.push(event.defaultPrevented);
		if (kind === "dragover") seen.push(document.documentElement.classList.contains("dropping"));
	}
	return seen;
})()`

func TestTorrentsAreUploadedByDroppingThemAnywhereOnThePage(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(operator, "/torrents?query=nothing")
	dropped := hashOf(t, metainfo("dropped.iso", 5<<20))
	forget(t, world.tracker, dropped)
	files := ""
	for _, f := range []struct {
		name  string
		bytes []byte
	}{{"dropped.torrent", metainfo("dropped.iso", 5<<20)}, {"broken.torrent", []byte("this is none")}, {"build.torrent", metainfo("build-000.tar.zst", 1<<20)}} {
		files += fmt.Sprintf("[%s, %s],", quoted(f.name), quoted(base64.StdEncoding.EncodeToString(f.bytes)))
	}
	w.leads(command(runtime.Evaluate, runtime.EvaluateParams{Expression: fmt.Sprintf(drop, "["+files+"]")}))
	w.wantText("[role=status]", "1 torrent registered, and active")
	w.wantText("[role=status] .failed", "broken.torrent: ")
	w.wantText("[role=status] .failed:last-child", "build.torrent: ")
	world.until(t, dropped, "it is registered", func(f client.Transfer) bool { return f.Active && f.File == "dropped.torrent" })
}

func TestDroppedFilesAreWelcomedBeforeTheyAreLetGo(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(operator, "/torrents")
	// Without files nothing is sent, so the page stays.
	if got := evaluate[[]bool](w, fmt.Sprintf(drop, "[]")); fmt.Sprint(got) != "[false false false false]" {
		t.Errorf("what is no file is taken: %v", got)
	}
	got := evaluate[[]bool](w, `(() => { const send = HTMLFormElement.prototype.requestSubmit; HTMLFormElement.prototype.requestSubmit = () => {}; const seen = `+
		fmt.Sprintf(drop, `[["a.torrent", ""]]`)+`; HTMLFormElement.prototype.requestSubmit = send; return seen; })()`)
	if fmt.Sprint(got) != "[false true true true]" {
		t.Errorf("a file is taken so: %v", got)
	}
	if evaluate[bool](w, `document.documentElement.classList.contains("dropping")`) {
		t.Error("after the drop the page still waits for it")
	}
}

func TestTorrentIsDeletedOnceThatIsConfirmed(t *testing.T) {
	t.Parallel()
	world := shared(t)
	h := mustAdd(t, world.tracker, "deleted.iso", 1<<20)
	w := open(t, world.tracker)
	w.logIn(operator, "/torrents?query=deleted.iso")
	w.click("#t-" + h.String() + " a[data-confirm]")
	w.until(`document.getElementById("confirm").open`)
	w.wantText("#confirm", "Delete deleted.iso?")
	w.click("#confirm button[type=button]")
	w.until(`!document.getElementById("confirm").open`)
	w.click("#t-" + h.String() + " a[data-confirm]")
	w.until(`document.getElementById("confirm").open`)
	w.follow("#confirm button.danger")
	w.wantText("[role=status]", "deleted.iso is deleted")
	if _, err := world.api.Transfer(t.Context(), h); err == nil {
		t.Error("it is still there")
	}
}
