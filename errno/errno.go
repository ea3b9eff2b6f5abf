package errno

import (
	"errors"
	"runtime"
	"slices"
	"syscall"
)

// windows has the numbers of Windows Sockets and of Windows itself.
var windows = map[syscall.Errno]syscall.Errno{
	syscall.EACCES:        10013,
	syscall.EMSGSIZE:      10040,
	syscall.EAFNOSUPPORT:  10047,
	syscall.EADDRINUSE:    10048,
	syscall.EADDRNOTAVAIL: 10049,
	syscall.ENETUNREACH:   10051,
	syscall.ECONNRESET:    10054,
	syscall.ECONNREFUSED:  10061,
	syscall.EHOSTUNREACH:  10065,
	syscall.ENOSPC:        112,
	syscall.EROFS:         19,
}

// Is reports whether an error is one of these of the system.
func Is(err error, names ...syscall.Errno) bool { return is(runtime.GOOS, err, names) }

func is(system string, err error, names []syscall.Errno) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.ContainsFunc(names, func(name syscall.Errno) bool {
		there, known := windows[name]
		return number == name || system == "windows" && known && number == there
	})
}
