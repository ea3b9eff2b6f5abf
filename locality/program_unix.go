//go:build unix

package locality

import (
	"os/exec"
	"syscall"
)

// killWithChildren has a program that runs too long killed together with the programs that it
// started.
func killWithChildren(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
