package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
)

// hostLabels are the values of --host-label, by key.
type hostLabels map[string]string

func (l *hostLabels) String() string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(*l)) {
		all = append(all, key+"="+(*l)[key])
	}
	return strings.Join(all, ",")
}

// Set adds labels: KEY=VALUE, and more after commas, as the variable needs.
func (l *hostLabels) Set(text string) error {
	if *l == nil {
		*l = make(hostLabels)
	}
	const keyCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	for label := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key == "" || strings.Trim(key, keyCharacters) != "" || len(value) > 255 || ui.PlainLine(value) != value {
			return errors.New("expected KEY=VALUE: a key of letters, digits, _, . and -, a value of at most 255 bytes without a comma")
		}
		(*l)[key] = value
	}
	return nil
}

// hostRefusals are the rules for --host, and for the options that need it.
func (s *settings) hostRefusals() []refusal {
	named := s.hostName != ""
	const need = "they are for a queue that several hosts share: give --host NAME too"
	return []refusal{
		{named && !claims.ValidHost(s.hostName),
			fmt.Sprintf("--host %q is no name of a host", s.hostName), "1 to 63 letters, digits, _, . and -, the first a letter or digit, and no .control, .lock or .seen at the end; the engine's address is an argument, or DOCKER_HOST"},
		{named && s.amqpURL == "-", fmt.Sprintf("--host %s: no other host reads messages from this stdin", s.hostName), "leave it out"},
		{named && len(claims.ControlQueue(s.queue, s.hostName)) > 255, fmt.Sprintf("--queue and --host have %d bytes together; their further queues have names that are too long", len(s.queue)+len(s.hostName)), "name a shorter queue, or a shorter host"},
		{named && s.deadLetter == "" && s.amqpURL != "-", fmt.Sprintf("--host %s with --dead-letter none: a message that is rejected from the queue of a host goes back to %s", s.hostName, s.queue), "leave out --dead-letter, or name a queue"},
		{!named && len(s.hostLabels) > 0, "--host-label without --host", need},
		{!named && s.removeStale, "--remove-stale without --host", need},
	}
}
