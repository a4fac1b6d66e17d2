//go:build !linux

package main

import "errors"

// inMemory reports whether a folder is on a file system in memory.
func inMemory(string) bool { return false }

// freeBytes returns how many bytes the disk of a folder has free.
func freeBytes(string) (int64, error) { return 0, errors.New("only known on Linux") }
