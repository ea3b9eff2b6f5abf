package browser

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// What a page must show as text: the name of a torrent, and of an account, and the id
// of a peer, which has 20 bytes and is shown as in a URL.
const (
	hostileName = `<script>alert(1)<script><img src=x onerror=alert(2)>"'&amp;`
	hostileID   = `<svg onload=alert()>`
	hostileText = `%3Csvg%20onload=alert()%3E`
)

// foreign counts the elements that the hostile texts would make.
const foreign = `document.querySelectorAll("script:not([src]), img, svg[onload], [onerror]").length`

func TestHTMLInNamesAndPeerIDsIsShownAsText(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(admin, "/torrents?query="+url.QueryEscape("<script>"))
	if _, err := world.api.SetProfile(t.Context(), world.hostile, "strict"); err != nil { // for the audit log
		t.Fatal(err)
	}
	transfer := "/transfers/" + world.hostile.String()
	for _, test := range []struct{ path, selector, shows string }{
		{"/torrents?query=%3Cscript%3E", "#list", hostileName},
		{transfer, "h1", hostileName},
		{transfer, "#peers", hostileText},
		{transfer + "/delete", "h1", hostileName},
		{transfer + "/peers/127.0.3.66:6881", "#explanation", hostileText},
		{transfer + "/peers/127.0.3.66:6881", ".head", hostileName},
		{"/peers", "#peers", hostileText},
		{"/settings/accounts", "tbody", hostileName},
		{"/settings/accounts/delete?name=" + url.QueryEscape(hostileName), "h1", hostileName},
		{"/settings/audit", "tbody", "<script>alert(1)<script>"},
		{"/torrents?query=" + url.QueryEscape(hostileName), "#list", hostileName},
		{"/torrents?query=nothing" + url.QueryEscape(hostileName), "main", "No torrent is like that"},
	} {
		w.visit(test.path)
		w.wantText(test.selector, test.shows)
		if n := evaluate[int](w, foreign); n > 0 {
			t.Errorf("%s has %d elements that came from outside", test.path, n)
		}
	}
	if got := evaluate[string](w, `document.querySelector("input[name=query]").value`); got != "nothing"+hostileName {
		t.Errorf("the search shows %q", got)
	}
}

func TestHTMLIsShownAsTextByTheScriptsOfThePagesToo(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(admin, "/transfers/"+world.hostile.String())
	w.until(`!document.getElementById("racks").hidden && waggle.racks.count > 0`)
	w.until(`document.getElementById("live-state").textContent.includes("Live")`)
	at, _ := hostAt(w)
	w.do(chromedp.MouseClickXY(at.X, at.Y))
	w.until(`document.querySelectorAll(".rack-side .sentences li").length > 0`)
	w.wantText(".rack-side", hostileText)
	if n := evaluate[int](w, foreign); n > 0 {
		t.Errorf("the explanation has %d elements that came from outside", n)
	}
	w.visit("/torrents?query=%3Cscript%3E")
	w.click("#list a[data-confirm]")
	w.until(`document.getElementById("confirm").open`)
	w.wantText("#confirm", hostileName)
	if n := evaluate[int](w, foreign); n > 0 {
		t.Errorf("the dialogue has %d elements that came from outside", n)
	}
}

func TestHTMLInTheNameOfAFileThatIsRefusedIsShownAsText(t *testing.T) {
	t.Parallel()
	world := shared(t)
	w := open(t, world.tracker)
	w.logIn(operator, "/torrents")
	file := `<img src=x onerror=alert(3)>.torrent`
	files := fmt.Sprintf("[[%s, %s]]", quoted(file), quoted(base64.StdEncoding.EncodeToString([]byte("broken"))))
	w.leads(command(runtime.Evaluate, runtime.EvaluateParams{Expression: fmt.Sprintf(drop, files)}))
	w.wantText("[role=status] .failed", file)
	if n := evaluate[int](w, foreign); n > 0 {
		t.Errorf("the message has %d elements that came from outside", n)
	}
}
