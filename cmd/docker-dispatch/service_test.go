package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// manager is a service manager's side of the notify protocol.
type manager struct {
	socket string
	mu     sync.Mutex
	said   []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{socket: filepath.Join(t.TempDir(), "notify")}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for buf := make([]byte, 8192); ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(buf[:n]))
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		c.Close()
		reading.Wait()
	})
	return m
}

// has reports whether a message that begins so has come.
func (m *manager) has(prefix string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.said {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// TestService: a daemon under a service manager is ready when both servers are connected, feeds the watchdog, says what it does,
// and is not stopped by a SIGHUP.
func TestService(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	m := newManager(t)
	l.env = []string{"NOTIFY_SOCKET=" + m.socket, "WATCHDOG_USEC=200000"}
	l.broker.Delete(l.queue)
	proxy, address := l.proxied(t)
	proxy.SetRefuse(true)
	p := l.start("--drain", "2562047h47m16s", "="+l.dockerHost, "="+address) // the longest
	p.awaitLog("broker unreachable, waiting")
	l.eventually("the status names the broker", func() bool { return m.has("STATUS=not ready: broker: ") })
	if m.has("READY=1") {
		t.Error("ready without a broker")
	}
	l.broker.Declare(l.queue, "classic")
	proxy.SetRefuse(false)
	l.eventually("it is ready", func() bool { return m.has("READY=1\nSTATUS=0 of 16 places in use, 0 running, 0 waiting") })
	l.eventually("it feeds the watchdog", func() bool { return m.has("WATCHDOG=1") })
	p.cmd.Process.Signal(syscall.SIGHUP)
	l.eventually("it reads again", func() bool { return m.has("RELOADING=1") })
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.eventually("it stops", func() bool {
		return m.has("STOPPING=1\nSTATUS=stopping: terminated") && m.has("EXTEND_TIMEOUT_USEC=9223372036")
	})

	c := program(t, "-q", l.queue, l.dockerHost, l.amqpURL)
	c.Env = append(c.Env, l.env...)
	p = l.startExactly(c)
	p.awaitLog("taking messages")
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.awaitLog("nothing to read again: there is no --policy")
	p.stop()
}

// TestLogNotRead: a daemon whose log is not read says so, is not fed, and ends by a signal.
func TestLogNotRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	m := newManager(t)
	socket := filepath.Join(t.TempDir(), "http")
	c := program(t, "-v", "-q", l.queue, "--listen", socket, l.dockerHost, l.amqpURL)
	c.Env = append(c.Env, "NOTIFY_SOCKET="+m.socket, "WATCHDOG_USEC=200000")
	unread, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stderr.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { c.Process.Kill() })
	awaitReady(t, socket, 200)
	for {
		c.Process.Signal(syscall.SIGUSR1)
		if _, text := get(t, socket, "/readyz"); strings.Contains(text, "not ok   log          it has not been read for ") {
			break
		}
	}
	m.mu.Lock()
	m.said = nil
	m.mu.Unlock()
	for range 2 { // the first may be taken just before the log fills up
		c.Process.Signal(syscall.SIGTERM)
	}
	if err := <-ended; c.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	if m.has("WATCHDOG=1") {
		t.Error("it was fed")
	}
}
