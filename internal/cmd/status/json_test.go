package status

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// large is a status with more of everything than is sent.
func large() Status {
	long := strings.Repeat("é\x00", 1000)
	s := Status{Host: long, Queue: "q"}
	for range Most + 1 {
		s.Running.Jobs = append(s.Running.Jobs, Job{Job: long, Image: long, Error: long})
		s.Waiting.Jobs = append(s.Waiting.Jobs, Job{For: long})
		s.Failed = append(s.Failed, Job{Error: long})
		s.Conditions = append(s.Conditions, Condition{Reason: long})
		s.Outcomes = append(s.Outcomes, Outcome{Command: long})
	}
	s.Running.Count, s.Waiting.Count = len(s.Running.Jobs), len(s.Waiting.Jobs)
	return s
}

// TestEncode: the JSON is never larger than asked for, and the counts stay.
func TestEncode(t *testing.T) {
	for _, most := range []int{1 << 20, 600 << 10} {
		s := large()
		body := s.Encode(most)
		got, err := Decode(body)
		if err != nil || len(body) > most || len(body) < most/3 || got.Running.Count != Most+1 || len(got.Running.Jobs) == 0 || len(got.Failed) == 0 || len(got.Failed) > MostEnded {
			t.Errorf("%d bytes for %d, %d of %d jobs, %v", len(body), most, len(got.Running.Jobs), got.Running.Count, err)
		}
	}
	s := large()
	if body := s.Encode(100); body != nil {
		t.Errorf("%d bytes for 100", len(body))
	}
}

// TestSpan: no number gives a time that is none.
func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		jobs int
		rate float64
		want time.Duration
	}{{10, 5, 2 * time.Minute}, {0, 0, 100 * 365 * 24 * time.Hour}, {1, 1e-300, 100 * 365 * 24 * time.Hour}, {-5, 1, 0}, {5, -1, 0}} {
		if got := Span(tt.jobs, tt.rate); got != tt.want {
			t.Errorf("%d jobs at %g: %v, want %v", tt.jobs, tt.rate, got, tt.want)
		}
	}
}

// FuzzDecode: what a stranger sends is bounded once it is read.
func FuzzDecode(f *testing.F) {
	s := large()
	f.Add(s.Encode(100 << 10))
	f.Add([]byte(`{"Running": {"Count": -1, "Jobs": [{"Started": "0000-01-01T00:00:00Z"}]}, "PerMinute": 1e300, "Queued": -5}`))
	f.Add([]byte(`{"Failed": [` + strings.Repeat("{},", MostEnded) + "{}]}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Decode(body)
		if err != nil {
			return
		}
		s.Oldest()
		s.Longest()
		s.TimeLeft()
		texts := []string{s.Host}
		for _, j := range slices.Concat(s.Running.Jobs, s.Ended, s.Failed) {
			texts = append(texts, j.Job, j.Image, j.Error)
		}
		for _, text := range texts {
			if len(text) > mostText || !utf8.ValidString(text) {
				t.Errorf("a text of %d bytes: %q", len(text), text)
			}
		}
		if len(s.Running.Jobs) > Most || len(s.Ended) > MostEnded || len(s.Failed) > MostEnded || len(s.Conditions) > mostKinds {
			t.Error("a list is too long")
		}
		again, err := json.Marshal(&s)
		if err != nil || bytes.ContainsRune(again, '\x1b') {
			t.Errorf("%v: %s", err, again)
		}
	})
}
