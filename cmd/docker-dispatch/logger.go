package main

import (
	"io"
	"log/slog"
)

func (s *settings) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{}
	if s.verbose {
		o.Level = slog.LevelDebug
	}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
