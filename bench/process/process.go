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

	// Anonymous is what of RSS is in no file: the rest are pages of the program and of
	// libraries, which the system may drop at any time and share between processes.
	Anonymous int64
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
	rss, anonymous, okRSS := parseStatus(string(status))
	if !okCPU || !okRSS {
		return Usage{}, fmt.Errorf("process %d: /proc does not tell its CPU time and memory", pid)
	}
	return Usage{cpu, rss, anonymous}, nil
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

// parseStatus returns VmRSS and RssAnon. A process that has ended and waits to be noticed
// has none: it uses nothing.
func parseStatus(status string) (rss, anonymous int64, ok bool) {
	found := 0
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmRSS": &rss, "RssAnon": &anonymous}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		*into = kib << 10
		found++
	}
	return rss, anonymous, found == 2 || found == 0 && strings.Contains(status, "State:\tZ")
}
