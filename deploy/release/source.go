package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tags leave out what the library of package peer would have of C and C++.
const tags = "nosqlite,disable_libutp"

// source is a checkout that a release is made of.
type source struct {
	root       string
	version    string
	commit     string
	time       time.Time // of the commit
	maintainer string    // of the Debian packages: Name <address>
	dirty      bool
}

// next matches the version of the next release in cmd/waggle/main.go.
var next = regexp.MustCompile(`(?m)^\tversion = "(\d+\.\d+\.\d+)"$`)

// valid matches a version of semver without +.
var valid = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)

// contact matches a maintainer as Debian has one.
var contact = regexp.MustCompile(`^[^<>,\n]+ <[^<>@\s]+@[^<>@\s]+>$`)

// readSource reads what git knows of a checkout. An empty version is that of the tag, and an empty
// maintainer who made the commit.
func readSource(ctx context.Context, root, version, maintainer string) (*source, error) {
	said, err := git(ctx, root, "log", "-1", "--format=%H%n%ct%n%cn <%ce>")
	if err != nil {
		return nil, err
	}
	lines := strings.SplitN(said, "\n", 3)
	seconds, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	s := &source{root: root, version: version, commit: lines[0], time: time.Unix(seconds, 0).UTC(), maintainer: cmp.Or(maintainer, lines[2])}
	if !contact.MatchString(s.maintainer) {
		return nil, fmt.Errorf("%q is no maintainer of a Debian package: give one such as Anna <anna@waggle.example> with -maintainer", s.maintainer)
	}
	changes, err := git(ctx, root, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	s.dirty = changes != ""
	if s.version == "" {
		if s.version, err = s.tagged(ctx); err != nil {
			return nil, err
		}
	}
	if !valid.MatchString(s.version) {
		return nil, fmt.Errorf("%q is no version such as 1.2.3 or 1.2.3-rc.1", s.version)
	}
	return s, nil
}

// tagged returns the version of the tag at the commit, or else one before the next release.
func (s *source) tagged(ctx context.Context) (string, error) {
	list, err := git(ctx, s.root, "tag", "--points-at", "HEAD", "--list", "v[0-9]*", "--sort=-version:refname")
	if err != nil {
		return "", err
	}
	if tag, _, _ := strings.Cut(list, "\n"); tag != "" {
		return strings.TrimPrefix(tag, "v"), nil
	}
	text, err := os.ReadFile(filepath.Join(s.root, "cmd/waggle/main.go"))
	if err != nil {
		return "", err
	}
	found := next.FindSubmatch(text)
	if found == nil {
		return "", errors.New("cmd/waggle/main.go does not say which version comes next")
	}
	return fmt.Sprintf("%s-dev.%s.g%s", found[1], s.time.Format("20060102150405"), s.commit[:12]), nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// build builds the binary for a target.
func (s *source) build(ctx context.Context, t target, path string) error {
	stamps := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.commit=%s -X main.built=%s", s.version, s.commit, s.time.Format(time.DateOnly))
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	_, err = s.goCommand(ctx, t, "build", "-trimpath", "-buildvcs=false", "-tags="+tags, "-ldflags="+stamps, "-o", absolute, "./cmd/waggle")
	return err
}

// manuals returns manual pages and completions, which a binary for this machine writes.
func (s *source) manuals(ctx context.Context, work string) ([]file, error) {
	binary, share := filepath.Join(work, "here"), filepath.Join(work, "share")
	if err := s.build(ctx, here(), binary); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "man", share)
	cmd.Env = []string{"HOME=" + work}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("waggle man: %w\n%s", err, out)
	}
	return under(share)
}

// under returns the files of a folder, which everybody may read.
func under(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, file{path: filepath.ToSlash(name), mode: 0o644, data: data})
		return err
	})
	return files, err
}

// docs returns what people read, where README.md looks for it.
func (s *source) docs() ([]file, error) {
	paths := []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/decisions/*.md"} {
		found, err := fs.Glob(os.DirFS(s.root), pattern)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	return s.read(paths...)
}

// read returns files of the checkout, which everybody may read.
func (s *source) read(paths ...string) ([]file, error) {
	var files []file
	for _, path := range paths {
		data, err := os.ReadFile(filepath.Join(s.root, path))
		if err != nil {
			return nil, err
		}
		files = append(files, file{path: path, mode: 0o644, data: data})
	}
	return files, nil
}
