// Package joblog writes the lines of the jobs that ended. If there are more than a person can read, it writes their sums instead.
package joblog

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// sumOver is the time for which the lines of many jobs are summed to one.
	sumOver = 10 * time.Second
	// mostLines is how many jobs' lines are written in that time before they are summed, and how many of those that
	// failed after that.
	mostLines = 20
)

// A Log decides which lines are written. At level debug all are.
type Log struct {
	To *slog.Logger

	mu     sync.Mutex
	timer  *time.Timer    // ends the present time of sumOver; nil: there is none
	lines  int            // of this time, those that were written
	warned int            // of these, WARN lines beyond mostLines
	hidden map[string]int // the keys of this time's lines, and how many lines of each were not written
	worst  slog.Level     // of these
}

// Takes reports whether the caller must write a job's line. At level debug that is each line. Otherwise, in each sumOver, it
// is the first mostLines lines, the first line of each key, and up to mostLines more of level WARN. Takes counts each other
// line under its key, for the sum.
func (l *Log) Takes(level slog.Level, key string) bool {
	if l.To.Enabled(context.Background(), slog.LevelDebug) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(sumOver, l.sum)
		l.hidden, l.worst = make(map[string]int), slog.LevelInfo
	}
	_, seen := l.hidden[key]
	if !seen {
		l.hidden[key] = 0
	}
	switch {
	case l.lines < mostLines:
		l.lines++
		return true
	case !seen:
		return true
	case level >= slog.LevelWarn && l.warned < mostLines:
		l.warned++
		return true
	}
	l.hidden[key]++
	l.worst = max(l.worst, level)
	return false
}

// sum ends the present time, and writes its sums.
func (l *Log) sum() {
	l.mu.Lock()
	hidden, worst := l.hidden, l.worst
	l.lines, l.warned, l.timer, l.hidden = 0, 0, nil, nil
	l.mu.Unlock()
	var args []any
	for _, k := range slices.Sorted(maps.Keys(hidden)) {
		if hidden[k] > 0 {
			args = append(args, k, hidden[k])
		}
	}
	if args == nil {
		return
	}
	l.To.Log(context.Background(), worst, "more jobs done in these 10 s, summed; -v logs each", args...)
}

// Close writes the sums that are left, and stops the timer.
func (l *Log) Close() {
	l.mu.Lock()
	timer := l.timer
	l.mu.Unlock()
	if timer != nil && timer.Stop() {
		l.sum()
	}
}

// Line returns what the line of an ended job says.
func Line(r *event.Result, j status.Job) (args []any) {
	text := func(key, value string) {
		if value != "" {
			args = append(args, key, value)
		}
	}
	text("command", r.Command)
	text("status", string(r.Status))
	text("reason", r.Reason)
	text("container", r.ContainerName)
	if r.ExitCode != nil {
		args = append(args, "exit", *r.ExitCode)
	}
	if j.Started != nil {
		args = append(args, "took", max(0, j.Ended.Sub(*j.Started)).Round(time.Millisecond)) // an engine may tell an end before the start
	}
	text("error", r.Error)
	if r.Incomplete {
		args = append(args, "incomplete", true)
	}
	return args
}
