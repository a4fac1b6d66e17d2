package cmd

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

// A jobLog writes the line that each job has at its end. If there are more than a person can read, it writes their sums
// instead. At level debug all are written.
type jobLog struct {
	log *slog.Logger

	mu     sync.Mutex
	timer  *time.Timer    // ends the present time of sumOver; nil: there is none
	lines  int            // of this time, those that were written
	warned int            // of these, WARN lines beyond mostLines
	seen   map[string]int // lines of this time by their key
	hidden map[string]int // of these, those that were not written
	worst  slog.Level     // of these
}

// takes reports whether a job's line is to be written: at level debug each, else the first ones, the first of its key, and some
// that failed. Otherwise it has counted the line as key.
func (l *jobLog) takes(level slog.Level, key string) bool {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(sumOver, l.sum)
		l.seen, l.hidden, l.worst = make(map[string]int), make(map[string]int), slog.LevelInfo
	}
	l.seen[key]++
	switch {
	case l.lines < mostLines:
		l.lines++
		return true
	case l.seen[key] == 1:
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
func (l *jobLog) sum() {
	l.mu.Lock()
	hidden, worst := l.hidden, l.worst
	l.lines, l.warned, l.timer, l.hidden = 0, 0, nil, nil
	l.mu.Unlock()
	if len(hidden) == 0 {
		return
	}
	var args []any
	for _, k := range slices.Sorted(maps.Keys(hidden)) {
		args = append(args, k, hidden[k])
	}
	l.log.Log(context.Background(), worst, "more jobs done in these 10 s, summed; -v logs each", args...)
}

// close writes the sums that are left, and stops the timer.
func (l *jobLog) close() {
	l.mu.Lock()
	timer := l.timer
	l.mu.Unlock()
	if timer != nil && timer.Stop() {
		l.sum()
	}
}

// lineOf returns what the line of an ended job says.
func lineOf(r *event.Result, j status.Job) (args []any) {
	if r.Command != "" {
		args = append(args, "command", r.Command)
	}
	args = append(args, "status", r.Status)
	if r.Reason != "" {
		args = append(args, "reason", r.Reason)
	}
	if r.ContainerName != "" {
		args = append(args, "container", r.ContainerName)
	}
	if r.ExitCode != nil {
		args = append(args, "exit", *r.ExitCode)
	}
	if j.Started != nil {
		args = append(args, "took", j.Ended.Sub(*j.Started).Round(time.Millisecond))
	}
	if r.Error != "" {
		args = append(args, "error", r.Error)
	}
	if r.Incomplete {
		args = append(args, "incomplete", true)
	}
	return args
}
