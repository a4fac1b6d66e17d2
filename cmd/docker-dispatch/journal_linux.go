package main

import (
	"fmt"
	"os"
	"syscall"
)

// toJournal reports whether systemd's journal reads a file: JOURNAL_STREAM names the device and inode of its socket.
func toJournal(f any, getenv func(string) string) bool {
	file, ok := f.(*os.File)
	if !ok || getenv("JOURNAL_STREAM") == "" {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	at, ok := info.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", at.Dev, at.Ino) == getenv("JOURNAL_STREAM")
}
