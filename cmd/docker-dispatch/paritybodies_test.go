package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// recorder is an engine that creates no container, but notes what it is asked for.
type recorder struct {
	socket string

	mu     sync.Mutex
	bodies map[string]map[string]any // by the container's name
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{socket: filepath.Join(t.TempDir(), "docker.sock"), bodies: make(map[string]map[string]any)}
	ln, err := net.Listen("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.50")
		w.Header().Set("Ostype", "linux")
	})
	mux.HandleFunc("POST /{version}/containers/create", func(w http.ResponseWriter, q *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		name := q.URL.Query().Get("name")
		body["?platform"] = q.URL.Query().Get("platform")
		r.mu.Lock()
		r.bodies[name] = body
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"Id":"%064x"}`, name)
	})
	mux.HandleFunc("GET /{version}/containers/{id}/json", func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for name, body := range r.bodies {
			if id := q.PathValue("id"); id == fmt.Sprintf("%064x", name) {
				networks := body["NetworkingConfig"].(map[string]any)["EndpointsConfig"]
				json.NewEncoder(w).Encode(map[string]any{"Id": id, "State": map[string]any{"Status": "created"}, "NetworkSettings": map[string]any{"Networks": networks}})
			}
		}
	})
	server := &http.Server{Handler: mux}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return r
}

// created are what the options of each row have changed in its body, by the arguments of docker create. Each program's body
// without options, the one named "none", has all that is not empty.
func (r *recorder) created(rows map[string]parity) map[string]map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	plain := make(map[string]any)
	flattenBody(plain, "", r.bodies["none"])
	changed := make(map[string]map[string]any)
	for name, body := range r.bodies {
		flat := make(map[string]any)
		flattenBody(flat, "", body)
		if c, ok := body["NetworkingConfig"].(map[string]any); ok {
			endpoints, _ := c["EndpointsConfig"].(map[string]any)
			for network := range endpoints {
				if network != flat["HostConfig.NetworkMode"] && network != "default" {
					flat["?network "+network] = true
				}
			}
		}
		for path, v := range plain {
			if w, ok := flat[path]; !ok && !empty(v) {
				flat[path+" is gone"] = v
			} else if reflect.DeepEqual(v, w) {
				delete(flat, path)
			}
		}
		changed[strings.Join(rows[name].args, " ")] = flat
	}
	maps.DeleteFunc(plain, func(_ string, v any) bool { return empty(v) })
	changed[""] = plain
	return changed
}

// full takes out of a map, and of the maps in it, what is empty.
func full(v any) {
	if m, ok := v.(map[string]any); ok {
		maps.DeleteFunc(m, func(_ string, e any) bool { full(e); return empty(e) })
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || v == "" || v == 0.0 || v == false
}

// flattenBody has the values of a body by their paths. An array is one value, whose order counts but where the
// engine has none. What is empty in an entry of an array, or for a network, is as if it were not there.
func flattenBody(flat map[string]any, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			at := strings.TrimPrefix(path+"."+k, ".")
			if !strings.HasPrefix(at, "Labels.docker-dispatch.") && !(strings.HasPrefix(at, "NetworkingConfig.") && empty(e)) {
				flattenBody(flat, at, e)
			}
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for _, e := range v {
			full(e)
		}
		if path == "Env" || path == "HostConfig.Ulimits" || path == "HostConfig.Binds" {
			slices.SortFunc(v, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	switch path + " " + fmt.Sprint(v) {
	case "HostConfig.NetworkMode default", "HostConfig.MemorySwappiness -1", "HostConfig.ConsoleSize [0 0]": // as without
	default:
		flat[path] = v
	}
}

// TestParityBodies compares what the engine is asked for with what the docker CLI has asked one of API 1.50 for, as it
// stands in testdata/create.json: DISPATCH_TEST_RECORD=1 has the docker CLI that is on PATH say it anew.
func TestParityBodies(t *testing.T) {
	t.Parallel()
	const file = "testdata/create.json"
	fill := strings.NewReplacer("@DIR", "/dir", "@", "")
	rows := map[string]parity{"none": {}}
	for i, p := range parities {
		if !p.run && !p.ours {
			rows[fmt.Sprintf("row-%d", i)] = p
		}
	}
	if os.Getenv("DISPATCH_TEST_RECORD") != "" {
		theirs := newRecorder(t)
		l := &lab{t: t, dockerHost: "unix://" + theirs.socket}
		for name, p := range rows {
			l.docker(t, append(append([]string{"create", "--name", name}, p.cli(fill)...), "busybox", "true")...)
		}
		text, err := json.MarshalIndent(theirs.created(rows), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}

	ours := newRecorder(t)
	var messages strings.Builder
	for name, p := range rows {
		options := ""
		if p.option != "" {
			options = "," + p.options(fill)
		}
		fmt.Fprintf(&messages, `{"Dockercmd":"create","Image":"busybox","Cmd":["true"],"Options":{"Name":%q%s}}`+"\n", name, options)
	}
	l := &lab{t: t, dockerHost: "unix://" + ours.socket}
	for name, r := range l.viaStdin(t, messages.String(), "--policy", trusting(t)) {
		if r.Status != event.Succeeded {
			t.Errorf("%s %s: %s", rows[name].option, rows[name].value, r.Error)
		}
	}
	got := ours.created(rows)
	if len(got) != len(rows) || len(want) != len(rows) {
		t.Errorf("%d rows: %d are recorded, we have %d; those of two with the same arguments are one", len(rows), len(want), len(got))
	}
	for _, p := range rows {
		args := strings.Join(p.args, " ")
		if want[args] == nil {
			t.Errorf("docker create %s is not recorded: DISPATCH_TEST_RECORD=1 go test -run %s does so", args, t.Name())
		}
		for path := range merged(want[args], got[args]) {
			if w, g := want[args][path], got[args][path]; !reflect.DeepEqual(w, g) {
				t.Errorf("%s: %s: docker %v, we %v", args, path, w, g)
			}
		}
	}
}
