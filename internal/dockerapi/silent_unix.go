//go:build unix

package dockerapi

import (
	"net"
	"syscall"
)

// silent reports whether a connection without a call is open, and nothing can be read from it: an engine that ended or
// tired of the connection has closed it, and one that sends without being asked cannot be trusted.
func silent(conn net.Conn) bool {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = err == syscall.EAGAIN
	})
	return err == nil && open
}
