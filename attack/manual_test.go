package attack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// declared are the functions of a folder.
type declared struct {
	tests   []string
	targets []string // that fuzz
	parsers []string
}

var parserName = regexp.MustCompile(`(?i)^(parse|decode|unmarshal|read|open)`)

// functions returns those of all packages, by their folder: console/web.
func functions(t *testing.T) map[string]*declared {
	t.Helper()
	all, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var readSources = sync.OnceValues(func() (map[string]*declared, error) {
	all := map[string]*declared{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "node_modules" || name == "testdata" || path != ".." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder, _ := filepath.Rel("..", filepath.Dir(path))
		d := all[folder]
		if d == nil {
			d = new(declared)
			all[folder] = d
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				d.add(f, strings.HasSuffix(path, "_test.go"))
			}
		}
		return nil
	})
	return all, err
})

func (d *declared) add(f *ast.FuncDecl, test bool) {
	name := f.Name.Name
	switch {
	case test && strings.HasPrefix(name, "Fuzz"):
		d.targets = append(d.targets, name)
	case test && strings.HasPrefix(name, "Test"):
		d.tests = append(d.tests, name)
	case !test && parserName.MatchString(name) && slices.ContainsFunc(f.Type.Params.List, isText):
		d.parsers = append(d.parsers, name)
	}
}

// isText reports whether a parameter is bytes, a string or a reader.
func isText(p *ast.Field) bool {
	switch kind := p.Type.(type) {
	case *ast.ArrayType:
		element, ok := kind.Elt.(*ast.Ident)
		return ok && element.Name == "byte" && kind.Len == nil
	case *ast.Ident:
		return kind.Name == "string"
	case *ast.SelectorExpr:
		return kind.Sel.Name == "Reader"
	}
	return false
}

var (
	named = regexp.MustCompile("`([a-z0-9/]+):\\s+((?:Test|Fuzz)\\w+)`")
	word  = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
)

func TestEachDefenceOfTheManualHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	all := functions(t)
	found := named.FindAllSubmatch(text, -1)
	if words := word.FindAll(text, -1); len(words) != len(found) || len(found) < 50 {
		t.Errorf("%d tests are named with their package, and %d words look like one: each is to be written `package: Test`", len(found), len(words))
	}
	for _, m := range found {
		d, name := all[string(m[1])], string(m[2])
		if d == nil || !slices.Contains(d.tests, name) && !slices.Contains(d.targets, name) {
			t.Errorf("docs/security.md names %s in %s, which is not there", name, m[1])
		}
	}
}

// row is a threat of docs/security.md: what it is, the defence, where that is, and what
// shows that it does.
var row = regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)

var inBackticks = regexp.MustCompile("`([^`]+)`")

func TestEachThreatOfTheManualHasItsPlaceInTheSourceAndATest(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	threats := 0
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		threat, places, tests := m[1], m[3], m[4]
		if threat == "threat" || strings.HasPrefix(threat, "---") {
			continue
		}
		threats++
		if !named.MatchString(tests) {
			t.Errorf("%q is shown by no test", threat)
		}
		files := inBackticks.FindAllStringSubmatch(places, -1)
		if len(files) == 0 {
			t.Errorf("%q: %q names no file", threat, places)
		}
		for _, file := range files {
			if _, err := os.Stat(filepath.Join("..", file[1])); err != nil {
				t.Errorf("%q is kept off in %s: %v", threat, file[1], err)
			}
		}
	}
	if threats < 40 {
		t.Errorf("%d threats were found in docs/security.md", threats)
	}
}

func TestEveryPackageThatParsesHasAFuzzTarget(t *testing.T) {
	// What these read is no stranger's, or is parsed elsewhere.
	without := map[string]string{
		"bench/process":  "reads what the kernel says in /proc",
		"bench/stream":   "hands on bytes that it does not look at",
		"certificate":    "reads certificates and keys of the operator, which crypto/tls parses",
		"cmd/waggle":     "reads flags and files of whoever starts a command",
		"console/client": "reads a file of one line, which the caller owns",
		"deploy/release": "reads a checkout of whoever makes a release",
		"docs/walk":      "reads the manual",
		"store/faraway":  "takes parameters from a URL that stores have parsed",
	}
	for folder, d := range functions(t) {
		reason := without[folder]
		switch has := len(d.targets) > 0; {
		case len(d.parsers) > 0 && !has && reason == "":
			t.Errorf("%s has %s, and nothing fuzzes it", folder, strings.Join(d.parsers, ", "))
		case reason != "" && (has || len(d.parsers) == 0):
			t.Errorf("%s is said not to need a fuzz target (%s): it parses nothing any more, or has one", folder, reason)
		}
	}
}
