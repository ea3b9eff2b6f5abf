//go:build long

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"waggle/bittorrent"
)

// image is what the last stage of a Containerfile makes.
type image struct {
	root       string
	user       string
	folder     string
	environ    []string
	entrypoint []string
	command    []string
	health     []string
}

// copying matches COPY from the stage that builds.
var copying = regexp.MustCompile(`^COPY --from=build (?:--chown=(\d+):(\d+) )?(/\S+) (/\S+)$`)

// assemble does what the last stage of the Containerfile says, with files in place of those
// of the stage that builds.
func assemble(t *testing.T, built map[string]string) image {
	t.Helper()
	text, err := os.ReadFile(checkout + "/deploy/container/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, found := strings.Cut(strings.ReplaceAll(string(text), "\\\n", ""), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from nothing")
	}
	i := image{root: filepath.Join(t.TempDir(), "image")}
	for lines := bufio.NewScanner(strings.NewReader(last)); lines.Scan(); {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch word {
		case "COPY":
			c := copying.FindStringSubmatch(lines.Text())
			if c == nil || built[c[3]] == "" {
				t.Fatalf("what does %q copy?", lines.Text())
			}
			to := filepath.Join(i.root, c[4])
			shell(t, "mkdir", "-p", filepath.Dir(to))
			shell(t, "cp", "-rL", built[c[3]], to)
			if c[1] != "" {
				shell(t, "chown", "-R", c[1]+":"+c[2], to)
			}
		case "USER":
			i.user = rest
		case "WORKDIR":
			i.folder = rest
		case "ENV":
			i.environ = append(i.environ, rest)
		case "ENTRYPOINT":
			i.entrypoint = list(t, rest)
		case "CMD":
			i.command = list(t, rest)
		case "HEALTHCHECK":
			_, health, _ := strings.Cut(rest, " CMD ")
			i.health = list(t, health)
		case "", "#", "ARG", "LABEL", "VOLUME", "EXPOSE":
		default:
			t.Fatalf("this test does not know %q", lines.Text())
		}
	}
	return i
}

func list(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return words
}

// TestContainerServesAsNobodyFromAReadOnlyRoot runs what the image holds without anything that
// runs images: as its user, with its variables, and nothing to write but its volume.
func TestContainerServesAsNobodyFromAReadOnlyRoot(t *testing.T) {
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "waggle"), filepath.Join(dir, "data")
	if err := testSource("0.1.0").build(t.Context(), target{"linux", runtime.GOARCH}, binary); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	i := assemble(t, map[string]string{"/waggle": binary, "/data": data, "/etc/ssl/certs/ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt"})
	if i.user != "65532:65532" {
		t.Errorf("it runs as %q", i.user)
	}
	if err := os.Mkdir(filepath.Join(i.root, "proc"), 0o755); err != nil { // which whoever runs images makes
		t.Fatal(err)
	}
	volume := i.root + i.folder
	m := machine{root: i.root, net: newNamespace(t)}
	// The root is mounted for reading, and the volume in it for writing.
	m.prepare = "mount --bind " + i.root + " " + i.root + " && mount --bind " + volume + " " + volume + " && mount -o remount,bind,ro " + i.root

	command := append(append([]string{}, i.entrypoint...), i.command...)
	tracker := m.start(t, i.user, i.environ, command...)
	m.net.announce(t, 1, 0, bittorrent.EventStarted)
	health := m.command(t.Context(), i.user, i.health...)
	health.Env = append(health.Env, i.environ...)
	if out, err := health.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("the health check says %q, %v", out, err)
	}
	tracker.stop(t, m)
	if written, err := os.Stat(filepath.Join(volume, "waggle.db")); err != nil || written.Size() == 0 {
		t.Errorf("nothing was written into the volume: %v", err)
	}
	tracker = m.start(t, i.user, i.environ, command...)
	if r := m.net.announce(t, 2, 100, bittorrent.EventStarted); r.Complete != 1 {
		t.Errorf("it has forgotten its peers: %+v", r)
	}
	tracker.stop(t, m)

	health = m.command(t.Context(), i.user, i.health...)
	health.Env = append(health.Env, i.environ...)
	var said bytes.Buffer
	health.Stderr = &said
	if err := health.Run(); err == nil || !strings.Contains(said.String(), "refused") {
		t.Errorf("the health check of a tracker that is stopped: %v, %q", err, &said)
	}
	elsewhere := m.command(t.Context(), i.user, append(append([]string{}, i.entrypoint...), "man", "/")...)
	if out, err := elsewhere.CombinedOutput(); err == nil || !strings.Contains(string(out), "read-only file system") {
		t.Errorf("it writes into the image: %v, %q", err, out)
	}
}
