package main

import (
	"io"
	"sync/atomic"
	"time"
)

// A stuckWriter passes writes on, and knows since when one has been under way: a pipe whose reader does not read blocks whoever
// writes to it, and so the jobs.
type stuckWriter struct {
	w     io.Writer
	since atomic.Int64 // when the present write began; Unix time in nanoseconds; 0: none is under way
}

// Write is called by one goroutine at a time, as slog and out do.
func (s *stuckWriter) Write(p []byte) (int, error) {
	s.since.Store(time.Now().UnixNano())
	defer s.since.Store(0)
	return s.w.Write(p)
}

// stuckFor returns how long the present write has been under way.
func (s *stuckWriter) stuckFor() time.Duration {
	if since := s.since.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}
