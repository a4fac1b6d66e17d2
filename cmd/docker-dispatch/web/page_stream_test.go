package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// pipes is a listener whose connections are pipes: their time is that of a bubble of synctest.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// inBubble runs a test with a server whose clock is the bubble's. get answers with an open body.
func inBubble(t *testing.T, f *fake, test func(t *testing.T, get func(path string) *http.Response)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		listener, done := make(pipes), make(chan struct{})
		go func() {
			defer close(done)
			Serve(ctx, listener, f.config(t))
		}()
		defer func() {
			cancel()
			<-done
		}()
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			listener <- theirs
			return ours, nil
		}}
		test(t, func(path string) *http.Response {
			t.Helper()
			answer, err := (&http.Client{Transport: transport}).Get("http://dispatch" + path)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		})
	})
}

// events reads the updates of a stream.
func events(t *testing.T, answer *http.Response) (next func() update) {
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, kind)
	}
	in := bufio.NewReader(answer.Body)
	return func() (u update) {
		t.Helper()
		data, err := in.ReadString('\n')
		end, err2 := in.ReadString('\n')
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		data, ok := strings.CutPrefix(data, "data: ")
		if !ok || end != "\n" || strings.Contains(data, "\r") {
			t.Fatalf("no event of one line: %.200q %q", data, end)
		}
		if err := json.Unmarshal([]byte(data), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
}

func TestEvents(t *testing.T) {
	f := busy()
	inBubble(t, f, func(t *testing.T, get func(string) *http.Response) {
		answer := get("/events")
		defer answer.Body.Close()
		next := events(t, answer)
		if u := next(); len(u.Sections) != 6 || !strings.Contains(u.Sections["running"], "encode-2026-11-01") || u.Version != "v1.4.0" {
			t.Fatalf("the first event has not all: %d sections, version %s", len(u.Sections), u.Version)
		}
		began := time.Now()
		for range 600 { // longer than any limit of a request
			if u := next(); u.Sections != nil || u.At.IsZero() {
				t.Fatalf("nothing has changed, and yet %v comes", u)
			}
		}
		if took := time.Since(began); took < 599*every || took > 601*every {
			t.Errorf("600 events took %v", took)
		}
		f.set(func(s *status.Status) { s.Running.Jobs[0].Phase = "exited"; s.Queued = new(77) })
		if u := next(); len(u.Sections) != 2 || !strings.Contains(u.Sections["running"], "exited") || !strings.Contains(u.Sections["state"], "77") {
			t.Errorf("not what has changed: %v", u)
		}
	})
}

func TestEventsOfJob(t *testing.T) {
	f := busy()
	inBubble(t, f, func(t *testing.T, get func(string) *http.Response) {
		answer := get("/events?id=encode-2026-11-01")
		defer answer.Body.Close()
		next := events(t, answer)
		if u := next(); len(u.Sections) != 1 || !strings.Contains(u.Sections["job"], "started") {
			t.Fatal(u)
		}
		f.set(func(s *status.Status) { s.Running.Jobs[1].Phase = "exited" })
		if u := next(); u.Sections != nil {
			t.Errorf("another job's change comes: %v", u)
		}
		f.set(func(s *status.Status) { s.Running.Jobs[0].Phase = "exited" })
		if u := next(); !strings.Contains(u.Sections["job"], "exited") {
			t.Errorf("the job's change does not come: %v", u)
		}
	})
}

// TestEventsShareOneLook: all viewers together ask the daemon once a second.
func TestEventsShareOneLook(t *testing.T) {
	f := busy()
	inBubble(t, f, func(t *testing.T, get func(string) *http.Response) {
		var nexts []func() update
		for range 20 {
			answer := get("/events")
			defer answer.Body.Close()
			nexts = append(nexts, events(t, answer))
		}
		for range 30 {
			for _, next := range nexts {
				next()
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.asked > 31 {
			t.Errorf("20 viewers asked %d times in 30 s", f.asked)
		}
	})
}

// TestStreamsAreBounded: what is too much is refused, and a client that takes nothing gives back its place.
func TestStreamsAreBounded(t *testing.T) {
	for path, most := range map[string]int{"/events": mostStreams, "/log?id=x": mostLogs} {
		t.Run(path, func(t *testing.T) {
			f := busy()
			f.log = func(ctx context.Context, _ string, w io.Writer) error {
				for ctx.Err() == nil {
					if _, err := fmt.Fprintln(w, "line"); err != nil {
						return err
					}
				}
				return ctx.Err()
			}
			inBubble(t, f, func(t *testing.T, get func(string) *http.Response) {
				for range most {
					defer get(path).Body.Close()
				}
				answer := get(path)
				answer.Body.Close()
				if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
					t.Errorf("one too many: %s", answer.Status)
				}
				time.Sleep(writeTime + 2*every)
				synctest.Wait()
				answer = get(path)
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Errorf("after the others were cut off: %s", answer.Status)
				}
			})
		})
	}
}

// TestLogSaysLate: a log that cannot be read after a long silence says why.
func TestLogSaysLate(t *testing.T) {
	f := idle()
	f.log = func(context.Context, string, io.Writer) error {
		time.Sleep(time.Hour)
		return errors.New("docker engine unreachable")
	}
	inBubble(t, f, func(t *testing.T, get func(string) *http.Response) {
		answer := get("/log?id=x")
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusBadGateway || string(body) != "docker engine unreachable\n" {
			t.Errorf("%s %q %v", answer.Status, body, err)
		}
	})
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		err    error
		code   int
		want   string
	}{
		{"ended", []string{"one\n", "two\r\n"}, nil, 200, "one\ntwo\r\n--- docker-dispatch: the log ends here: the container has exited\n"},
		{"in the middle of a line", []string{"half"}, nil, 200, "half\n--- docker-dispatch: the log ends here: the container has exited\n"},
		{"characters in pieces", []string{"\xe2", "\x82", "\xac \r", "\n\xf0\x9f", "\x98\x80\xff\xe2\x82"}, nil, 200, "€ \r\n😀\\xff\\xe2\\x82\n--- docker-dispatch: the log ends here: the container has exited\n"},
		{"what commands a terminal", []string{"\x1b[2J\u202e<b>\x00"}, nil, 200, "\\x1b[2J\\u202e<b>\\x00\n--- docker-dispatch: the log ends here: the container has exited\n"},
		{"silent", nil, nil, 200, "--- docker-dispatch: the log ends here: the container has exited\n"},
		{"cut off", []string{"one\n"}, errors.New("engine\x1b away"), 200, "one\n--- docker-dispatch: the log ends here: engine? away\n"},
		{"no log", nil, fmt.Errorf("%w: the driver keeps none", cmd.ErrNoLog), 404, "no log: the driver keeps none\n"},
		{"no engine", nil, errors.New("docker engine unreachable"), 502, "docker engine unreachable\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := idle()
			f.log = func(_ context.Context, job string, w io.Writer) error {
				if job != "a\xff b" {
					t.Errorf("the job %q is asked for", job)
				}
				for _, p := range c.pieces {
					if n, err := io.WriteString(w, p); err != nil || n != len(p) {
						t.Errorf("written %d of %d bytes: %v", n, len(p), err)
					}
				}
				return c.err
			}
			answer, body := ask(Handler(f.config(t)), "GET", "/log?id=a%ff+b")
			if answer.StatusCode != c.code || body != c.want || answer.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s, %s: %q, want %d %q", answer.Status, answer.Header.Get("Content-Type"), body, c.code, c.want)
			}
		})
	}
}
