package flagval

import "testing"

// TestFullName: short names of one image are one image.
func TestFullName(t *testing.T) {
	for _, name := range []string{"busybox", "busybox:latest", "docker.io/library/busybox", "library/busybox:latest"} {
		if got := FullName(name); got != "busybox:latest" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, want := range map[string]string{"host:5000/a/b": "host:5000/a/b:latest", "a/b@sha256:12": "a/b@sha256:12", "b:1": "b:1"} {
		if got := FullName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
