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
	s := Status{PerMinute: 60, Running: Jobs{Count: 20}, Waiting: Jobs{Count: 10}}
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
