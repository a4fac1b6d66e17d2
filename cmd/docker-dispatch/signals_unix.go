//go:build unix

package main

import "syscall"

// statusSignal asks for the status in the log.
const statusSignal = syscall.SIGUSR1
