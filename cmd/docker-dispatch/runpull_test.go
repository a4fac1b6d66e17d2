package main

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// serveImage serves an image from a registry on loopback until the end of the test, and returns its reference. The image is
// busybox with one more layer, which no engine has.
func (l *lab) serveImage(t *testing.T) string {
	t.Helper()
	saved, err := l.dockerCommand("save", "busybox").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(saved)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var list []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &list); err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(files[list[0].Config], &config); err != nil {
		t.Fatal(err)
	}

	random := make([]byte, 1<<20)
	rand.Read(random)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "random", Mode: 0o644, Size: int64(len(random))}); err != nil {
		t.Fatal(err)
	}
	w.Write(random)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rootfs := config["rootfs"].(map[string]any)
	rootfs["diff_ids"] = append(rootfs["diff_ids"].([]any), digest(layer.Bytes()))
	delete(config, "history") // it would have to name the new layer

	blobs := map[string][]byte{}
	blob := func(kind string, data []byte) map[string]any {
		blobs[digest(data)] = data
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(data), "digest": digest(data)}
	}
	const layerType, manifestType = "image.rootfs.diff.tar.gzip", "distribution.manifest.v2+json"
	var layers []any
	for _, name := range list[0].Layers {
		layers = append(layers, blob(layerType, files[name]))
	}
	manifest := event.Line(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.docker." + manifestType,
		"config": blob("container.image.v1+json", event.Line(config)), "layers": append(layers, blob(layerType, layer.Bytes())),
	})
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, sum, _ := strings.Cut(r.URL.Path, "/blobs/")
		switch {
		case r.URL.Path == "/v2/":
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.docker."+manifestType)
			w.Header().Set("Docker-Content-Digest", digest(manifest))
			w.Write(manifest)
		case blobs[sum] != nil:
			w.Header().Set("Content-Length", strconv.Itoa(len(blobs[sum]))) // the engine says it as the total
			w.Write(blobs[sum])
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(registry.Close)
	return strings.TrimPrefix(registry.URL, "http://") + "/team/app:1"
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// firstAndLast returns the lines that docker-dispatch run prints of those that docker run prints of a pull.
func firstAndLast(stderr string) (lines string) {
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "Unable to find image ") || strings.HasPrefix(line, "Status: ") {
			lines += line
		}
	}
	return lines
}

// TestRunPullsAsDocker: a pull from a registry is shown in docker's words, and the daemon's events say how it goes.
func TestRunPullsAsDocker(t *testing.T) {
	t.Parallel()
	w := newTwins(t)
	image := w.serveImage(t)
	remove := func() { w.docker(t, "image", "rm", "-f", image) }
	t.Cleanup(remove)
	daemon := w.start("--format", "json")
	for _, tt := range []struct {
		args   []string
		events []event.PullStatus
		before func() // the second of the two
	}{
		{nil, []event.PullStatus{event.Pulling, event.Pulled}, remove},
		{[]string{"--pull", "always"}, []event.PullStatus{event.Pulling, event.UpToDate}, func() {}},
		{nil, nil, func() {}},
		{[]string{"--pull", "never"}, nil, func() {}},
		{[]string{"--quiet", "--pull", "always"}, []event.PullStatus{event.Pulling, event.UpToDate}, func() {}},
	} {
		row := commandRow{args: append(append([]string{"--rm"}, tt.args...), image, "echo", "hi")}
		docker := sayings(t, w.dockerCommand(append([]string{"run"}, w.arguments(row)...)...), "")
		tt.before()
		from := len(daemon.out())
		dispatch := w.ours(t, row)
		if want := firstAndLast(docker.stderr); dispatch.stderr != want || dispatch.stdout != docker.stdout || dispatch.code != docker.code {
			t.Errorf("%q: they differ\ndocker          %v\ndocker-dispatch %v", tt.args, docker, dispatch)
		}
		var events []event.PullStatus
		for line := range strings.Lines(daemon.out()[from:]) {
			e, err := event.Decode([]byte(line))
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			p := e.Pull
			if p == nil {
				continue
			}
			if n := len(events); n == 0 || events[n-1] != p.Status { // progress in between
				events = append(events, p.Status)
			}
			if p.Status == event.Pulled && (p.Layers != 2 || p.Complete != 2 || p.Total < 1<<20 || p.Bytes != p.Total || !p.Missing || p.Image != image) {
				t.Errorf("%s", line)
			}
		}
		if fmt.Sprint(events) != fmt.Sprint(tt.events) {
			t.Errorf("%q: events %q, want %q", tt.args, events, tt.events)
		}
	}
	daemon.stop()
}
