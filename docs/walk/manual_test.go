//go:build long

package walk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/internal/binary"
)

const root = "../.."

// patience is how long a page may take that is walked on a machine which is busy with other tests.
const patience = 10 * time.Minute

func TestManual(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("namespaces need root: run `make test-long` as root")
	}
	bin := t.TempDir()
	built := filepath.Join(bin, "waggle")
	if path := os.Getenv("WALK_WAGGLE"); path != "" {
		if err := os.Symlink(path, built); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Setenv("CGO_ENABLED", "0")
		if err := binary.Build(root, built, []string{"-trimpath", "-ldflags=-s -w"}); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	ran, unrun := 0, 0
	for _, page := range pages {
		commands := slices.ContainsFunc(page.Blocks, func(b Block) bool { return b.Kind == "sh" && b.Unrun() == "" })
		for _, b := range page.Blocks {
			if reason := b.Unrun(); reason != "" {
				t.Logf("%s:%d: not run here: %s", page.Path, b.Line, reason)
				unrun++
			} else if b.Kind == "sh" {
				ran++
			}
		}
		if commands {
			t.Run(page.Name, func(t *testing.T) {
				t.Parallel()
				walk(t, page, bin)
			})
		}
	}
	t.Logf("%d blocks of commands are run, %d are not", ran, unrun)
}

// driver is what bash runs, as the first process of its namespace. It tells in the file "at" which
// block is under way.
const driver = `
set -e -o pipefail
ip link set lo up
mount -t tmpfs none /run/netns 2>/dev/null || { mkdir -p /run/netns && mount -t tmpfs none /run/netns; }
cd "$HOME"
`

// walk runs the blocks of a page.
func walk(t *testing.T, page Page, bin string) {
	files, home := t.TempDir(), t.TempDir()
	log := filepath.Join(files, "background")
	var script strings.Builder
	script.WriteString(driver)
	for i, b := range page.Blocks {
		if b.Kind != "sh" || b.Unrun() != "" {
			continue
		}
		source := filepath.Join(files, fmt.Sprint(i), filepath.Base(page.Path))
		if err := errors.Join(os.Mkdir(filepath.Dir(source), 0o700), os.WriteFile(source, []byte(b.script(log)), 0o600)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "echo %d >'%s/at'\n", i, files)
		run := fmt.Sprintf("source '%s' >'%s' 2>&1 </dev/null", source, printed(files, i))
		if b.Fails() {
			run = fmt.Sprintf("set +e; %s; failed=$?; set -e; [ $failed != 0 ]", run)
		}
		script.WriteString(run + "\n")
	}
	fmt.Fprintf(&script, "echo done >'%s/at'\n", files)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script.String())
	cmd.Env = environment(home, bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	at, _ := os.ReadFile(filepath.Join(files, "at"))
	ended := strings.TrimSpace(string(at))
	for i, b := range page.Blocks {
		if b.Kind != "sh" || b.Unrun() != "" {
			continue
		}
		got, _ := os.ReadFile(printed(files, i))
		if ended == fmt.Sprint(i) {
			t.Errorf("%s:%d: these commands fail: %v\n%s%s%s", page.Path, b.Line, errors.Join(err, ctx.Err()), b.Text, got, out)
			break
		}
		if want, ok := page.Printed(i); ok {
			if wrong := mismatch(want.Text, string(got)); wrong != "" {
				t.Errorf("%s:%d: %s", page.Path, want.Line, wrong)
			}
		}
	}
	if ended != "done" && !t.Failed() {
		t.Errorf("%s: %v\n%s", page.Path, err, out)
	}
	if t.Failed() {
		said, _ := os.ReadFile(log)
		t.Logf("what goes on printed:\n%s", said)
	}
}

// printed is the file with what the block at i printed.
func printed(files string, i int) string { return filepath.Join(files, fmt.Sprint("printed-", i)) }

// environment is that of somebody who has set nothing.
func environment(home, bin string) []string {
	return []string{"HOME=" + home, "PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "USER=root"}
}
