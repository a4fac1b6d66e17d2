package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// get asks a daemon at the socket of its --listen. The code is 0 while it does not listen yet.
func get(t *testing.T, socket, path string) (code int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := client.Get("http://daemon" + path)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return 0, err.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// awaitReady waits until /readyz says what is wanted.
func awaitReady(t *testing.T, socket string, code int, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got, text := get(t, socket, "/readyz")
		missing := ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if got == code && missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz is %d, want %d with %q:\n%s", got, code, words, text)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// TestReady: a daemon is ready while it takes messages, and each reason why not is said first.
func TestReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	socket := filepath.Join(t.TempDir(), "http")
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := l.start("--listen", socket, "--policy", policy)
	awaitReady(t, socket, 200, "ok       engine       Docker/", "ok       broker       messages are taken from "+l.queue+" at amqp://guest:xxxxx@", "ok       control", "ok       publishing")
	if code, body := get(t, socket, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz is %d: %s", code, body)
	}
	if err := os.WriteFile(policy, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	awaitReady(t, socket, 200, "warning  policy       not read again; the one of before stays in force: ", policy)
	l.broker.Delete(l.queue)
	awaitReady(t, socket, 503, "not ok   broker       ", l.queue)
	if code, _ := get(t, socket, "/healthz"); code != 200 {
		t.Errorf("/healthz is %d without a queue", code)
	}
	l.broker.Declare(l.queue, "classic")
	awaitReady(t, socket, 200)
	p.stop()
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left")
	}
}

// TestNotReady: what is wrong at the start is said, too.
func TestNotReady(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, tt := range []struct {
		name, words string
		args        []string
	}{
		{"engine", "not ok   engine       cannot reach the docker engine at unix:///nowhere/docker.sock", []string{"=/nowhere/docker.sock", "=" + l.amqpURL}},
		{"broker", "not ok   broker       ", []string{"=" + l.dockerHost, "=amqp://guest:guest@127.0.0.1:1/"}},
		{"exposed", "warning  engine-address the engine's address is plain TCP", []string{"=192.0.2.1:2375", "=" + l.amqpURL}},
		{"disk", "not ok   disk         ", []string{"--min-free", "1000p"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "http")
			p := l.start(append(tt.args, "--listen", socket)...)
			awaitReady(t, socket, 503, tt.words)
			p.stop()
		})
	}
}

// TestListenFails: an address that cannot be listened at ends the start, but the socket of a process that was killed does not.
func TestListenFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "file"), filepath.Join(dir, "http")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := l.start("--listen", socket)
	awaitReady(t, socket, 200)
	for address, words := range map[string]string{
		file: "a file that is no socket", socket: "another process listens there", "nonsense": "missing port", dir + "/no/http": "no such file or directory",
	} {
		if _, stderr, code := outcome(t, program(t, "-q", l.queue, "--listen", address, l.dockerHost, l.amqpURL)); code != 2 || !strings.Contains(stderr, words) || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: exit %d: %s", address, code, stderr)
		}
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p = l.start("--listen", socket)
	awaitReady(t, socket, 200)
	p.stop()
}

// TestListenSocket: the group of a socket may ask, whatever the umask is. Everybody else may not.
func TestListenSocket(t *testing.T) {
	for _, umask := range []int{0o077, 0} {
		path := filepath.Join(t.TempDir(), "http")
		before := syscall.Umask(umask)
		l, err := (&settings{listenAddr: path}).listen()
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("umask %#o: %v %v", umask, info.Mode(), err)
		}
	}
}

// TestListenWarns: the log warns of an address that others reach, and of no other.
func TestListenWarns(t *testing.T) {
	t.Parallel()
	for address, warns := range map[string]bool{":0": true, "0.0.0.0:0": true, "127.0.0.1:0": false, "[::1]:0": false, filepath.Join(t.TempDir(), "http"): false} {
		var text strings.Builder
		d := &daemon{settings: &settings{listenAddr: address}, log: slog.New(slog.NewTextHandler(&text, nil))}
		l, err := d.listen()
		if err != nil {
			t.Fatal(err)
		}
		d.serve(l)()
		if got := strings.Contains(text.String(), "level=WARN"); got != warns {
			t.Errorf("%s: %s", address, text.String())
		}
	}
}

// TestDiskShort: what would make containers stays in its queue; a remove by the control queue is done.
func TestDiskShort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.publish(publication{"m1", `{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Remove":true,"Attach":["STDOUT"]}}`})
	p := l.start("--min-free", "1000p")
	p.awaitLog("the engine's disk is short")
	p.awaitLog("taking messages") // of the control queue
	l.broker.Send(l.queue+".control", amqp.Publishing{Body: []byte(`{"Dockercmd":"remove","Container":"nothing-of-that-name"}`)})
	p.awaitLog("no-such-container")
	p.stop()
	l.broker.Expect(l.queue, `{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Remove":true,"Attach":["STDOUT"]}}`)
}

// TestStatusInLog: SIGUSR1 writes what the daemon does, and stops nothing.
func TestStatusInLog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("-c", "1")
	body := `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep","1000"],"Options":{"Remove":true,"Attach":["STDOUT"]}}`
	l.publish(publication{"m1", body}, publication{"m2", body})
	p.awaitLog("container started")
	for _, want := range []string{"msg=status ready=true running=1 slots=1/1 waiting=1", `msg="status: condition" name=engine state=ok`,
		`msg="status: running" job=m1 command=run container=dispatch-`, `msg="status: longest running" job=m1`,
		`msg="status: waiting" job=m2`, `msg="status: oldest waiting" job=m2`, ` here-for=`, `waits-for="a free place (--concurrency)"`} {
		p.cmd.Process.Signal(syscall.SIGUSR1)
		p.awaitLog(want)
	}
	for range 100 {
		p.cmd.Process.Signal(syscall.SIGUSR1)
	}
	p.stop() // many of one signal do not displace another
}
