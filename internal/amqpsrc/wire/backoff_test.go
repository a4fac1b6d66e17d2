package wire

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for range 100 {
		var b Backoff
		for i := range 40 {
			d := b.Next()
			if d < 250*time.Millisecond || d > 30*time.Second {
				t.Fatalf("delay %d is %v", i, d)
			}
			if i == 0 && d > 500*time.Millisecond {
				t.Fatalf("the first delay is %v", d)
			}
			if i > 10 && d < 15*time.Second {
				t.Fatalf("delay %d is only %v", i, d)
			}
		}
		b.Reset()
		if d := b.Next(); d > 500*time.Millisecond {
			t.Fatalf("the first delay after a reset is %v", d)
		}
	}
}
