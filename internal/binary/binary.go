// Package binary builds waggle for tests that start it as its users do.
package binary

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Build builds waggle from the checkout at root (../ and so on), with flags of go build, and writes it
// to path.
func Build(root, path string, flags []string) error {
	if err := noteSources(root); err != nil {
		return err
	}
	build := slices.Concat([]string{"build"}, flags, []string{"-o", path, root + "/cmd/waggle"})
	if out, err := exec.CommandContext(context.Background(), "go", build...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(build, " "), err, out)
	}
	return nil
}

// sources are the files that the binary is built from, by how their names end.
var sources = []string{".go", ".mod", ".sum", ".sql", ".html", ".css", ".js", ".svg"}

// noteSources looks at every file that the binary may be built from, so that the go
// command does not answer from its cache of test results once one has changed: nothing
// of the binary is imported by such tests.
func noteSources(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "node_modules" || path != root && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") || !slices.Contains(sources, filepath.Ext(name)) {
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}
