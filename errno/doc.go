// Package errno knows errors of the operating system by the names that they have on Unix, such as
// syscall.ECONNREFUSED. On Windows package syscall has made up numbers for these names, and the system's
// errors have others: there errors.Is finds none of them, and [Is] does.
package errno
