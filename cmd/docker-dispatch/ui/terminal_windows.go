package ui

import (
	"os"
	"syscall"
	"unsafe"
)

var (
	kernel32         = syscall.NewLazyDLL("kernel32.dll")
	setConsoleMode   = kernel32.NewProc("SetConsoleMode")
	screenBufferInfo = kernel32.NewProc("GetConsoleScreenBufferInfo")
)

// virtualTerminal makes a console obey escape sequences (ENABLE_VIRTUAL_TERMINAL_PROCESSING).
const virtualTerminal = 4

// IsTerminal reports whether a stream is a console. From then on a console other than stdin obeys escape sequences.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	var mode uint32
	if syscall.GetConsoleMode(syscall.Handle(f.Fd()), &mode) != nil {
		return false
	}
	if f != os.Stdin {
		setConsoleMode.Call(f.Fd(), uintptr(mode|virtualTerminal)) // a console that cannot obey the sequences shows them
	}
	return true
}

// Screen returns the size of a console, or 80 by 24 if the size is not known.
func Screen(stream any) (columns, rows int) {
	f, ok := stream.(*os.File)
	if !ok {
		return 80, 24
	}
	var info struct { // CONSOLE_SCREEN_BUFFER_INFO
		width, height, cursorX, cursorY int16
		attributes                      uint16
		left, top, right, bottom        int16
		mostWidth, mostHeight           int16
	}
	if ok, _, _ := screenBufferInfo.Call(f.Fd(), uintptr(unsafe.Pointer(&info))); ok == 0 || info.right <= info.left {
		return 80, 24
	}
	return int(info.right-info.left) + 1, int(info.bottom-info.top) + 1
}
