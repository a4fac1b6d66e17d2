package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A nullEngine answers what a run asks of the Docker Engine, at once and from memory. So the cost that is measured on it is
// that of its client.
type nullEngine struct {
	frames int  // how many frames of 100 bytes a container writes
	hold   bool // no container exits

	host    string
	closed  chan struct{}
	started atomic.Int64
	starts  chan time.Time // the last start that was not read; room for one
	removes chan struct{}  // the same for removes
	exits   chan []byte    // events, for one reader

	mu   sync.Mutex
	made int
	all  map[string]*nullContainer // by id, and by name if it has one; guarded by mu
}

type nullContainer struct {
	id, name string
	labels   map[string]string
	started  chan struct{}
	exited   chan struct{}

	mu    sync.Mutex
	state nullState // guarded by mu
}

// A nullState is the State of an inspect.
type nullState struct {
	Status                string
	Running               bool
	ExitCode              int
	StartedAt, FinishedAt time.Time
}

// newNullEngine listens on a socket in dir until the test ends.
func newNullEngine(t *testing.T, dir string, frames int, hold bool) *nullEngine {
	socket := filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e := &nullEngine{
		frames: frames, hold: hold, host: "unix://" + socket, closed: make(chan struct{}), starts: make(chan time.Time, 1),
		removes: make(chan struct{}, 1), exits: make(chan []byte, 1<<14), all: make(map[string]*nullContainer),
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /_ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"ApiVersion": "1.51", "MinAPIVersion": "1.24", "Version": "28.0.0", "Os": "linux"})
	})
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"ID": "null"})
	})
	mux.HandleFunc("GET /events", e.events)
	mux.HandleFunc("GET /containers/json", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") })
	mux.HandleFunc("POST /containers/create", func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusCreated, e.create(r)) })
	// on registers a call for a container.
	on := func(pattern string, do func(w http.ResponseWriter, c *nullContainer)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			e.mu.Lock()
			c := e.all[r.PathValue("id")]
			e.mu.Unlock()
			if c == nil {
				answer(w, http.StatusNotFound, map[string]string{"message": "No such container: " + r.PathValue("id")})
				return
			}
			do(w, c)
		})
	}
	on("POST /containers/{id}/attach", e.attach)
	on("POST /containers/{id}/start", func(w http.ResponseWriter, c *nullContainer) {
		now := time.Now()
		c.change(func(s *nullState) { s.Status, s.Running, s.StartedAt = "running", true, now })
		e.started.Add(1)
		offer(e.starts, now)
		close(c.started)
		w.WriteHeader(http.StatusNoContent)
	})
	on("POST /containers/{id}/wait", func(w http.ResponseWriter, c *nullContainer) {
		select {
		case <-c.exited:
			answer(w, http.StatusOK, map[string]int{"StatusCode": 0})
		case <-e.closed:
		}
	})
	on("GET /containers/{id}/json", func(w http.ResponseWriter, c *nullContainer) { answer(w, http.StatusOK, c.inspect()) })
	on("DELETE /containers/{id}", func(w http.ResponseWriter, c *nullContainer) {
		e.mu.Lock()
		delete(e.all, c.id)
		delete(e.all, c.name)
		e.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		offer(e.removes, struct{}{})
	})
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.51")
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Server", "Docker/28.0.0 (linux)")
		if version := len("/v1.51"); len(r.URL.Path) > version && strings.HasPrefix(r.URL.Path, "/v1") {
			r.URL.Path = r.URL.Path[version:]
		}
		mux.ServeHTTP(w, r)
	})}
	go server.Serve(l)
	t.Cleanup(func() {
		close(e.closed)
		server.Close()
	})
	return e
}

// offer sends v if there is room.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

func (e *nullEngine) create(r *http.Request) any {
	var asked struct{ Labels map[string]string }
	json.NewDecoder(r.Body).Decode(&asked)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.made++
	c := &nullContainer{id: fmt.Sprintf("%064x", e.made), name: r.URL.Query().Get("name"), labels: asked.Labels, state: nullState{Status: "created"}, started: make(chan struct{}), exited: make(chan struct{})}
	e.all[c.id] = c
	if c.name != "" {
		e.all[c.name] = c
	}
	return map[string]any{"Id": c.id, "Warnings": []string{}}
}

// attach is the container's program: it writes its output after the start, and exits.
func (e *nullEngine) attach(w http.ResponseWriter, c *nullContainer) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.51\r\n\r\n")
	select {
	case <-c.started:
	case <-e.closed:
		return
	}
	frame := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 100)...)
	binary.BigEndian.PutUint32(frame[4:], 100)
	frame[len(frame)-1] = '\n'
	many := bytes.Repeat(frame, min(e.frames, 300)) // one write
	for left := e.frames; left > 0; left -= 300 {
		if _, err := conn.Write(many[:len(frame)*min(left, 300)]); err != nil {
			break
		}
	}
	if e.hold {
		<-e.closed
		return
	}
	conn.Close()
	c.change(func(s *nullState) { s.Status, s.Running, s.FinishedAt = "exited", false, time.Now() })
	close(c.exited)
	attributes := map[string]string{"name": c.name, "exitCode": "0"}
	for k, v := range c.labels {
		attributes[k] = v
	}
	event, _ := json.Marshal(map[string]any{"Type": "container", "Action": "die", "status": "die", "id": c.id, "scope": "local",
		"Actor": map[string]any{"ID": c.id, "Attributes": attributes}, "time": time.Now().Unix(), "timeNano": time.Now().UnixNano()})
	offer(e.exits, append(event, '\n'))
}

func (e *nullEngine) events(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w).Flush
	w.Header().Set("Content-Type", "application/json")
	for {
		for len(e.exits) > 0 {
			w.Write(<-e.exits)
		}
		flush()
		select {
		case event := <-e.exits:
			w.Write(event)
		case <-r.Context().Done():
			return
		}
	}
}

func (c *nullContainer) change(to func(*nullState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to(&c.state)
}

func (c *nullContainer) inspect() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]any{
		"Id": c.id, "Name": "/" + c.name, "Created": c.state.StartedAt, "State": c.state, "Config": map[string]any{"Labels": c.labels, "Tty": false},
		"HostConfig": map[string]any{"LogConfig": map[string]any{"Type": "json-file"}},
	}
}
