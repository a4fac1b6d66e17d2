package main

import (
	"fmt"
	"io"
	"sync"
)

// waitLine is one line on a terminal that tells what is being waited for, until there is something to see.
type waitLine struct {
	mu    sync.Mutex
	w     io.Writer // nil: there is no terminal, or the line is over; guarded by mu
	shown bool      // guarded by mu
}

// mostStatus keeps the line shorter than any terminal: one that wraps is not cleared.
const mostStatus = 78

// show replaces the line.
func (s *waitLine) show(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		return
	}
	text := printable(fmt.Sprintf(format, args...))
	if len(text) > mostStatus {
		text = text[:mostStatus-3] + "..."
	}
	fmt.Fprintf(s.w, "\r\x1b[K%s", text)
	s.shown = true
}

// end takes the line away for good.
func (s *waitLine) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	s.w, s.shown = nil, false
}

// behindLine is where output goes that ends the line.
type behindLine struct {
	io.Writer
	line *waitLine
}

// Write implements io.Writer.
func (b behindLine) Write(p []byte) (int, error) {
	b.line.end()
	return b.Writer.Write(p)
}
