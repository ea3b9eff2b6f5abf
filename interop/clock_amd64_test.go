package interop

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ahead is this machine over loopback, where processes have a clock that is ahead of all
// others; behind, where by is negative. Timers and all else that goes by the time since the
// machine started are as they are.
//
// The program is the one that users have, and libfaketime is of no use to it: Go asks for the
// time without the C library. It asks a function that the kernel maps into each process.
// In this one, another function is in its place before the process runs.
func ahead(by time.Duration) host {
	h := loopback4
	h.begin = func(cmd *exec.Cmd) error { return startAhead(cmd, by) }
	return h
}

func startAhead(cmd *exec.Cmd, by time.Duration) error {
	runtime.LockOSThread() // only the thread that traces a process may let it go
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Ptrace = true // it stops before its first instruction
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	_, err := unix.Wait4(pid, &status, 0, nil)
	if err == nil && !status.Stopped() {
		return fmt.Errorf("it did not stop at its start: %#x", status)
	}
	if err == nil {
		err = setClock(pid, by)
	}
	if err = errors.Join(err, unix.PtraceDetach(pid)); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

// setClock gives a process that is stopped another clock.
func setClock(pid int, by time.Duration) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = mem.Close() }()
	at, size, err := kernelFunctions(pid)
	if err != nil {
		return err
	}
	image := make([]byte, size)
	if _, err := mem.ReadAt(image, at); err != nil {
		return err
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	code := clockGettime(by)
	if i < 0 || symbols[i].Size < uint64(len(code)) {
		return errors.New("the kernel's clock_gettime is not there, or too short")
	}
	_, err = mem.WriteAt(code, at+int64(symbols[i].Value))
	return err
}

// kernelFunctions returns where a process has those that the kernel maps.
func kernelFunctions(pid int) (at, size int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			continue
		}
		var end int64
		_, err := fmt.Sscanf(line, "%x-%x", &at, &end)
		return at, end - at, err
	}
	return 0, 0, errors.New("the kernel maps no functions into it")
}

// clockGettime is clock_gettime(2) in machine code, with a wall clock that is ahead.
func clockGettime(by time.Duration) []byte {
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 13, // jne ret
		0x48, 0xb9, // mov rcx, the seconds that follow
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(int64(by/time.Second)))
	return append(code,
		0x48, 0x01, 0x0e, // add [rsi], rcx
		0xc3, // ret
	)
}
