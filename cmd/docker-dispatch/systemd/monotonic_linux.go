package systemd

import (
	"syscall"
	"time"
	"unsafe"
)

// monotonic returns the time of CLOCK_MONOTONIC, by which the manager tells a reload from an earlier one.
func monotonic() time.Duration {
	const clockMonotonic = 1
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0
	}
	return time.Duration(t.Nano())
}
