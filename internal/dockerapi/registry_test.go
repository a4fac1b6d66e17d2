package dockerapi

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// registry is a registry of images of one file each, on a port of loopback,
// which engines take for an insecure one and so reach by plain HTTP. Fields are
// set before it is used.
type registry struct {
	address string // 127.0.0.1:PORT

	user, password string // "": nobody is asked who he is
	bearer         bool   // by a token from /token instead of basic
	identity       string // also taken for a token: an identity token

	failures atomic.Int32  // how many requests fail first
	failure  int           // with which status
	html     bool          // and a text that is a proxy's
	slow     bool          // a blob comes in 20 parts, 4 s in all
	hang     chan struct{} // not nil: a blob stops halfway until this is closed
	silent   chan struct{} // not nil: a manifest does not come until this is closed

	blobs     map[string][]byte // by digest
	manifests map[string][]byte // by NAME and tag
	asked     atomic.Int32      // how many requests came
}

// newRegistry serves until the end of the test.
func newRegistry(t *testing.T) *registry {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &registry{address: l.Addr().String(), blobs: map[string][]byte{}, manifests: map[string][]byte{}}
	server := &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { server.Serve(l) })
	t.Cleanup(func() { server.Close(); running.Wait() })
	return g
}

// image adds an image to the registry, and returns its reference. Its one layer
// has one file, of size bytes that do not compress.
func (g *registry) image(t *testing.T, name string, size int) string {
	t.Helper()
	content := make([]byte, size)
	seed := sha256.Sum256([]byte(name + g.address)) // another layer for each test
	for i := 0; i < size; i += len(seed) {
		copy(content[i:], seed[:])
		seed = sha256.Sum256(seed[:])
	}
	var layer, packed bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "content", Mode: 0o644, Size: int64(size)}); err != nil {
		t.Fatal(err)
	}
	w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(&packed)
	z.Write(layer.Bytes())
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type object = map[string]any
	config := encode(object{
		"architecture": runtime.GOARCH, "os": "linux", "config": object{"Cmd": []string{"/content"}},
		"rootfs":  object{"type": "layers", "diff_ids": []string{digestOf(layer.Bytes())}},
		"history": []object{{"created_by": "a test"}},
	})
	g.blobs[digestOf(config)], g.blobs[digestOf(packed.Bytes())] = config, packed.Bytes()
	manifest := encode(object{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": object{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digestOf(config)},
		"layers": []object{{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": packed.Len(), "digest": digestOf(packed.Bytes())}},
	})
	g.manifests[name+" 1"], g.manifests[name+" "+digestOf(manifest)] = manifest, manifest
	return g.address + "/" + name + ":1"
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
	}
	g.asked.Add(1)
	if r.URL.Path == "/token" {
		g.token(w, r, fail)
		return
	}
	if !g.known(r) {
		challenge := `Basic realm="test"`
		if g.bearer {
			challenge = fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:x:pull"`, g.address)
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Www-Authenticate", challenge)
		fail(401, "UNAUTHORIZED", "authentication required")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if path == "" {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		return
	}
	if g.failures.Add(-1) >= 0 {
		if g.html {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(g.failure)
			io.WriteString(w, "<html><h1>not now</h1></html>")
			return
		}
		code := map[int]string{429: "TOOMANYREQUESTS", 503: "UNAVAILABLE", 403: "DENIED"}[g.failure]
		fail(g.failure, code, "not now")
		return
	}
	if name, tag, ok := strings.Cut(path, "/manifests/"); ok && g.manifests[name+" "+tag] != nil {
		if g.silent != nil {
			pauseUntil(r, g.silent)
		}
		manifest := g.manifests[name+" "+tag]
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digestOf(manifest))
		w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
		w.Write(manifest)
		return
	}
	if _, sum, ok := strings.Cut(path, "/blobs/"); ok && g.blobs[sum] != nil {
		blob := g.blobs[sum]
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
		if g.hang != nil && len(blob) > 10000 {
			w.Write(blob[:len(blob)/2])
			w.(http.Flusher).Flush()
			pauseUntil(r, g.hang)
			return
		}
		if !g.slow || len(blob) < 10000 {
			w.Write(blob)
			return
		}
		for part := range slices.Chunk(blob, len(blob)/20) {
			w.Write(part)
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Millisecond)
		}
		return
	}
	if ok {
		fail(404, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	}
	http.NotFound(w, r)
}

// pauseUntil holds a request up until until is closed, or the engine has gone.
func pauseUntil(r *http.Request, until chan struct{}) {
	select {
	case <-until:
	case <-r.Context().Done():
	}
}

// token is the server that a bearer challenge names.
func (g *registry) token(w http.ResponseWriter, r *http.Request, fail func(int, string, string)) {
	if r.Method == http.MethodPost && g.identity != "" && r.PostFormValue("refresh_token") == g.identity ||
		r.Header.Get("Authorization") == g.basic() {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"token":%q,"access_token":%[1]q,"expires_in":300}`, bearerToken)
		return
	}
	fail(401, "UNAUTHORIZED", "incorrect username or password")
}

const bearerToken = "bearer-of-the-test"

// known tells whether the request may see images.
func (g *registry) known(r *http.Request) bool {
	want := g.basic()
	if g.bearer {
		want = "Bearer " + bearerToken
	}
	return g.user == "" || r.Header.Get("Authorization") == want
}

func (g *registry) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(g.user+":"+g.password))
}
