package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// TestPinnedVersionRefused: an engine that refuses DOCKER_API_VERSION ends the start, and the hint names the variable.
func TestPinnedVersionRefused(t *testing.T) {
	t.Parallel()
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if r.URL.Path != "/_ping" { // as Docker 20.10 does
			http.Error(w, `{"message":"client version 1.45 is too new. Maximum supported API version is 1.41"}`, http.StatusBadRequest)
		}
	}))
	defer engine.Close()
	address := strings.Replace(engine.URL, "http", "tcp", 1)
	_, stderr, code := call("", []string{"DOCKER_API_VERSION=1.45"}, address, "-")
	want := "docker-dispatch: error: the docker engine at " + address + " refuses the pinned API version: client version 1.45 is too new. Maximum supported API version is 1.41\n" +
		"hint: unset DOCKER_API_VERSION, and the version is negotiated; or set it to a version that the engine has\n"
	if code != ui.ExitUsage || !strings.HasSuffix(stderr, want) {
		t.Errorf("exit %d\n%s\nwant\n%s", code, stderr, want)
	}
}
