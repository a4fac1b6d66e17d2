package cmd

import "github.com/mutaphore/docker-dispatch/internal/cmd/event"

// A Reporter receives what jobs produce, to show it. Its methods are called from many goroutines.
type Reporter interface {
	// Pull shows how far the pull of a job's image has come. A slow call makes later events rarer, and does not slow the pull.
	Pull(event.Pull)

	Started(event.Started)

	// Output shows a piece of output. A slow call slows the container that wrote the piece. After an error the piece is
	// lost, and the result is marked Incomplete.
	Output(event.Output) error

	// Result shows how a job ended. After an error it will never be shown: then the job is left unsettled, for a later
	// process.
	Result(event.Result) error
}
