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

// columns returns the width of a terminal, or 80 if the width is not known.
func columns(stream any) int {
	var size struct{ rows, columns, x, y uint16 }
	if !ioctl(stream, syscall.TIOCGWINSZ, unsafe.Pointer(&size)) || size.columns == 0 {
		return 80
	}
	return int(size.columns)
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
