// Package process tells what a process has used of the machine: processor time and
// resident memory. [Of] reads it from /proc, so on Linux only; [Self] is the process
// itself, on every Unix.
package process
