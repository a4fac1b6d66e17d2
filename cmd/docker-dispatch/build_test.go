package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// callers are variables of a caller who has Go and git build otherwise.
var callers = []string{
	"GOFLAGS=-gcflags=-N", "GOAMD64=v3", "GOARM64=v9.0", "GOARM=5", "GO386=softfloat", "GOFIPS140=latest", "GOEXPERIMENT=nodwarf5", "CGO_ENABLED=1",
	"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.abbrev", "GIT_CONFIG_VALUE_0=40", "TAR_OPTIONS=--owner=caller", "LC_ALL=C.UTF-8",
}

// TestBuild: scripts/build makes the same bytes whatever the caller's environment is, and whatever go env -w has set.
func TestBuild(t *testing.T) {
	t.Parallel()
	set := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(set, []byte("GOFLAGS=-gcflags=-l\nGOAMD64=v2\nGOARM64=v8.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, environ := range [][]string{nil, callers, {"GOENV=" + set}} {
		file := filepath.Join(t.TempDir(), "docker-dispatch")
		c := exec.Command("../../scripts/build", file)
		c.Env = append(os.Environ(), environ...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", environ, err, out)
		}
		built, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = built
		} else if !bytes.Equal(first, built) {
			t.Errorf("%q: other bytes", environ)
		}
	}
}
