package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
)

func TestEveryCommandAndFlagIsInTheManual(t *testing.T) {
	files, err := manuals(newRootCommand(), "2026-11-22")
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() {
			return
		}
		pages++
		page := string(files["man/man1/"+strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"])
		if !strings.Contains(page, "\n.SH \"EXAMPLES\"\n") || !strings.Contains(page, `"2026-11-22"`) {
			t.Errorf("the page of %s lacks a part:\n%.200s", c.CommandPath(), page)
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if name := strings.ReplaceAll("--"+f.Name, "-", `\-`); !f.Hidden && !strings.Contains(page, name) {
				t.Errorf("the page of %s lacks --%s", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand())
	for path := range files {
		if strings.HasPrefix(path, "man/man1/") {
			pages--
		}
	}
	if pages != 0 {
		t.Errorf("%d commands more than pages", pages)
	}
}

func TestEveryKeyIsInTheManualWithItsMeaning(t *testing.T) {
	page := string(configurationPage(""))
	for _, setting := range config.Defaults().Effective() {
		if !strings.Contains(page, "\n.B "+setting.Key+": ") {
			t.Errorf("%s is not in waggle.yaml(5)", setting.Key)
		}
	}
	if !strings.Contains(page, "How long a client is told to wait") {
		t.Error("the doc comments are not in it")
	}
}

func TestManualIsTheSameEachTime(t *testing.T) {
	first, err := manuals(newRootCommand(), "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := manuals(newRootCommand(), ""); err != nil || !maps.EqualFunc(first, again, bytes.Equal) {
		t.Errorf("another manual, %v", err)
	}
}

func TestManualIsWrittenWhereShellsAndManLook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share")
	root := newRootCommand()
	out, _, err := output(t.Context(), root, "man", dir)
	if err != nil || !strings.HasPrefix(out, dir+": ") {
		t.Fatalf("%q, %v", out, err)
	}
	for _, path := range []string{
		"man/man1/waggle.1", "man/man1/waggle-serve.1", "man/man1/waggle-torrent-create.1", "man/man5/waggle.yaml.5",
		"bash-completion/completions/waggle", "zsh/site-functions/_waggle", "fish/vendor_completions.d/waggle.fish",
	} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode() != 0o644 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if _, _, err := output(t.Context(), newRootCommand(), "man"); !errors.As(err, new(usageError)) {
		t.Errorf("without a folder: %v", err)
	}
}

func TestVersionTellsTheCommitOfARelease(t *testing.T) {
	defer func(was string) { commit = was }(commit)
	commit = "0123456789abcdef0123456789abcdef01234567"
	if got := versionText(); !strings.HasPrefix(got, version+" (0123456789ab, go") {
		t.Error(got)
	}
	if sourceRevision() != commit {
		t.Error(sourceRevision())
	}
}
