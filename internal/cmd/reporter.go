package cmd

import "github.com/mutaphore/docker-dispatch/internal/cmd/event"

// A Reporter receives what jobs produce, to show it. Its methods are called from many goroutines.
type Reporter interface {
	Started(event.Started)

	// Output shows a piece of output. A slow one slows the container that wrote it. An error says that
	// the piece is lost, and the result will be marked for it.
	Output(event.Output) error

	// Result shows how a job ended. An error says that nobody will ever see it: then the job is left
	// unsettled, for a later process.
	Result(event.Result) error
}
