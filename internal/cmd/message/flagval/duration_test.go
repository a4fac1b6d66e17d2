package flagval

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const duration = `expected a duration such as "30s" or "1m30s", got `
	testParse(t, ParseDuration, []taken[time.Duration]{
		{"0", 0},
		{"30s", 30 * time.Second},
		{"1m30s", 90 * time.Second},
		{"1.5h", 90 * time.Minute},
		{"+1s", time.Second},
		{"1ns", 1}, // the engine refuses it
	}, []refused{
		{"", duration + `""`},
		{"30", duration + `"30"`},
		{"1d", duration + `"1d"`},
		{"-1s", duration + `"-1s"`},
		{" 1s", duration + `" 1s"`},
		{"99999999h", duration + `"99999999h"`},
	})
}
