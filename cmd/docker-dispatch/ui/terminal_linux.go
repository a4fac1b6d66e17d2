package ui

import "syscall"

// getTermios is the request for a terminal's settings. It fails on any other device.
const getTermios = syscall.TCGETS
