package brokertest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Logbook keeps what is logged, and lets a test wait for it.
type Logbook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	added chan struct{}
}

// NewLogbook returns an empty Logbook, for a slog handler to write to.
func NewLogbook() *Logbook { return &Logbook{added: make(chan struct{})} }

// Write adds p to the log, and wakes Wait.
func (l *Logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.added)
	l.added = make(chan struct{})
	return l.text.Write(p)
}

func (l *Logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Count returns how often the log contains s.
func (l *Logbook) Count(s string) int { return strings.Count(l.String(), s) }

// Wait waits until the log contains s.
func (l *Logbook) Wait(t testing.TB, s string) {
	t.Helper()
	timeout := time.After(Patience)
	for {
		l.mu.Lock()
		text, added := l.text.String(), l.added
		l.mu.Unlock()
		if strings.Contains(text, s) {
			return
		}
		select {
		case <-added:
		case <-timeout:
			t.Fatalf("never logged: %s\n%s", s, text)
		}
	}
}
