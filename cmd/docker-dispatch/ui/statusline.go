package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// A StatusLine is one line on a terminal that shows progress, and is erased at the end. The zero value shows
// nothing.
type StatusLine struct {
	mu    sync.Mutex
	w     io.Writer // nil: there is no terminal, or the line has ended; guarded by mu
	shown bool      // guarded by mu
	text  string    // what show was given last; guarded by mu
}

// mostStatus is the longest line. A line that wraps could not be erased.
const mostStatus = 78

// On shows the line on w if that is a terminal. It reports whether the line is shown.
func (s *StatusLine) On(w io.Writer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if IsTerminal(w) {
		s.w = w
	}
	return s.w != nil
}

// Show replaces the line.
func (s *StatusLine) Show(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf(format, args...)
	s.put(s.text)
}

// Print writes a line of text to w, which stays. It erases the status line until the next show.
func (s *StatusLine) Print(w io.Writer, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
	fmt.Fprintln(w, PlainLine(text))
}

// Interrupt replaces the line until resume.
func (s *StatusLine) Interrupt(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(text)
}

// Resume shows the text of the last show again.
func (s *StatusLine) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(s.text)
}

// put writes the line. The caller holds mu.
func (s *StatusLine) put(text string) {
	if s.w == nil {
		return
	}
	text = Printable(text)
	// The last column stays free, because some terminals wrap there. No character has more columns than bytes.
	columns, _ := Screen(s.w)
	if most := min(mostStatus, columns-1); len(text) > most {
		text = strings.ToValidUTF8(text[:max(0, most-3)], "") + "..."[:min(max(0, most), 3)]
	}
	fmt.Fprintf(s.w, "\r\x1b[K%s", text)
	s.shown = true
}

// End erases the line for good.
func (s *StatusLine) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
	s.w, s.shown = nil, false
}

// Before is a writer to w that ends the line before it writes.
func (s *StatusLine) Before(w io.Writer) io.Writer { return behindLine{w, s} }

type behindLine struct {
	io.Writer
	line *StatusLine
}

func (b behindLine) Write(p []byte) (int, error) {
	b.line.End()
	return b.Writer.Write(p)
}
