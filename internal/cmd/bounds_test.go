package cmd

import "time"

// The bounds of package container, as its comments have them. Tests hold it to these.
const (
	maxRetries    = 5
	creating      = 2 * time.Minute
	removalTakes  = 2 * time.Minute
	lookEvery     = 5 * time.Minute
	mostAfterExit = time.Minute
	execPoll      = 500 * time.Millisecond
	exitUnseen    = "the engine was down when the container ended, and does not know its exit code"
)
