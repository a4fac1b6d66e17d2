package logkept

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		driver, size, files string
		want                int64
	}{
		{"json-file", "", "", All},
		{"json-file", "", "5", All},
		{"json-file", "-1", "5", All},
		{"json-file", "10m", "3", 20 << 20},
		{"json-file", "1.5kb", "2", 1536},
		{"json-file", "1gib", "2", 1 << 30},
		{"json-file", "512", "2", 512},
		{"json-file", "much", "2", 0},
		{"json-file", "10m", "1", 0},
		{"local", "", "", 80 << 20},
		{"local", "1m", "", 4 << 20},
		{"fluentd", "", "", 80 << 20},
		{"journald", "1m", "", All},
	} {
		if got := Bytes(tt.driver, map[string]string{"max-size": tt.size, "max-file": tt.files}); got != tt.want {
			t.Errorf("%s, max-size %q, max-file %q: %d, want %d", tt.driver, tt.size, tt.files, got, tt.want)
		}
	}
	if got := Bytes("syslog", map[string]string{"cache-max-size": "1m", "cache-max-file": "2", "max-size": "7"}); got != 1<<20 {
		t.Errorf("syslog: %d", got)
	}
}

// TestWeight: however the output is cut into writes, its weight is no less than what its json-file log with a tag takes.
func TestWeight(t *testing.T) {
	for _, line := range []string{"x\n", strings.Repeat("long", 10_000) + "\n", "\x1b[0m<&>\"\\\n"} {
		all := strings.Repeat(line, 300)
		records := int64(0)
		for l := range strings.Lines(all) {
			for len(l) > 0 {
				n := min(len(l), 16<<10)
				r, err := json.Marshal(map[string]any{"log": l[:n], "stream": "stdout", "attrs": map[string]string{"tag": "nightly-report-of-customer-4711"}, "time": "2026-01-02T03:04:05.123456789Z"})
				if err != nil {
					t.Fatal(err)
				}
				records += int64(len(r)) + 1
				l = l[n:]
			}
		}
		for _, piece := range []int{1, 100, 32 << 10, len(all)} {
			var total int64
			w := Weight{io.Discard, &total}
			for rest := all; rest != ""; {
				n := min(piece, len(rest))
				io.WriteString(w, rest[:n])
				rest = rest[n:]
			}
			if total < records {
				t.Errorf("%q in pieces of %d: %d, the log has %d", line[:1], piece, total, records)
			}
		}
	}
}
