package hosts

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// TestChoose: the same host is chosen as long as it lives, and all get jobs.
func TestChoose(t *testing.T) {
	living := []intake.Host{{Name: "a"}, {Name: "b"}, {Name: "c", Labels: map[string]string{"gpu": "no"}}, {Name: "d"}}
	p := message.Placement{Host: ""}
	count := map[string]int{}
	for i := range 3000 {
		id := string(rune('a'+i%26)) + time.Duration(i).String()
		one := choose(p, id, living)
		count[one]++
		if again := choose(p, id, []intake.Host{living[3], living[2], living[1], living[0]}); again != one {
			t.Fatalf("%s: %s, then %s", id, one, again)
		}
		if one != "b" {
			if again := choose(p, id, []intake.Host{living[0], living[2], living[3]}); again != one {
				t.Fatalf("%s: %s, then %s without b", id, one, again)
			}
		}
	}
	for _, h := range living {
		if n := count[h.Name]; n < 600 || n > 900 {
			t.Errorf("%d of 3000 on %s", n, h.Name)
		}
	}
	if got := choose(p, "j", nil); got != "" {
		t.Errorf("%q of none", got)
	}
}
