package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/config"
)

const checkout = "../.."

var made = time.Date(2026, 11, 22, 8, 30, 15, 0, time.UTC)

// testSource is this checkout as a release that nobody has made.
func testSource(version string) *source {
	return &source{
		root: checkout, version: version, commit: strings.Repeat("0123456789", 4), time: made,
		maintainer: "Maintainers <maintainers@waggle.example>",
	}
}

func shell(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// packed returns what there is for a target, with a few words in place of waggle.
func packed(t *testing.T, s *source, on target) map[string][]byte {
	t.Helper()
	share := []file{
		{path: "man/man1/waggle.1", mode: 0o644, data: []byte(".TH WAGGLE 1\n")},
		{path: "zsh/site-functions/_waggle", mode: 0o644, data: []byte("#compdef waggle\n")},
	}
	docs := []file{{path: "LICENSE", mode: 0o644, data: []byte("terms\n")}, {path: "README.md", mode: 0o644, data: []byte("# waggle\n")}}
	files, err := s.packages(on, []byte("a binary"), &debug.BuildInfo{GoVersion: "go1.26.8"}, share, docs)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		all[f.path] = f.data
	}
	return all
}

func TestArchiveOfUnixHasEverythingInOneFolder(t *testing.T) {
	files := packed(t, testSource("1.2.3"), target{"darwin", "arm64"})
	if len(files) != 2 {
		t.Errorf("%d files, and not an archive and a bill", len(files))
	}
	z, err := gzip.NewReader(bytes.NewReader(files["waggle_1.2.3_darwin_arm64.tar.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || !h.ModTime.Equal(made) || h.Mode&^0o755 != 0 || (h.Mode == 0o755) != strings.HasSuffix(h.Name, "/waggle") {
			t.Errorf("%+v", h)
		}
	}
	want := []string{"LICENSE", "README.md", "share/man/man1/waggle.1", "share/zsh/site-functions/_waggle", "waggle"}
	for i := range want {
		want[i] = "waggle_1.2.3_darwin_arm64/" + want[i]
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestReleaseHasTheManualWhereItsPagesLookForEachOther(t *testing.T) {
	s := testSource("1.2.3")
	docs, err := s.docs()
	if err != nil {
		t.Fatal(err)
	}
	installed, err := s.installed(file{}, nil, docs)
	if err != nil {
		t.Fatal(err)
	}
	for folder, files := range map[string][]file{"": docs, "usr/share/doc/waggle": installed} {
		has := map[string]bool{}
		for _, f := range files {
			has[f.path] = true
		}
		pages := 0
		for _, f := range files {
			name, in := strings.CutPrefix(f.path, folder)
			if !in || path.Ext(name) != ".md" {
				continue
			}
			pages++
			for _, link := range regexp.MustCompile(`\]\(([\w./-]+\.md)`).FindAllSubmatch(f.data, -1) {
				to := path.Join(path.Dir(f.path), string(link[1]))
				of, _ := strings.CutPrefix(strings.TrimPrefix(to, folder), "/")
				if inSource := of == "ARCHITECTURE.md" || strings.Contains(of, "/") && !strings.HasPrefix(of, "docs/"); !has[to] && !inSource {
					t.Errorf("%s leads to %s, which is not there", f.path, to)
				}
			}
		}
		if pages < 20 {
			t.Errorf("%d pages", pages)
		}
	}
}

func TestArchiveOfLinuxHasTheUnit(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "waggle.tar.gz")
	if err := os.WriteFile(archive, packed(t, testSource("1.2.3"), target{"linux", "amd64"})["waggle_1.2.3_linux_amd64.tar.gz"], 0o600); err != nil {
		t.Fatal(err)
	}
	if list := shell(t, "tar", "-tzf", archive); !strings.Contains(list, "waggle_1.2.3_linux_amd64/deploy/systemd/waggle.service\n") {
		t.Errorf("%s", list)
	}
}

func TestArchiveOfWindowsIsAZipWithAnExe(t *testing.T) {
	data := packed(t, testSource("1.2.3"), target{"windows", "amd64"})["waggle_1.2.3_windows_amd64.zip"]
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		if f.Name == "waggle_1.2.3_windows_amd64/waggle.exe" && f.Mode() == 0o755 && f.Modified.Equal(made) {
			return
		}
	}
	t.Error("there is no waggle.exe in it")
}

func TestSameFilesMakeTheSameBytesInAnyOrder(t *testing.T) {
	for name, pack := range map[string]func([]file, time.Time) ([]byte, error){"tar.gz": tarball, "zip": zipped} {
		files := []file{{"b", 0o644, []byte("two")}, {"a", 0o755, []byte("one")}}
		first, err := pack(files, made)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(files)
		if again, err := pack(files, made.In(time.FixedZone("elsewhere", 3600))); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: other bytes, %v", name, err)
		}
	}
}

func TestDebianPackageIsOneThatDpkgTakes(t *testing.T) {
	dir := t.TempDir()
	files := packed(t, testSource("1.2.3-rc.1"), target{"linux", "arm64"})
	deb := filepath.Join(dir, "waggle.deb")
	if err := os.WriteFile(deb, files["waggle_1.2.3~rc.1_arm64.deb"], 0o600); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"Package": "waggle", "Version": "1.2.3~rc.1", "Architecture": "arm64", "Depends": "adduser, procps"} {
		if got := strings.TrimSpace(shell(t, "dpkg-deb", "--field", deb, field)); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	list := shell(t, "dpkg-deb", "--contents", deb)
	for _, want := range []string{
		"./usr/bin/waggle", "./usr/lib/systemd/system/waggle.service", "./etc/waggle/waggle.yaml", "./usr/share/man/man1/waggle.1.gz",
		"./usr/share/zsh/vendor-completions/_waggle", "./usr/share/doc/waggle/copyright", "./usr/share/doc/waggle/changelog.gz",
	} {
		if !strings.Contains(list, " "+want+"\n") {
			t.Errorf("%s is not in it:\n%s", want, list)
		}
	}
	root := filepath.Join(dir, "root")
	shell(t, "dpkg-deb", "--raw-extract", deb, root)
	if kept, err := os.ReadFile(filepath.Join(root, "DEBIAN/conffiles")); err != nil || string(kept) != "/etc/waggle/waggle.yaml\n" {
		t.Errorf("conffiles: %q, %v", kept, err)
	}
	check := exec.CommandContext(t.Context(), "md5sum", "--check", "--quiet", "DEBIAN/md5sums")
	check.Dir = root
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("md5sums: %v\n%s", err, out)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		shell(t, "sh", "-n", filepath.Join(root, "DEBIAN", script))
	}
	if err := config.CheckFile(filepath.Join(root, "etc/waggle/waggle.yaml")); err != nil {
		t.Error(err)
	}
}

func TestDpkgHasVersionsInTheirOrder(t *testing.T) {
	versions := []string{"0.1.0-dev.20261122083015.g012345678901", "0.1.0-dev.20261123083015.g000000000000", "0.1.0-rc.1", "0.1.0", "0.1.1-dev.20261124000000.g0", "0.10.0"}
	for i, version := range versions[1:] {
		before, after := testSource(versions[i]).debianVersion(), testSource(version).debianVersion()
		if err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", before, "lt", after).Run(); err != nil {
			t.Errorf("%s is not before %s: %v", before, after, err)
		}
	}
}

func TestBillNamesWhatIsInTheBinary(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{
		{Path: "one.example/a", Version: "v1.0.0+incompatible", Sum: "h1:one"},
		{Path: "two.example/b", Version: "v2.0.0", Replace: &debug.Module{Path: "fork.example/b", Version: "v2.0.1"}},
	}}
	text, err := testSource("1.2.3").bill(target{"linux", "amd64"}, info, sha256.Sum256(nil))
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Metadata.Timestamp != "2026-11-22T08:30:15Z" || b.Metadata.Component.Version != "1.2.3" || strings.Contains(string(text), "serialNumber") {
		t.Errorf("%+v", b.Metadata)
	}
	var urls []string
	for _, c := range b.Components {
		urls = append(urls, c.PURL)
	}
	want := []string{"pkg:golang/std@1.26.8", "pkg:golang/one.example/a@v1.0.0%2Bincompatible", "pkg:golang/fork.example/b@v2.0.1"}
	if !slices.Equal(urls, want) || !slices.Equal(b.Relations[0].On, want) {
		t.Errorf("%q, of which %q depends", urls, b.Relations)
	}
}

func TestChecksumsAreThoseThatSha256sumTakes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dist")
	files := []file{{"waggle_b", 0o644, []byte("two")}, {"waggle_a", 0o644, []byte("one")}}
	for range 2 { // the second takes the place of the first
		if err := put(dir, append(files, checksums(files)), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "waggle_a: OK\nwaggle_b: OK\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFolderOfSomethingElseIsNotEmptied(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "holiday.jpg")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := put(dir, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "holiday.jpg") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// repository makes a repository of git with one commit.
func repository(t *testing.T) (root string, git func(...string)) {
	t.Helper()
	root = t.TempDir()
	git = func(args ...string) {
		t.Helper()
		shell(t, "git", append([]string{"-C", root, "-c", "user.name=Anna", "-c", "user.email=anna@waggle.example"}, args...)...)
	}
	t.Setenv("GIT_COMMITTER_DATE", made.Format(time.RFC3339))
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	if err := os.MkdirAll(filepath.Join(root, "cmd/waggle"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "cmd/waggle/main.go"), []byte("package main\n\nvar (\n\tversion = \"0.7.0\"\n)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	return root, git
}

func TestVersionIsThatOfTheTagOrComesBeforeTheNext(t *testing.T) {
	root, git := repository(t)
	s, err := readSource(t.Context(), root, "", "")
	if err != nil || s.version != "0.7.0-dev.20261122083015.g"+s.commit[:12] || s.dirty || !s.time.Equal(made) || s.maintainer != "Anna <anna@waggle.example>" {
		t.Errorf("%+v, %v", s, err)
	}
	git("tag", "v0.7.0-rc.1")
	git("tag", "v0.7.0-rc.2")
	if s, err := readSource(t.Context(), root, "", ""); err != nil || s.version != "0.7.0-rc.2" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(filepath.Join(root, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := readSource(t.Context(), root, "0.7.1", "Bert <bert@waggle.example>"); err != nil || !s.dirty || s.version != "0.7.1" || s.maintainer != "Bert <bert@waggle.example>" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := readSource(t.Context(), root, "seven", ""); err == nil {
		t.Errorf("%+v", s)
	}
	for _, nobody := range []string{"Bert", "<bert@waggle.example>", "Bert <bert@waggle.example>\nEssential: yes", "Bert <>"} {
		if s, err := readSource(t.Context(), root, "", nobody); err == nil || !strings.Contains(err.Error(), "-maintainer") {
			t.Errorf("%q: %+v, %v", nobody, s, err)
		}
	}
}

func TestNextVersionIsThatOfTheProgram(t *testing.T) {
	text, err := os.ReadFile(checkout + "/cmd/waggle/main.go")
	if err != nil || !next.Match(text) {
		t.Errorf("%v: it is not where make release looks for it", err)
	}
}

func TestOnlyKnownTargetsAreMade(t *testing.T) {
	if got, err := chosen("windows/arm64,linux/amd64"); err != nil || !slices.Equal(got, []target{{"windows", "arm64"}, {"linux", "amd64"}}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := chosen("plan9/amd64"); err == nil {
		t.Errorf("%v", got)
	}
}

func TestModuleWithoutTermsStopsTheRelease(t *testing.T) {
	dir := t.TempDir()
	if terms, err := termsOf(dir); err == nil {
		t.Errorf("%q", terms)
	}
	for name, text := range map[string]string{"LICENSE-MIT.txt": "Be kind.\r\n", "NOTICE": "Of Anna.", "licence.go": "package x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if terms, err := termsOf(dir); err != nil || terms != "Be kind.\n\nOf Anna." {
		t.Errorf("%q, %v", terms, err)
	}
	if _, err := termsOf(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
