package message

import (
	"testing"
	"time"
)

func TestLogTime(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]string{
		"42m": "2026-03-04T04:24:07Z", "1h30m": "2026-03-04T03:36:07Z", "2026-01-02T15:04:05Z": "2026-01-02T15:04:05Z",
		"2026-01-02T15:04:05.5Z": "2026-01-02T15:04:05.5Z", "2026-01-02T15:04:05+01:00": "2026-01-02T14:04:05Z",
		"1767366245": "2026-01-02T15:04:05Z", "1767366245.25": "2026-01-02T15:04:05.25Z",
	} {
		if got := LogTime(text, now).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"2026-01-02T15:04:05", "2026-01-02T15:04", "2026-01-02"} {
		if LogTime(text, now).IsZero() {
			t.Errorf("%s is taken for no time", text)
		}
	}
	for _, text := range []string{"yesterday", "1.2.3", "-", "2026-13-01", "1.1234567890"} {
		if err := checkLogTime(text); err == nil {
			t.Errorf("%s is taken for a time", text)
		}
	}
}
