package cmd

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// sumOver is the time for which the lines of many jobs are summed to one.
	sumOver = 10 * time.Second
	// mostLines is how many jobs' lines are written in that time before they are summed, and how many of those that
	// failed after that.
	mostLines = 20
)

// A jobLog writes the lines that each job has, of its start and its end. If there are more than a person can read, it writes
// their sums instead. At level debug all are written.
type jobLog struct {
	log *slog.Logger

	mu     sync.Mutex
	end    time.Time // of the present time of sumOver; zero: none, and no timer runs
	timer  *time.Timer
	lines  int  // written in this time
	warned int  // of those, WARN lines beyond mostLines
	busy   bool // the time before had more than mostLines
	sums   map[string]int
	keys   []string // of sums, in their order of appearance
}

// say writes a job's line, or counts it as key.
func (l *jobLog) say(log *slog.Logger, level slog.Level, key, msg string, args ...any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, slog.LevelDebug) || l.takes(level, key) {
		log.Log(ctx, level, msg, args...)
	}
}

// takes reports whether a line is to be written. Otherwise it has counted it.
func (l *jobLog) takes(level slog.Level, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(sumOver, l.sum)
	}
	l.lines++
	if !l.busy && l.lines <= mostLines {
		return true
	}
	if level >= slog.LevelWarn && l.warned < mostLines {
		l.warned++
		return true
	}
	if l.sums == nil {
		l.sums = make(map[string]int)
	}
	if l.sums[key] == 0 {
		l.keys = append(l.keys, key)
	}
	l.sums[key]++
	return false
}

// sum writes the sums of the time that has passed, and begins the next one if there were any.
func (l *jobLog) sum() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		return
	}
	slices.Sort(l.keys)
	var args []any
	for _, k := range l.keys {
		args = append(args, k, l.sums[k])
	}
	if len(args) > 0 {
		l.log.Info("many jobs: their lines of the last 10 s, summed; -v logs each", args...)
	}
	l.busy = l.lines > mostLines
	l.lines, l.warned, l.sums, l.keys, l.timer = 0, 0, nil, nil, nil
	if l.busy {
		l.timer = time.AfterFunc(sumOver, l.sum)
	}
}

// close writes the sums that are left, and stops the timer.
func (l *jobLog) close() {
	l.mu.Lock()
	timer := l.timer
	l.mu.Unlock()
	if timer != nil {
		timer.Stop()
		l.sum()
	}
}
