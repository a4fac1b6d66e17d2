package message

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Logs shows a container's output, as `docker logs` does.
type Logs struct {
	Ref
	Follow     bool   // until the container has exited
	Since      string // a time, or how long ago; empty: from the beginning
	Until      string // the same; empty: to the end
	Tail       string // number of lines, or "all"
	Timestamps bool
	Details    bool
	Stream     bool // see Run
}

var (
	logsKeys    = []key[Logs]{streamKey(func(l *Logs) *bool { return &l.Stream })}
	logsOptions = []key[Logs]{
		boolKey("Follow", "until the container ends", func(l *Logs) *bool { return &l.Follow }),
		textKey("Since", "from that time (`2026-01-02T15:04:05Z`, seconds since 1970), or from so long ago (`42m`)", func(l *Logs) *string { return &l.Since }, checkLogTime),
		textKey("Until", "the same for the end", func(l *Logs) *string { return &l.Until }, checkLogTime),
		{name: "Tail", form: formNumber, help: "so many last lines, or `all`", set: func(l *Logs, v []string) error {
			l.Tail = v[0]
			if _, err := strconv.ParseUint(l.Tail, 10, 31); err != nil && l.Tail != "all" {
				return fmt.Errorf("expected a number of lines or \"all\", got %s", flagval.Quote(l.Tail))
			}
			return nil
		}},
		boolKey("Timestamps", "each line begins with its time", func(l *Logs) *bool { return &l.Timestamps }),
		boolKey("Details", "and with what the log driver adds", func(l *Logs) *bool { return &l.Details }),
	}
)

// checkLogTime refuses a text that LogTime cannot read.
func checkLogTime(s string) error {
	if LogTime(s, time.Now()).IsZero() {
		return fmt.Errorf("expected a time such as \"2026-01-02T15:04:05Z\", seconds since 1970, or how long ago, such as \"42m\"; got %s", flagval.Quote(s))
	}
	return nil
}

// LogTime reads a time as `docker logs` does: a point in time, seconds since 1970, or a duration before now. A point in time
// may have a zone, and is exact to a day or finer, down to nanoseconds. For any other text LogTime returns the zero time.
func LogTime(s string, now time.Time) time.Time {
	if s == "" {
		return time.Time{}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return at
		}
	}
	seconds, nanos, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(nanos) > 9 {
		return time.Time{}
	}
	frac, err := strconv.ParseUint((nanos + "000000000")[:9], 10, 32)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, int64(frac))
}
