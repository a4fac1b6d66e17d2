package ui

import "time"

// Exit codes.
const (
	ExitClean  = 0 // stopped as asked; with messages from stdin: all succeeded
	ExitFailed = 1 // failed at run time, or forced to stop
	ExitUsage  = 2 // wrong usage or configuration: a restart does not help
)

// SameSignal is the time within which two signals count as one. A terminal and timeout(1) signal both
// the process and its group.
const SameSignal = 250 * time.Millisecond
