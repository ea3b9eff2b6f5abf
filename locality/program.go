package locality

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	maxPrograms = 16   // that run at a time
	maxOutput   = 4096 // bytes of what one prints
)

// Program is a Source that runs a program, whose last argument is the address. It prints the path,
// and exits with 0. If it prints nothing, the address is not known. At most 16 run at a time, and
// one that runs too long is killed.
type Program struct {
	command []string
	running chan struct{}
}

// NewProgram makes a Program source of a program and its arguments. There is no shell. It fails if
// the program is not there, or may not be run.
func NewProgram(command ...string) (*Program, error) {
	if len(command) == 0 || command[0] == "" {
		return nil, errors.New("program: name a program")
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	p := &Program{command: append([]string{path}, command[1:]...), running: make(chan struct{}, maxPrograms)}
	return p, nil
}

// String is "program" and its name.
func (p *Program) String() string { return "program " + p.command[0] }

// Locate runs the program.
func (p *Program) Locate(ctx context.Context, ip netip.Addr) (string, error) {
	select {
	case p.running <- struct{}{}:
		defer func() { <-p.running }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	var output, complaint limited
	args := append(append([]string(nil), p.command[1:]...), ip.String())
	command := exec.CommandContext(ctx, p.command[0], args...)
	command.Stdout, command.Stderr = &output, &complaint
	command.Env = withoutSettings(os.Environ())
	command.WaitDelay = 100 * time.Millisecond // for a child of its that holds on to the output
	killWithChildren(command)
	if err := command.Run(); err != nil {
		return "", programError(ctx, err, complaint.kept.String())
	}
	return pathInOutput(&output)
}

// withoutSettings returns an environment without those of the tracker, some of which have
// passwords: they are nothing to a program, and whoever may see its environment would see them.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "WAGGLE_") || strings.HasPrefix(name, "OTEL_EXPORTER_") && strings.HasSuffix(name, "_HEADERS")
	})
}

// programError is why a run failed, with the first line of what it complained about.
func programError(ctx context.Context, err error, complaint string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("it ran too long: %w", ctx.Err())
	}
	line, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	if line == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, quote(line))
}

// pathInOutput reads what a program printed.
func pathInOutput(output *limited) (string, error) {
	if output.more {
		return "", rubbish("it printed more than %d bytes", maxOutput)
	}
	text := strings.TrimSpace(output.kept.String())
	if strings.Contains(text, "\n") {
		return "", rubbish("it printed more than one line: %s", quote(text))
	}
	return text, nil
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	kept bytes.Buffer // not embedded, or io.Copy would fill it past us
	more bool         // there were more
}

// Write keeps what there is room for. It takes all, so that the writer goes on.
func (l *limited) Write(p []byte) (int, error) {
	room := maxOutput - l.kept.Len()
	if len(p) > room {
		l.more = true
	}
	l.kept.Write(p[:min(room, len(p))])
	return len(p), nil
}
