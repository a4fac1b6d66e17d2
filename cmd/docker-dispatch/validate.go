package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// validate refuses values that do not go together, or are out of range.
func (s *settings) validate() error {
	if s.amqpURL != "-" && s.queue == "" {
		return ui.UsageError("no queue given", "name the queue to take messages from: docker-dispatch -q NAME ..., or DOCKER_DISPATCH_QUEUE=NAME (the service reads /etc/default/docker-dispatch); or give - as the broker address to read messages from stdin")
	}
	if s.amqpURL == "-" {
		s.queue = "stdin"
		s.control = ""
		s.sweepAfter = 0 // containers of other processes that read a stdin look the same
		for _, option := range []string{"queue", "control", "sweep-after"} {
			s.options.SetFrom(option, "messages come from stdin")
		}
	}
	const most = 255 - len(".retry.86400") // the longest name made from the queue's
	if len(s.queue) > most {
		return ui.UsageError(fmt.Sprintf("--queue has %d bytes; at most %d are taken, so that there is room for the names of its further queues", len(s.queue), most), "docker-dispatch -h lists the options")
	}
	switch {
	case s.concurrency < 1:
		return ui.UsageError(fmt.Sprintf("--concurrency %d: at least one container must be allowed to run", s.concurrency), "leave it out for 16")
	case s.ahead < 0:
		return ui.UsageError(fmt.Sprintf("--ahead %d: it cannot be negative", s.ahead), "0 takes no message before it can run")
	case s.concurrency > math.MaxUint16 || s.concurrency+s.ahead > math.MaxUint16:
		return ui.UsageError(fmt.Sprintf("--concurrency %d and --ahead %d together are over %d, the most that a broker delivers at a time", s.concurrency, s.ahead, math.MaxUint16), "give smaller ones")
	case s.drain < 0:
		return ui.UsageError(fmt.Sprintf("--drain %v: it cannot be negative", s.drain), "0s leaves running containers at once")
	case s.sweepAfter < 0:
		return ui.UsageError(fmt.Sprintf("--sweep-after %v: it cannot be negative", s.sweepAfter), "0s sweeps nothing")
	case s.timeout < 0:
		return ui.UsageError(fmt.Sprintf("--timeout %v: it cannot be negative", s.timeout), "leave it out for no limit")
	case s.maxMessage < 1:
		return ui.UsageError("--max-message must be at least 1 byte", "leave it out for 1m")
	}
	for _, o := range []struct{ option, value string }{{"--queue", s.queue}, {"--dead-letter", s.deadLetter}, {"--control", s.control}, {"--results", s.results}} {
		if strings.HasPrefix(o.value, "amq.rabbitmq.reply-to") {
			return ui.UsageError(fmt.Sprintf("%s %s: this is RabbitMQ's direct reply-to, not a queue; messages sent to it would be lost", o.option, o.value), "name a queue")
		}
	}
	if s.minFree > 0 && s.amqpURL == "-" {
		return ui.UsageError("--min-free: messages from stdin cannot wait in a queue", "leave it out")
	}
	if s.minFree > 0 && !s.dockerHost.Local() {
		return ui.UsageError(fmt.Sprintf("--min-free %d: the engine at %s is on another host, whose disk cannot be looked at", s.minFree, s.dockerHost), "leave it out, or run the daemon on the engine's host")
	}
	if s.deadLetter != "" && s.deadLetter == s.queue && s.amqpURL != "-" {
		return ui.UsageError(fmt.Sprintf("--dead-letter %s is the queue itself; what cannot be carried out would go round for ever", s.queue), "name another queue, or none")
	}
	if s.control != "" && (s.control == s.queue || s.control == s.deadLetter) {
		return ui.UsageError(fmt.Sprintf("--control %s is a queue that has another use here", s.control), "name another queue, or none")
	}
	if s.results != "" && (s.results == s.queue || s.results == s.deadLetter || s.results == s.control) {
		return ui.UsageError(fmt.Sprintf("--results %s is a queue that has another use here; the results would be taken for messages", s.results), "name another queue")
	}
	for _, o := range []struct{ option, value string }{{"--dead-letter", s.deadLetter}, {"--control", s.control}, {"--results", s.results}} {
		if strings.HasPrefix(o.value, s.queue+".retry.") {
			return ui.UsageError(fmt.Sprintf("%s %s is a queue in which messages of %s may wait for their next attempt", o.option, o.value, s.queue), "name another queue")
		}
	}
	return nil
}
