//go:build !race

package output

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
)

// TestAllocs fails if the output of a container needs more allocations than today.
func TestAllocs(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	for _, tt := range []struct {
		name   string
		most   float64 // of all writes together
		writes []string
	}{
		{"one line", 3, []string{line}},
		{"1,000 lines in one write", 3, []string{strings.Repeat(line, 1000)}},
		{"1,000 lines in as many writes", 22, strings.SplitAfter(strings.Repeat(line, 1000), "\n")},
		{"1,000 lines in 3 writes each", 2021, strings.SplitAfter(strings.Repeat(strings.Repeat("x", 33)+"|"+strings.Repeat("x", 33)+"|"+"\n|", 1000), "|")},
	} {
		var writes [][]byte
		for _, w := range tt.writes {
			writes = append(writes, bytes.TrimSuffix([]byte(w), []byte("|")))
		}
		got := testing.AllocsPerRun(10, func() {
			var budget atomic.Int64
			o := NewOutput(func(string, int64, []byte) error { return nil }, nil, 64<<10, &budget)
			for _, w := range writes {
				o.Stdout.Write(w)
			}
			o.finish()
		})
		if got > tt.most {
			t.Errorf("%s: %v allocations, at most %v before", tt.name, got, tt.most)
		}
	}
}
