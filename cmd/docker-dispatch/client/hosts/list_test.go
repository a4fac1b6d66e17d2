package hosts

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

var shownAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func before(d time.Duration) *time.Time { return new(shownAt.Add(-d)) }

// shown are hosts of each state, some with what a stranger may have written.
var shown = []host{
	{Host: "alpha", State: alive, Running: new(2), Labels: map[string]string{"zone": "north", "gpu": "yes"}},
	{Host: "beta", State: away, Seen: before(5 * time.Minute), Waiting: 3},
	{Host: "delta", State: away, Waiting: 12000},
	{Host: "epsilon", State: alive, Running: new(1), Engine: away},
	{Host: "evil\x1b[2J\nroot", State: alive, Labels: map[string]string{"a\u202e": strings.Repeat("x", 300)}},
	{Host: "gamma", State: released},
}

// TestTable: what the list shows, at the widths of three terminals. No line is wider. With UPDATE_GOLDEN=1 it writes the
// files anew.
func TestTable(t *testing.T) {
	for _, width := range []int{80, 120, 200} {
		layout := table(shown, shownAt)
		layout.Width = width
		text := strings.Join(layout.Lines(), "\n") + "\n"
		file := filepath.Join("testdata", fmt.Sprintf("hosts-%d.txt", width))
		if os.Getenv("UPDATE_GOLDEN") != "" {
			os.WriteFile(file, []byte(text), 0o644)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: \n%s\nwant\n%s", file, text, want)
		}
		for line := range strings.Lines(text) {
			if n := len([]rune(line)) - 1; n > width {
				t.Errorf("%s: a line of %d columns: %s", file, n, line)
			}
		}
	}
}

// TestJSON: one host a line. What is not known is left out.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := ui.WriteJSON(&b, shown[:4]); err != nil {
		t.Fatal(err)
	}
	const want = `{"Host":"alpha","State":"alive","Running":2,"Waiting":0,"Labels":{"gpu":"yes","zone":"north"}}
{"Host":"beta","State":"away","Seen":"2026-01-02T02:59:05Z","Waiting":3}
{"Host":"delta","State":"away","Waiting":12000}
{"Host":"epsilon","State":"alive","Running":1,"Engine":"away","Waiting":0}
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}
