package wire

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A Reporter logs what becomes of a connection once a change: what went wrong the first time that it
// goes wrong this way, and that it is well again.
type Reporter struct {
	Log        *slog.Logger
	Lost, Back string // what is logged
	Second     bool   // another connection to the same broker says when that is away

	mu    sync.Mutex
	down  bool
	told  bool            // this outage was logged
	known map[string]bool // kinds of the errors of this outage
}

// Fail reports an error, at most once an outage.
func (r *Reporter) Fail(err error) { r.FailAt(slog.LevelWarn, err) }

// FailAt is Fail with the level at which an outage is told.
func (r *Reporter) FailAt(level slog.Level, err error) {
	key := kindOf(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = true
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
		msg = "broker took the deliveries back, reconnecting"
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

// Well reports that the connection works, if it did not before.
func (r *Reporter) Well() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down && r.told {
		r.Log.Info(r.Back)
	}
	r.down, r.told, r.known = false, false, nil
}

// away is the kind of all errors that a broker which is stopped causes.
const away = "away"

// kindOf tells errors apart as far as a person wants to read of them. All the ways in which a broker
// that stops shows are one: it says so, then the connection ends, then none can be made. Of others
// numbers make no difference, such as our port.
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
