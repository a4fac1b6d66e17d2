package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// full returns a Status for which every metric has samples.
func full() status.Status {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := status.Status{
		Host: `a"b\c`, Queue: "jobs\nmore\xff", Version: "v1", Since: at.Add(-time.Hour), At: at,
		Conditions: []status.Condition{
			{Name: "engine", State: status.Met}, {Name: "broker", State: status.Unmet, Reason: "away"}, {Name: "policy", State: status.Warning},
		},
		Slots: 16, InUse: 3, Running: status.Jobs{Count: 3}, Waiting: status.Jobs{Count: 2},
		Outcomes: []status.Outcome{{Command: "run", Status: "succeeded", Count: 7}, {Command: "run", Status: "failed", Reason: "exit", Count: 2}, {Status: "refused", Reason: "invalid-message", Count: 1}, {Command: "run", Status: "refused", Reason: "cancelled", Count: 20}, {Command: "run", Status: "stopped", Count: 40}, {Command: "pull", Status: "error", Reason: "engine", Count: 5}},
		Queued:   new(12), DeadLetters: new(1), Retrying: new(5),
	}
	s.Taken, s.Redelivered, s.Joined, s.Adopted, s.Retried, s.OutputBytes, s.Settling = 10, 1, 2, 3, 4, 5e9, 1
	s.Forwarded, s.Claimed, s.LostClaims = 6, 7, 8
	s.OldestRunning, s.OldestWaiting = at.Add(-90*time.Second), at.Add(-time.Minute)
	for _, d := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 3 * time.Second, 48 * time.Hour} {
		s.ToStart.Add(d)
	}
	s.ToEnd.Add(time.Second)
	s.Broker = status.Broker{Sessions: 2, Unconfirmed: 1, Published: 9, DeadLetters: 1, Dropped: 1}
	call := func(route string, code int, took ...time.Duration) {
		c := status.Call{Route: route, Status: code}
		for _, d := range took {
			c.Took.Add(d)
		}
		s.Calls = append(s.Calls, c)
	}
	call("GET /containers/{id}/json", 200, time.Millisecond, 2*time.Second)
	call("GET /containers/{id}/json", 404, time.Millisecond)
	call("POST /containers/create", 0, 2*time.Minute)
	s.Disk = status.Disk{Root: "/var/lib/docker", Free: 5 << 30, Need: 10 << 30}
	s.Judge()
	return s
}

// TestMetrics compares the metrics of a fixed status with those that were looked at once. UPDATE_GOLDEN=1 writes them.
func TestMetrics(t *testing.T) {
	got := string(expose(scrape{full(), process{goroutines: 20, resident: 30 << 20, cpu: 1.25, open: 12, most: 1024}}))
	got = strings.ReplaceAll(got, runtime.Version(), "go1")
	const golden = "testdata/metrics.txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s; UPDATE_GOLDEN=1 go test -run TestMetrics ./cmd/docker-dispatch/web writes it:\n%s", golden, got)
	}
	for _, m := range Metrics() {
		if !strings.Contains(got, "# TYPE "+m.Name+" "+m.Type+"\n") {
			t.Errorf("%s has no samples", m.Name)
		}
	}
}

// TestMetricsOfNothing: a daemon that knows nothing yet has metrics, without those that would say something wrong.
func TestMetricsOfNothing(t *testing.T) {
	answer := httptest.NewRecorder()
	numbers := func() status.Status { return status.Status{} }
	Handler(Config{Measured: numbers}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	if answer.Code != 200 || answer.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("%d %q", answer.Code, answer.Header())
	}
	for _, want := range []string{"docker_dispatch_ready 0\n", "docker_dispatch_dead_letters_total 0\n", "docker_dispatch_ended_total 0\n", "docker_dispatch_failed_total 0\n", `docker_dispatch_jobs{state="running"} 0`, `docker_dispatch_oldest_job_age_seconds{state="waiting"} 0` + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"docker_dispatch_disk_", "docker_dispatch_queue_messages", "docker_dispatch_dead_letter_queue_messages", "docker_dispatch_attempts_total"} {
		if strings.Contains(text, not) {
			t.Errorf("it says %s", not)
		}
	}
}

// one is a listener of one connection.
type one struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l one) Close() error   { close(l.closed); return nil }
func (l one) Addr() net.Addr { return &net.UnixAddr{Name: "one"} }

// TestClientThatDoesNotRead: the connection of a client that asks, and does not read the answer, is ended.
func TestClientThatDoesNotRead(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			l := one{make(chan net.Conn, 1), make(chan struct{})}
			client, server := net.Pipe()
			l.conn <- server
			served := make(chan struct{})
			go func() {
				defer close(served)
				Serve(ctx, l, Config{Numbers: func() status.Status { return full() }, Measured: func() status.Status { return full() }, Log: slog.New(slog.DiscardHandler)})
			}()
			io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			time.Sleep(2 * answerTime)
			client.SetReadDeadline(time.Now().Add(time.Second))
			if text, err := io.ReadAll(client); err != nil || len(text) > 0 {
				t.Errorf("%s: the client reads %d bytes after %v, and then: %v", path, len(text), 2*answerTime, err)
			}
			client.Close()
			stop()
			<-served
		})
	}
}

// BenchmarkMetrics measures a scrape of a daemon that has made each call of the engine.
func BenchmarkMetrics(b *testing.B) {
	s := full()
	for i := range 26 {
		for _, code := range []int{0, 200, 404, 500} {
			s.Calls = append(s.Calls, status.Call{Route: fmt.Sprint("GET /", i), Status: code})
		}
	}
	for b.Loop() {
		expose(scrape{s, readProcess()})
	}
}
