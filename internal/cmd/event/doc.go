// Package event is what is told of jobs: that a container has started, a piece of its output, and the result, with
// their JSON, as --format json prints it and as it is published. Begin with [Result].
//
// Which of them are sent where is decided elsewhere: internal/cmd reports them, cmd/docker-dispatch prints them, and
// internal/amqpsrc publishes them.
package event
