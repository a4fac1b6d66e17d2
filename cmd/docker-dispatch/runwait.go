package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// waitLine is one line on a terminal that tells what is being waited for, until there is something to see.
type waitLine struct {
	mu    sync.Mutex
	w     io.Writer // nil: there is no terminal, or the line is over; guarded by mu
	shown bool      // guarded by mu
	text  string    // what is waited for; guarded by mu
}

// mostStatus is the longest line. One that wraps is not cleared.
const mostStatus = 78

// show replaces the line.
func (s *waitLine) show(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf(format, args...)
	s.put(s.text)
}

// interrupt replaces the line until resume.
func (s *waitLine) interrupt(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(text)
}

// resume shows again what is waited for.
func (s *waitLine) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.text)
}

// put writes the line. The caller holds mu.
func (s *waitLine) put(text string) {
	if s.w == nil {
		return
	}
	text = printable(text)
	// Not in the last column either, where some terminals wrap already. No character has more columns than bytes.
	if most := min(mostStatus, columns(s.w)-1); len(text) > most {
		text = strings.ToValidUTF8(text[:max(0, most-3)], "") + "..."[:min(max(0, most), 3)]
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
