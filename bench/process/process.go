package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used up to a moment.
type Usage struct {
	CPU time.Duration // user and system time of all threads, to a hundredth of a second
	RSS int64         // resident memory in bytes, now
}

// Of returns the usage of a process by its id. The error says where there is no such
// process, or no way to look.
func Of(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) {
		if runtime.GOOS != "linux" {
			return Usage{}, fmt.Errorf("process %d: its CPU time and memory can be read on Linux only", pid)
		}
		return Usage{}, fmt.Errorf("there is no process %d", pid)
	}
	if err != nil {
		return Usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("process %d: %w", pid, err)
	}
	cpu, okCPU := parseStat(string(stat))
	rss, okRSS := parseStatus(string(status))
	if !okCPU || !okRSS {
		return Usage{}, fmt.Errorf("process %d: /proc does not tell its CPU time and memory", pid)
	}
	return Usage{cpu, rss}, nil
}

// tick is the unit of times in /proc/PID/stat, on every system that Go runs on.
const tick = 10 * time.Millisecond

// parseStat returns utime and stime, fields 14 and 15 of proc(5). The name of the
// program, in parentheses before them, may hold anything.
func parseStat(stat string) (time.Duration, bool) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick, err1 == nil && err2 == nil
}

// parseStatus returns VmRSS. A process that has ended and waits to be noticed has
// none: it uses nothing.
func parseStatus(status string) (int64, bool) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, strings.Contains(status, "State:\tZ")
}
