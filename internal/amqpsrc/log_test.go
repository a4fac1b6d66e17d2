package amqpsrc

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// A logbook keeps what is logged, and lets a test wait for it.
type logbook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	added chan struct{}
}

func newLogbook() *logbook { return &logbook{added: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.added)
	l.added = make(chan struct{})
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) count(s string) int { return strings.Count(l.String(), s) }

func (l *logbook) wait(t testing.TB, s string) {
	t.Helper()
	timeout := time.After(brokertest.Patience)
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
