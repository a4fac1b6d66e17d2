package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Retry says when a failed run is tried again, in a new container.
type Retry struct {
	Max     int           // attempts after the first, at most
	Delay   time.Duration // before the second attempt; doubles with each
	Reasons []string      // of results; without Reasons and Codes: exit, oom and timeout
	Codes   []int         // exit codes
}

const (
	defaultDelay = 10 * time.Second
	maxDelay     = 24 * time.Hour
	maxAgain     = 100 // the highest Max that a message may ask for

	// MaxAttempt is the highest number that an attempt of a job can have.
	MaxAttempt = 1 + maxAgain
)

// delays are the times that a job can wait for its next attempt: other times are rounded up, to at most the last. The broker
// has a queue for each delay in use, so publishers must not choose how many there are.
var delays = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, maxDelay,
}

// RetryReasons are the reasons to fail that another attempt may not have. The first three are the default of Reasons.
var RetryReasons = []string{event.ReasonExit, event.ReasonOOM, event.ReasonTimeout, event.ReasonKilled}

var retryKeys = []key[Retry]{
	numberKey("Max", "how often", func(r *Retry) *int { return &r.Max }, parseInt[int](1, maxAgain)),
	{name: "Delay", form: formText, set: func(r *Retry, v []string) (err error) {
		if r.Delay, err = parseSpan(v[0]); err == nil && r.Delay > maxDelay {
			err = fmt.Errorf("%v is more than %v", r.Delay, maxDelay)
		}
		return err
	}},
	{name: "On", form: formOther, decode: decodeRetryOn},
}

func decodeRetry(r *Run, v json.RawMessage) error {
	members, err := object(v)
	if err != nil {
		return err
	}
	r.Retry = &Retry{Delay: defaultDelay}
	if err := setKeys(r.Retry, "", members, retryKeys, func(name string) error {
		return unknownOption(name, "Retry", nil, keyNames(retryKeys))
	}); err != nil {
		return err
	}
	if r.Retry.Max == 0 {
		return errors.New(`key "Max" is missing; it says how often to try again`)
	}
	return nil
}

func decodeRetryOn(r *Retry, v json.RawMessage) error {
	if kind(v) != "an array" {
		return wrongKind(`an array of reasons and exit codes, such as ["timeout", 75]`, v)
	}
	items := array(v)
	if len(items) == 0 {
		return errors.New("expected at least one reason or exit code; leave it out for " + flagval.List(RetryReasons[:3], "and"))
	}
	for i, item := range items {
		var err error
		switch kind(item) {
		case "a number":
			var code int
			if code, err = strconv.Atoi(string(item)); err != nil || code < 1 || code > 255 {
				err = fmt.Errorf("expected an exit code from 1 to 255, got %s", flagval.Quote(string(item)))
			}
			r.Codes = append(r.Codes, code)
		case "a string":
			var reason string
			if reason, err = unquote(item); err == nil {
				err = oneOf(RetryReasons...)(reason)
			}
			r.Reasons = append(r.Reasons, reason)
		default:
			err = wrongKind("a reason or an exit code", item)
		}
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	return nil
}

// DelayAfter returns how long to wait after that attempt.
func (r *Retry) DelayAfter(attempt int) time.Duration {
	d := r.Delay
	for ; attempt > 1 && d < maxDelay; attempt-- {
		d *= 2
	}
	i, _ := slices.BinarySearch(delays, d)
	return delays[min(i, len(delays)-1)]
}
