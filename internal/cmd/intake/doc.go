// Package intake is the interface between a source of messages and the job engine. A source hands over a [Job],
// one delivery of a message with what can be done with it, and takes nothing while a [Gate] is closed.
//
// Sources are internal/amqpsrc and cmd/docker-dispatch/stdin.go; the engine is internal/cmd.
package intake
