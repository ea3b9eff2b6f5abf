package browser

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one that was started here.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdout output
	stderr output
	exited chan struct{} // closed after the end of the process
	err    error         // what Wait said; read it after exited
}

// launch starts a program in a directory, as the leader of a process group.
func launch(name, dir string, command ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(command[0], command[1:]...), exited: make(chan struct{})}
	p.stdout.grown, p.stderr.grown = make(chan struct{}, 1), make(chan struct{}, 1)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Dir = dir
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "WAGGLE_") }), "HOME="+dir)
	// Pdeathsig is for the day on which the test binary itself is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// start starts waggle for a test. It ends with the test at the latest, and its output is
// in the test's log if the test failed.
func start(t *testing.T, dir string, arguments ...string) *process {
	t.Helper()
	path, err := waggle()
	if err != nil {
		t.Fatal(err)
	}
	p, err := launch("waggle "+arguments[0], dir, append([]string{path}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.stop() // how it ends is not what is tested
		if t.Failed() {
			t.Logf("%s, standard output:\n%s\nstandard error:\n%s", p.name, p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// stop asks the process to end and waits for that. It returns an error if it did not end
// well: by itself, with status 0. What is left of its process group is killed.
func (p *process) stop() error {
	defer func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }()
	select {
	case <-p.exited:
		return p.err
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(patience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
		return fmt.Errorf("%s did not end within %v of SIGTERM", p.name, patience)
	}
}

// says waits until the process has written a text to its standard output.
func (p *process) says(text string) error {
	deadline := time.After(patience)
	for !strings.Contains(p.stdout.String(), text) {
		select {
		case <-p.stdout.grown:
		case <-p.exited:
			return fmt.Errorf("%s ended early: %v\n%s", p.name, p.cmd.ProcessState, p.stderr.String())
		case <-deadline:
			return fmt.Errorf("%s has not said %q after %v, but:\n%s%s", p.name, text, patience, p.stdout.String(), p.stderr.String())
		}
	}
	return nil
}

// output keeps what a process writes.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	grown chan struct{} // has room for one; something was written
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.grown <- struct{}{}:
	default:
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
