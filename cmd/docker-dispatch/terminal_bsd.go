//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package main

import "syscall"

// getTermios asks a device for its settings, which only a terminal has.
const getTermios = syscall.TIOCGETA
