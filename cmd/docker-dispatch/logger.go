package main

import (
	"io"
	"log/slog"
)

// logger returns the log to w. journal says that systemd's journal reads it.
func (s *settings) logger(w io.Writer, journal bool) *slog.Logger {
	o := &slog.HandlerOptions{}
	if s.verbose {
		o.Level = slog.LevelDebug
	}
	switch {
	case s.logFormat == "json":
		return slog.New(slog.NewJSONHandler(w, o))
	case journal:
		return slog.New(newJournalHandler(w, o.Level))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
