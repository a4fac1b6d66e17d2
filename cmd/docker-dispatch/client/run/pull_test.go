package run

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestPullLines: without a terminal a pull is two lines, each once, even if its events are redelivered.
func TestPullLines(t *testing.T) {
	const missing, downloaded = "Unable to find image 'busybox:latest' locally\n", "Status: Downloaded newer image for busybox:latest\n"
	pulling, pulled := event.Pull{Status: event.Pulling, Missing: true}, event.Pull{Status: event.Pulled, Missing: true}
	for _, tt := range []struct {
		name   string
		quiet  bool
		events []event.Pull
		want   string
	}{
		{"missing", false, []event.Pull{pulling, pulling, pulled}, missing + downloaded},
		{"redelivered", false, []event.Pull{pulling, pulled, pulling, pulled}, missing + downloaded},
		{"only the end has come", false, []event.Pull{pulled}, missing + downloaded},
		{"failed", false, []event.Pull{pulling, {Status: event.PullFailed, Missing: true}}, missing},
		{"always", false, []event.Pull{{Status: event.Pulling}, {Status: event.Pulled}}, downloaded},
		{"up to date", false, []event.Pull{{Status: event.Pulling}, {Status: event.UpToDate}}, "Status: Image is up to date for busybox:latest\n"},
		{"unknown", false, []event.Pull{{Status: "squashed"}}, ""},
		{"quiet", true, []event.Pull{pulling, pulled}, ""},
	} {
		var errs bytes.Buffer
		c := &runClient{line: runLine(t), stderr: &errs}
		c.line.Quiet = tt.quiet
		for _, e := range tt.events {
			c.pulling(&e)
		}
		if errs.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, errs.String(), tt.want)
		}
	}
}

// TestProgressLine: however long the name and however large the numbers of a usual image, the numbers are on the line.
func TestProgressLine(t *testing.T) {
	for _, tt := range []struct {
		image    string
		progress event.Progress
		want     string
	}{
		{"busybox:latest", event.Progress{}, "busybox:latest: Pulling"},
		{"busybox:latest", event.Progress{Layers: 5}, "busybox:latest: Pulling: 0 of 5 layers"},
		{"busybox:latest", event.Progress{Layers: 5, Complete: 3, Bytes: 12_345_678, Total: 45_600_000}, "busybox:latest: Pulling: 3 of 5 layers, 12.3MB of 45.6MB"},
		{"registry.example.org/" + strings.Repeat("x", 100) + "/app:1.2.3", event.Progress{Layers: 127, Complete: 100, Bytes: 999, Total: 999_900},
			"...xxxxxxxxxxxxxxxxxxx/app:1.2.3: Pulling: 100 of 127 layers, 999B of 999.9kB"},
		{"a:b", event.Progress{Layers: 1, Bytes: -1, Total: math.MaxInt64}, "a:b: Pulling: 0 of 1 layers, -1B of 9223372.0TB"},
	} {
		if got := progress(tt.image, tt.progress); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
