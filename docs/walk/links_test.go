package walk

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(<?([^()<>\s]+)>?\)`)
	heading  = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	inline   = regexp.MustCompile("`[^`]+`")
	nowhere  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	named    = regexp.MustCompile(`<a id="([^"]+)">`)
	linkText = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for path, lines := range markdown(t) {
		for i, line := range lines {
			for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(line, "code"), -1) {
				links++
				if wrong := followed(t, path, m[1]); wrong != "" {
					t.Errorf("%s:%d: %s: %s", path, i+1, m[1], wrong)
				}
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

// followed returns what is wrong with a link in a file; "": nothing.
func followed(t *testing.T, from, target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	path := from
	if u.Path != "" {
		path = filepath.Join(filepath.Dir(from), filepath.FromSlash(u.Path))
	}
	if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
		return "there is no " + filepath.ToSlash(path)
	}
	if u.Fragment != "" && !anchors(t, path)[u.Fragment] {
		return fmt.Sprintf("%s has no heading #%s", filepath.ToSlash(path), u.Fragment)
	}
	return ""
}

// anchors are the headings of a file as links name them, and what it names itself.
func anchors(t *testing.T, path string) map[string]bool {
	names := map[string]bool{}
	for _, line := range outsideOfBlocks(t, path) {
		if m := named.FindStringSubmatch(line); m != nil {
			names[m[1]] = true
		}
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := strings.ToLower(strings.ReplaceAll(linkText.ReplaceAllString(m[1], "$1"), "`", ""))
		slug := strings.ReplaceAll(nowhere.ReplaceAllString(text, ""), " ", "-")
		for name, n := slug, 1; ; n++ {
			if !names[name] {
				names[name] = true
				break
			}
			name = fmt.Sprint(slug, "-", n)
		}
	}
	return names
}

// markdown returns the lines of all files of Markdown in the checkout, by path from its root.
func markdown(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "node_modules" || name == "bin" || name == "dist" || path != "../.." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		path, err = filepath.Rel("../..", path)
		files[path] = outsideOfBlocks(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// outsideOfBlocks returns the lines of a file, with those of its blocks empty.
func outsideOfBlocks(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	page, err := parse(filepath.ToSlash(path), string(text))
	if err != nil {
		t.Fatal(err)
	}
	return page.Prose()
}

func TestAnchorsAreThoseOfHeadings(t *testing.T) {
	if wrong := followed(t, "docs/tls.md", "#behind-a-balancer"); wrong != "" {
		t.Error(wrong)
	}
	for target, want := range map[string]string{
		"#nowhere":                  "docs/tls.md has no heading #nowhere",
		"nowhere.md":                "there is no docs/nowhere.md",
		"../README.md#nowhere":      "README.md has no heading #nowhere",
		"https://tracker.example/#": "",
	} {
		if wrong := followed(t, "docs/tls.md", target); wrong != want {
			t.Errorf("%s: %q", target, wrong)
		}
	}
}
