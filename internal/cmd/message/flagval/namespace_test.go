package flagval

import "testing"

func TestParseNamespace(t *testing.T) {
	for _, tt := range []struct {
		kind string
		good []string
		want string
		bad  []string
	}{
		{"pid", []string{"", "host", "container:x", "container:a:b"}, `expected "host" or "container:NAME"`, []string{"private", "HOST", "container", "container:"}},
		// The docker CLI leaves this one to the engine.
		{"ipc", []string{"", "none", "private", "shareable", "host", "container:x"}, `expected "none", "private", "shareable", "host" or "container:NAME"`, []string{"x", "container:"}},
		{"uts", []string{"", "host"}, `expected "host"`, []string{"private", "container:x"}},
		{"userns", []string{"", "host"}, `expected "host"`, []string{"private", "x"}},
		{"cgroupns", []string{"", "host", "private"}, `expected "host" or "private"`, []string{"container:x"}},
	} {
		var bad []refused
		for _, s := range tt.bad {
			bad = append(bad, refused{s, tt.want + ", got " + Quote(s)})
		}
		testCheck(t, func(s string) error { return ParseNamespace(tt.kind, s) }, tt.good, bad)
	}
}
