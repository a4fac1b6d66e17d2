package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

// A journalHandler writes lines for systemd's journal: each begins with its priority, as sd-daemon(3) has it, and has no time,
// which the journal knows.
type journalHandler struct {
	slog.Handler // writes to line.buf
	line         *journalLine
}

// A journalLine is where a journalHandler and those made of it write.
type journalLine struct {
	mu  sync.Mutex
	w   io.Writer
	buf bytes.Buffer // guarded by mu
}

// newJournalHandler returns a handler that writes records of that level and above to w.
func newJournalHandler(w io.Writer, level slog.Leveler) slog.Handler {
	line := &journalLine{w: w}
	return journalHandler{slog.NewTextHandler(&line.buf, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}), line}
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	l := h.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
	l.buf.WriteString(priority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := l.w.Write(l.buf.Bytes())
	return err
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attrs), h.line}
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.line}
}

// priority returns a level as the journal reads it.
func priority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}
