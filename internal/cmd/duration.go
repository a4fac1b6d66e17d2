package cmd

import (
	"fmt"
	"time"
)

// parseDuration reads --health-interval and the like, in Go's notation.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`expected a duration such as "30s" or "1m30s", got %s`, quote(s))
	}
	return d, nil
}
