package main

import (
	"debug/elf"
	"os"

	"golang.org/x/sys/unix"
)

// unmapProgram lets go of what this process has in memory of its program's file. Starting
// reads tens of megabytes of it once, which would count as resident from then on; what is
// needed again comes back by itself, from the system's cache as a rule. Where that is not sure,
// nothing is done.
func unmapProgram() {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	program, err := elf.NewFile(file)
	if err != nil || program.Type != elf.ET_EXEC { // it may lie anywhere, and was changed for that
		return
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP { // ld.so(8) has written into it
			return
		}
	}
	page := uint64(os.Getpagesize())
	for _, part := range program.Progs {
		if part.Type != elf.PT_LOAD || part.Flags&elf.PF_W != 0 {
			continue
		}
		begin := part.Vaddr / page * page
		size := (part.Vaddr+part.Filesz)/page*page - begin                                          // whole pages: the next part may begin in the last
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(size), unix.MADV_DONTNEED) // else it stays
	}
}
