//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ui

import (
	"os"
	"syscall"
	"unsafe"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	var t syscall.Termios
	return ioctl(stream, getTermios, unsafe.Pointer(&t))
}

// Screen returns the size of a terminal, or 80 by 24 if the size is not known.
func Screen(stream any) (columns, rows int) {
	var size struct{ rows, columns, x, y uint16 }
	if !ioctl(stream, syscall.TIOCGWINSZ, unsafe.Pointer(&size)) || size.columns == 0 {
		return 80, 24
	}
	return int(size.columns), int(size.rows)
}

// ioctl makes a request to a stream's device. It reports whether it succeeded.
func ioctl(stream any, request uintptr, to unsafe.Pointer) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var errno syscall.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(to))
	})
	return err == nil && errno == 0
}
