package main

import "syscall"

// statusSignal is never sent: Windows has no such signal.
const statusSignal = syscall.Signal(-1)
