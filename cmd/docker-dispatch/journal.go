package main

import (
	"bytes"
	"io"
	"log/slog"
)

// A journalWriter puts the priority before each line, as systemd's journal wants it: see sd-daemon(3).
type journalWriter struct{ w io.Writer }

// newJournalHandler returns a handler that writes records of that level and above to w. They have no time, which the journal
// knows.
func newJournalHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewTextHandler(journalWriter{w}, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
}

// Write writes a line, which begins with its level.
func (j journalWriter) Write(line []byte) (int, error) {
	priority := "<7>"
	for _, p := range []struct{ level, priority string }{{"level=ERROR", "<3>"}, {"level=WARN", "<4>"}, {"level=INFO", "<6>"}} {
		if bytes.HasPrefix(line, []byte(p.level)) {
			priority = p.priority
		}
	}
	if _, err := j.w.Write(append([]byte(priority), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
