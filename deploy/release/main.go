package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// target is what a binary runs on.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

var allTargets = []target{
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	dist := flags.String("dist", "dist", "`FOLDER` that the release is put into; what is in it goes")
	only := flags.String("targets", "", "make these alone, such as linux/amd64,linux/arm64")
	version := flags.String("version", "", "the version, instead of that of the tag")
	maintainer := flags.String("maintainer", "", "who maintains the Debian packages, instead of who made the commit: `Name <address>`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	targets, err := chosen(*only)
	if err != nil {
		return err
	}
	s, err := readSource(ctx, ".", *version, *maintainer)
	if err != nil {
		return err
	}
	if s.dirty {
		_, _ = fmt.Fprintln(out, "there are changes that are not committed: nobody else can make this release")
	}
	files, err := makeRelease(ctx, s, targets, out)
	if err != nil {
		return err
	}
	return put(*dist, files, out)
}

// chosen returns the targets of a list, or all for an empty one.
func chosen(list string) ([]target, error) {
	if list == "" {
		return allTargets, nil
	}
	var targets []target
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(allTargets, func(t target) bool { return t.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of %v", name, allTargets)
		}
		targets = append(targets, allTargets[i])
	}
	return targets, nil
}

// makeRelease returns the files of a release.
func makeRelease(ctx context.Context, s *source, targets []target, out io.Writer) ([]file, error) {
	work, err := os.MkdirTemp("", "waggle-release-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()

	share, err := s.manuals(ctx, work)
	if err != nil {
		return nil, err
	}
	licences, err := s.licences(ctx, targets)
	if err != nil {
		return nil, err
	}
	docs, err := s.docs()
	if err != nil {
		return nil, err
	}
	docs = append(docs, licences)
	var files []file
	for _, t := range targets {
		_, _ = fmt.Fprintf(out, "%s %s\n", s.version, t)
		path := filepath.Join(work, t.os+"-"+t.arch)
		if err := s.build(ctx, t, path); err != nil {
			return nil, err
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.Read(bytes.NewReader(binary))
		if err != nil {
			return nil, err
		}
		made, err := s.packages(t, binary, info, share, docs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		files = append(files, made...)
	}
	return append(files, checksums(files)), nil
}

// packages returns what there is for one target, given its binary and what that is made of.
func (s *source) packages(t target, binary []byte, info *debug.BuildInfo, share, docs []file) ([]file, error) {
	bill, err := s.bill(t, info, sha256.Sum256(binary))
	if err != nil {
		return nil, err
	}
	program := file{path: "waggle", mode: 0o755, data: binary}
	if t.os == "windows" {
		program.path += ".exe"
	}
	name := fmt.Sprintf("waggle_%s_%s_%s", s.version, t.os, t.arch)
	archived, pack := slices.Concat([]file{program}, docs, inFolder("share", share)), tarball
	suffix := ".tar.gz"
	switch t.os {
	case "windows":
		pack, suffix = zipped, ".zip"
	case "linux":
		unit, err := s.read("deploy/systemd/waggle.service")
		if err != nil {
			return nil, err
		}
		archived = append(archived, unit...)
	}
	archive, err := pack(inFolder(name, archived), s.time)
	if err != nil {
		return nil, err
	}
	files := []file{
		{path: name + suffix, mode: 0o644, data: archive},
		{path: name + ".cdx.json", mode: 0o644, data: bill},
	}
	if t.os == "linux" {
		deb, err := s.debian(t, program, share, docs)
		if err != nil {
			return nil, err
		}
		files = append(files, deb)
	}
	return files, nil
}

// checksums returns a file for sha256sum -c.
func checksums(files []file) file {
	var b strings.Builder
	for _, f := range sorted(files) {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(f.data), f.path)
	}
	return file{path: "SHA256SUMS", mode: 0o644, data: []byte(b.String())}
}

// put writes the files into a folder that holds nothing else afterwards.
func put(dist string, files []file, out io.Writer) error {
	if err := emptied(dist); err != nil {
		return err
	}
	for _, f := range sorted(files) {
		path := filepath.Join(dist, f.path)
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%s: %.1f MB\n", path, float64(len(f.data))/1e6)
	}
	return nil
}

// emptied makes a folder of releases, or empties one. It refuses one that holds anything else.
func emptied(dist string) error {
	entries, err := os.ReadDir(dist)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dist, 0o755)
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() != "SHA256SUMS" && !strings.HasPrefix(entry.Name(), "waggle_") {
			return fmt.Errorf("%s holds %s, which is of no release: name another folder", dist, entry.Name())
		}
	}
	for _, entry := range entries {
		if err := os.Remove(filepath.Join(dist, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command in the checkout, for a target, and returns what it prints.
func (s *source) goCommand(ctx context.Context, t target, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch,
		"GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off", "GOAMD64=v1", "GOARM64=v8.0")
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s for %s: %w\n%s", args[0], t, err, exit.Stderr)
	}
	return out, err
}

// here is what this program runs on.
func here() target { return target{runtime.GOOS, runtime.GOARCH} }
