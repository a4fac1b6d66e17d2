//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package main

import (
	"os"
	"syscall"
	"unsafe"
)

// isTerminal tells whether a stream is a terminal.
func isTerminal(stream any) bool {
	var t syscall.Termios
	return ioctl(stream, getTermios, unsafe.Pointer(&t))
}

// columns is how wide a terminal is; 80 where it does not tell.
func columns(stream any) int {
	var size struct{ rows, columns, x, y uint16 }
	if !ioctl(stream, syscall.TIOCGWINSZ, unsafe.Pointer(&size)) || size.columns == 0 {
		return 80
	}
	return int(size.columns)
}

// ioctl asks a stream's device. It tells whether there was an answer.
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
