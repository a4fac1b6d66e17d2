package main

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

// virtualTerminal has a console heed escape sequences (ENABLE_VIRTUAL_TERMINAL_PROCESSING).
const virtualTerminal = 4

// isTerminal tells whether a stream is a console. One that is written to heeds escape sequences from then on.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	var mode uint32
	if syscall.GetConsoleMode(syscall.Handle(f.Fd()), &mode) != nil {
		return false
	}
	if f != os.Stdin {
		setConsoleMode.Call(f.Fd(), uintptr(mode|virtualTerminal)) // a console that cannot shows the sequences
	}
	return true
}

// columns is how wide a console is; 80 where it does not tell.
func columns(stream any) int {
	f, ok := stream.(*os.File)
	if !ok {
		return 80
	}
	var info struct { // CONSOLE_SCREEN_BUFFER_INFO
		width, height, cursorX, cursorY int16
		attributes                      uint16
		left, top, right, bottom        int16
		mostWidth, mostHeight           int16
	}
	if ok, _, _ := screenBufferInfo.Call(f.Fd(), uintptr(unsafe.Pointer(&info))); ok == 0 || info.right <= info.left {
		return 80
	}
	return int(info.right-info.left) + 1
}
