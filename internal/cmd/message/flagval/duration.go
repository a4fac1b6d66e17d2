package flagval

import (
	"fmt"
	"time"
)

// ParseDuration reads --health-interval and the like, in Go's notation.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`expected a duration such as "30s" or "1m30s", got %s`, Quote(s))
	}
	return d, nil
}
