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
	if s.hostName != "" && s.options.From("ahead") == "default" {
		s.ahead = 0 // a message that waits here could run on another host
		s.options.SetFrom("ahead", "--host")
	}
	const most = 255 - len(".retry.86400") // the longest name made from the queue's
	refusals := []refusal{
		{len(s.queue) > most, fmt.Sprintf("--queue has %d bytes; at most %d are taken, so that there is room for the names of its further queues", len(s.queue), most), s.options.Hint()},
		{s.concurrency < 1, fmt.Sprintf("--concurrency %d: at least one container must be allowed to run", s.concurrency), "leave it out for 16"},
		{s.ahead < 0, fmt.Sprintf("--ahead %d: it cannot be negative", s.ahead), "0 takes no message before it can run"},
		{s.concurrency > math.MaxUint16 || s.ahead > math.MaxUint16-s.concurrency, fmt.Sprintf("--concurrency %d and --ahead %d together are over %d, the most that a broker delivers at a time", s.concurrency, s.ahead, math.MaxUint16), "give smaller ones"},
		{s.drain < 0, fmt.Sprintf("--drain %v: it cannot be negative", s.drain), "0s leaves running containers at once"},
		{s.sweepAfter < 0, fmt.Sprintf("--sweep-after %v: it cannot be negative", s.sweepAfter), "0s sweeps nothing"},
		{s.timeout < 0, fmt.Sprintf("--timeout %v: it cannot be negative", s.timeout), "leave it out for no limit"},
		{s.maxMessage < 1, "--max-message must be at least 1 byte", "leave it out for 1m"},
	}
	type option struct{ name, value string }
	further := []option{{"--dead-letter", s.deadLetter}, {"--control", s.control}, {"--results", s.results}}
	for _, o := range append([]option{{"--queue", s.queue}}, further...) {
		refusals = append(refusals, refusal{strings.HasPrefix(o.value, "amq.rabbitmq.reply-to"), fmt.Sprintf("%s %s: this is RabbitMQ's direct reply-to, not a queue; messages sent to it would be lost", o.name, o.value), "name a queue"})
	}
	refusals = append(refusals,
		refusal{s.minFree > 0 && s.amqpURL == "-", "--min-free: messages from stdin cannot wait in a queue", "leave it out"},
		refusal{s.minFree > 0 && !s.dockerHost.Local(), fmt.Sprintf("--min-free %d: the engine at %s is on another host, whose disk cannot be looked at", s.minFree, s.dockerHost), "leave it out, or run the daemon on the engine's host"},
		refusal{s.deadLetter != "" && s.deadLetter == s.queue && s.amqpURL != "-", fmt.Sprintf("--dead-letter %s is the queue itself; what cannot be carried out would go round for ever", s.queue), "name another queue, or none"},
		refusal{s.control != "" && (s.control == s.queue || s.control == s.deadLetter), fmt.Sprintf("--control %s is a queue that has another use here", s.control), "name another queue, or none"},
		refusal{s.results != "" && (s.results == s.queue || s.results == s.deadLetter || s.results == s.control), fmt.Sprintf("--results %s is a queue that has another use here; the results would be taken for messages", s.results), "name another queue"},
	)
	for _, o := range further {
		refusals = append(refusals,
			refusal{strings.HasPrefix(o.value, s.queue+".retry."), fmt.Sprintf("%s %s is a queue in which messages of %s may wait for their next attempt", o.name, o.value, s.queue), "name another queue"},
			refusal{s.hostName != "" && (strings.HasPrefix(o.value, s.queue+".host.") || o.value == s.queue+".hosts"), fmt.Sprintf("%s %s is a queue that the hosts of %s use", o.name, o.value, s.queue), "name another queue"})
	}
	for _, r := range append(refusals, s.hostRefusals()...) {
		if r.applies {
			return ui.UsageError(r.message, r.hint)
		}
	}
	return nil
}

// A refusal is why a command line is refused, if it applies.
type refusal struct {
	applies       bool
	message, hint string
}
