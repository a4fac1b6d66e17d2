package wire

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A Reporter logs the outages of a connection: each kind of error once per outage, and the end of the outage.
type Reporter struct {
	Log        *slog.Logger
	Lost, Back string // messages for an error and for the end of an outage
	Second     bool   // another connection to the same broker logs that the broker is away

	mu    sync.Mutex
	fault error // the last error of this outage; nil: there is no outage
	well  bool  // Well was called
	down  bool
	told  bool            // this outage was logged
	known map[string]bool // kinds of the errors of this outage
}

// Fail logs an error as a warning. If this outage has logged its kind before, the level is debug.
func (r *Reporter) Fail(err error) { r.FailAt(slog.LevelWarn, err) }

// FailAt is Fail with another level than warning.
func (r *Reporter) FailAt(level slog.Level, err error) {
	key := kindOf(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down, r.fault = true, err
	if r.known[key] || r.Second && key == away {
		level = slog.LevelDebug
	} else {
		r.told = true
	}
	if r.known == nil {
		r.known = make(map[string]bool)
	}
	r.known[key] = true
	args := []any{"error", err}
	msg := r.Lost
	if ms, ok := ackTimedOut(err); ok {
		msg = "the broker requeued the deliveries because an ack took too long, reconnecting"
		args = append(args, "timeout_ms", ms, "hint", "a job ran longer than the broker waits for an ack; its container "+
			"goes on. Raise consumer_timeout on the broker above your longest job")
	}
	switch {
	case errors.Is(err, ErrNoQueue), errors.Is(err, ErrForbidden), errors.Is(err, ErrNoDeadLetter), errors.Is(err, ErrStream), errors.Is(err, ErrCancelled):
		msg = "queue unavailable, waiting"
	case errors.Is(err, ErrLogin), errors.Is(err, ErrVhost):
		msg = "broker refuses the login, waiting"
	case errors.Is(err, ErrNotAMQP):
		msg = "no broker at the address, waiting"
	case Refused(err) && msg == r.Lost:
		msg = "broker refuses, waiting"
	}
	r.Log.Log(context.Background(), level, msg, args...)
}

// Well ends an outage. It logs Back if the outage was logged.
func (r *Reporter) Well() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down && r.told {
		r.Log.Info(r.Back)
	}
	r.down, r.told, r.known, r.fault, r.well = false, false, nil, nil, true
}

// ErrNotConnected is the fault of a connection that was not made yet.
var ErrNotConnected = errors.New("not connected yet")

// Fault returns the last error of an outage that has not ended, or ErrNotConnected before the first connection; nil: all is well.
func (r *Reporter) Fault() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil && !r.well {
		return ErrNotConnected
	}
	return r.fault
}

// away is the kind of all errors that a stopped broker causes.
const away = "away"

// kindOf returns the kind of an error. Each kind is worth one log line. All errors of a stopping broker are of one
// kind: its notice, the end of the connection, the failed dials. Other errors that differ only in numbers, such as
// our port, are of one kind.
func kindOf(err error) string {
	text := err.Error()
	if Code(err) == amqp.ConnectionForced {
		return away
	}
	for _, s := range []string{"EOF", "connection reset", "connection refused", "broken pipe", "i/o timeout", "closed network connection", ErrClosed.Error(), amqp.ErrClosed.Reason} {
		if strings.Contains(text, s) {
			return away
		}
	}
	return strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return -1
		}
		return c
	}, text)
}
