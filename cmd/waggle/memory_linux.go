package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// memoryInUse returns the resident memory of this process, in bytes; 0 where the system
// does not tell.
func memoryInUse() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text) // proc(5): size and resident, in pages
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// memoryLimit returns how much memory this process may have, in bytes: the least of
// what GOMEMLIMIT says, its control groups do, and the machine has.
func memoryLimit() int64 {
	limit := debug.SetMemoryLimit(-1)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		limit = min(limit, int64(info.Totalram)*int64(info.Unit))
	}
	if self, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		limit = min(limit, limitOfGroups(os.DirFS("/sys/fs/cgroup"), self))
	}
	return limit
}

// limitOfGroups returns the least limit of a control group (version 2) and those that it
// is in, which are folders; math.MaxInt64: there is none. self is /proc/self/cgroup.
func limitOfGroups(groups fs.FS, self []byte) int64 {
	limit := int64(math.MaxInt64)
	_, name, ok := bytes.Cut(self, []byte("0::/"))
	if !ok {
		return limit
	}
	name, _, _ = bytes.Cut(name, []byte("\n"))
	for folder := path.Clean(string(name)); ; folder = path.Dir(folder) {
		if text, err := fs.ReadFile(groups, path.Join(folder, "memory.max")); err == nil {
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil { // or "max"
				limit = min(limit, n)
			}
		}
		if folder == "." || folder == "/" {
			return limit
		}
	}
}
