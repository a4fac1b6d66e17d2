package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// A statusLine is one line on a terminal that tells how far something is, and vanishes in the end. The zero value
// shows nothing.
type statusLine struct {
	mu    sync.Mutex
	w     io.Writer // nil: there is no terminal, or the line is over; guarded by mu
	shown bool      // guarded by mu
	text  string    // what was shown last; guarded by mu
}

// mostStatus is the longest line. One that wraps is not cleared.
const mostStatus = 78

// on has the line shown on w, where that is a terminal, and tells whether it is.
func (s *statusLine) on(w io.Writer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isTerminal(w) {
		s.w = w
	}
	return s.w != nil
}

// show replaces the line.
func (s *statusLine) show(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf(format, args...)
	s.put(s.text)
}

// interrupt replaces the line until resume.
func (s *statusLine) interrupt(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(text)
}

// resume shows again what was shown before.
func (s *statusLine) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.text)
}

// put writes the line. The caller holds mu.
func (s *statusLine) put(text string) {
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
func (s *statusLine) end() {
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
	line *statusLine
}

// Write implements io.Writer.
func (b behindLine) Write(p []byte) (int, error) {
	b.line.end()
	return b.Writer.Write(p)
}
