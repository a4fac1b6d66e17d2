// Package event has the events of jobs: the pull of its image, a container has started, a piece of its output, and the result.
// Their JSON is both published and printed with --format json. Begin with [Result].
//
// Other packages decide which events go where: internal/cmd and its package container report them, cmd/docker-dispatch prints
// them, and internal/amqpsrc publishes them.
package event
