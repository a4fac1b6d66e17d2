package status

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{-time.Second, time.Millisecond, 2 * time.Millisecond, time.Second, 48 * time.Hour} {
		h.Add(d)
	}
	if h.Buckets[0] != 2 || h.Buckets[1] != 1 || h.Buckets[9] != 1 || h.Buckets[len(Bounds)] != 1 || h.Sum != 172801.003 {
		t.Errorf("%+v", h)
	}
}

func TestTimeLeft(t *testing.T) {
	s := Status{Ready: true, PerMinute: 60, Running: Jobs{Count: 20}, Waiting: Jobs{Count: 10}}
	if left, ok := s.TimeLeft(); ok {
		t.Errorf("%v, though the queue's length is not known", left)
	}
	s.Queued = new(90)
	if left, ok := s.TimeLeft(); !ok || left != 100*time.Second {
		t.Errorf("%v, %v", left, ok)
	}
	s.Consumers = new(2)
	if left, ok := s.TimeLeft(); ok {
		t.Errorf("%v, though another daemon takes from the queue", left)
	}
	s.Consumers = new(1)
	s.PerMinute = 0
	if left, ok := s.TimeLeft(); ok {
		t.Errorf("%v, though nothing ends", left)
	}
}

// TestLongest: a job has run since its container started, or else since it was taken; a waiting one counts by its publishing.
func TestLongest(t *testing.T) {
	now := time.Now()
	s := Status{At: now}
	if j, ok := s.Longest(); ok {
		t.Errorf("%+v runs", j)
	}
	s.Running.Jobs = []Job{
		{Job: "a", Taken: now.Add(-time.Hour), Started: new(now.Add(-time.Minute))}, {Job: "b", Taken: now.Add(-2 * time.Minute)}, {Job: "c", Taken: now.Add(-time.Second)},
	}
	s.Waiting.Jobs = []Job{{Job: "d", Taken: now.Add(-time.Hour)}, {Job: "e", Taken: now, Published: new(now.Add(-2 * time.Hour))}}
	if j, ok := s.Longest(); !ok || j.Job != "b" || j.Runs(now) != 2*time.Minute {
		t.Errorf("the longest is %+v", j)
	}
	if j, ok := s.Oldest(); !ok || j.Job != "e" || j.Age(now) != 2*time.Hour {
		t.Errorf("the oldest is %+v", j)
	}
}

func TestMessageOf(t *testing.T) {
	for _, tt := range []struct {
		job   Job
		queue string
		want  string
	}{
		{Job{Status: "failed"}, "jobs.dead", "acked"}, {Job{Status: "failed", Retrying: true}, "jobs.dead", "tried again"},
		{Job{Status: "error", DeadLetter: true}, "jobs.dead", "in jobs.dead"}, {Job{Status: "error", DeadLetter: true}, "", "rejected"},
	} {
		s := Status{DeadLetterQueue: tt.queue}
		if got := s.MessageOf(tt.job); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.job, got, tt.want)
		}
	}
}
