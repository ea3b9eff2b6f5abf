package walk

import (
	"slices"
	"strings"
	"testing"
)

const sample = "# A page\n" +
	"\n" +
	"Start it, and look:\n" +
	"\n" +
	"```sh\n" + // 5
	"waggle serve &\n" +
	"waggle health --wait 10s\n" +
	"```\n" +
	"It prints:\n" +
	"\n" +
	"```text\n" +
	"ok\n" +
	"```\n" +
	"\n" +
	"<!-- not run here: it needs a Kubernetes -->\n" + // 15
	"```sh\n" +
	"kubectl get pods\n" +
	"```\n" +
	"```text\n" +
	"nothing\n" + // 20
	"```\n"

func parsed(t *testing.T, text string) Page {
	t.Helper()
	page, err := parse("docs/sample.md", text)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestPageIsTakenApart(t *testing.T) {
	page := parsed(t, sample)
	if page.Name != "sample" || len(page.Blocks) != 4 {
		t.Fatalf("%q, %d blocks", page.Name, len(page.Blocks))
	}
	first, fourth := page.Blocks[0], page.Blocks[3]
	if first.Line != 6 || first.Kind != "sh" || first.Text != "waggle serve &\nwaggle health --wait 10s\n" || first.Unrun() != "" {
		t.Errorf("%+v", first)
	}
	if want, ok := page.Printed(0); !ok || want.Text != "ok\n" || want.Line != 12 {
		t.Errorf("the first prints %+v, %v", want, ok)
	}
	if reason := page.Blocks[2].Unrun(); reason != "it needs a Kubernetes" {
		t.Errorf("%q", reason)
	}
	if want, ok := page.Printed(2); !ok || want.Line != fourth.Line {
		t.Errorf("%+v", want)
	}
	if wrong := page.problems(); len(wrong) != 0 {
		t.Error(wrong)
	}
}

func TestBlocksThatAreNotClosedAreRefused(t *testing.T) {
	for _, text := range []string{"```sh\nwaggle\n", "```sh\nwaggle\n```text\nok\n```\n"} {
		if page, err := parse("README.md", text); err == nil || !strings.HasPrefix(err.Error(), "README.md:") {
			t.Errorf("%q: %v, %v", text, page.Blocks, err)
		}
	}
}

func TestWhatNobodyWouldCheckIsAProblem(t *testing.T) {
	for _, text := range []string{
		"```text\nok\n```\n",
		"```sh\nwaggle\n```\nSomething else.\n```text\nok\n```\n",
		"```sh\nwaggle\n```\nSomething else.\nIt prints:\n```text\nok\n```\n",
		"```yaml\na: b\n```\n```text\nok\n```\n",
		"<!-- not run here: -->\n```sh\nwaggle\n```\n",
		"<!-- not run here: it has AWS -->\n```yaml\na: b\n```\n",
		"<!-- fails -->\n```\nwaggle\n```\n",
	} {
		if wrong := parsed(t, text).problems(); len(wrong) != 1 {
			t.Errorf("%q: %q", text, wrong)
		}
	}
}

func TestWhatGoesOnPrintsElsewhere(t *testing.T) {
	text := "waggle serve &\n" +
		"waggle serve --store memory: &   # another\n" +
		"waggle serve > a.log 2>&1 &\n" +
		"waggle seed a.torrent > a.log &\n" +
		"waggle serve \\\n" +
		"  --store memory: &\n" +
		"waggle health --wait 10s && echo ok\n" +
		"echo 'a & b'\n"
	want := "\n\n" +
		"waggle serve >>'log' 2>&1 &\n" +
		"waggle serve --store memory: >>'log' 2>&1 &   # another\n" +
		"waggle serve > a.log 2>&1 &\n" +
		"waggle seed a.torrent > a.log 2>>'log' &\n" +
		"waggle serve \\\n" +
		"  --store memory: >>'log' 2>&1 &\n" +
		"waggle health --wait 2m && echo ok\n" +
		"echo 'a & b'\n"
	if got := (Block{Line: 3, Text: text}).script("log"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestWhatIsPrintedIsAsThePageSays(t *testing.T) {
	for _, test := range []struct{ want, got string }{
		{"", ""},
		{"ok\n", "ok"},
		{"ok", "ok  \n\n"},
		{"peers  name\n    1  a", "  peers    name\n      1    a"},
		{"a … c", "a b c"},
		{"…: ok", "build.img: ok"},
		{"took … of … s", "took 1 of 2 s"},
		{"lag … state", "lag state"},
		{"lag … state", "lag in ms state"},
		{"… name", "name"},
		{"in …", "in"},
		{"a (b) … [c]", "a (b) and [c]"},
		{"ok\nwell", "ok\n/tmp/1/links.md: line 99:     6 Killed                  waggle serve >> 'log' 2>&1\nwell"},
		{"a\n…\nd", "a\nb\nc\nd"},
		{"a\n…\nd", "a\nd"},
		{"…\nd\n…", "a\nd\nd\ne"},
		{"…", ""},
	} {
		if wrong := mismatch(test.want, test.got); wrong != "" {
			t.Errorf("%q, %q: %s", test.want, test.got, wrong)
		}
	}
	for _, test := range []struct{ want, got string }{
		{"", "ok"},
		{"ok", ""},
		{"ok", "ok\nmore"},
		{"ok", "first\nok"},
		{"a …c", "a b"},
		{"ab…bc", "abc"},
		{"lag … state", "lagstate"},
		{"lag … state", "lag estate"},
		{"a.c…", "abcd"},
		{"a\n…\nd", "a\nb\nd\ne"},
		{"a\nb", "b\na"},
	} {
		if mismatch(test.want, test.got) == "" {
			t.Errorf("%q passes for %q", test.got, test.want)
		}
	}
}

func TestBlocksOfTheManualAreWellFormed(t *testing.T) {
	pages := manual(t)
	for _, page := range pages {
		for _, wrong := range page.problems() {
			t.Error(wrong)
		}
	}
	if !slices.ContainsFunc(pages, func(p Page) bool { return p.Name == "README" && len(p.Blocks) > 0 }) {
		t.Error("README.md is not among the pages")
	}
}

func manual(t *testing.T) []Page {
	t.Helper()
	pages, err := Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
