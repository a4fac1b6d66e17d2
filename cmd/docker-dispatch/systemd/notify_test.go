package systemd

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// environment is getenv for these variables, NAME=value each.
func environment(variables ...string) func(string) string {
	return func(name string) string {
		for _, v := range variables {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// manager is the side of the service manager: a socket at that address.
func manager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// received returns the next message.
func received(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8192)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestMessages(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@docker-dispatch-%d", os.Getpid())} {
		m := manager(t, address)
		n := FromEnvironment(environment("NOTIFY_SOCKET="+address), slog.New(slog.DiscardHandler))
		for want, send := range map[string]func(){
			"READY=1\nSTATUS=taking messages":     func() { n.Ready("taking messages") },
			"STATUS=broker away: MAINPID=1 x":     func() { n.Status("broker away:\nMAINPID=1\r\n\x00x") },
			"STATUS=" + strings.Repeat("ü", 500):  func() { n.Status(strings.Repeat("ü", 9000)) },
			"STATUS=a" + strings.Repeat("ü", 499): func() { n.Status("a" + strings.Repeat("ü", 9000)) },
			"STOPPING=1\nSTATUS=2 jobs run":       func() { n.Stopping("2 jobs run") },
			"WATCHDOG=1":                          n.Feed,
			"EXTEND_TIMEOUT_USEC=1500000":         func() { n.ExtendTimeout(1500 * time.Millisecond) },
		} {
			send()
			if got := received(t, m); got != want {
				t.Errorf("%s: got %q, want %q", address, got, want)
			}
		}
	}
}

// TestReloading: the time is that of the machine's monotonic clock, which the process cannot be older than.
func TestReloading(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	m := manager(t, address)
	n := FromEnvironment(environment("NOTIFY_SOCKET="+address), slog.New(slog.DiscardHandler))
	var times []uint64
	for range 2 {
		n.Reloading()
		text, ok := strings.CutPrefix(received(t, m), "RELOADING=1\nMONOTONIC_USEC=")
		at, err := strconv.ParseUint(text, 10, 64)
		if !ok || err != nil || at == 0 {
			t.Fatal(text, err)
		}
		times = append(times, at)
	}
	if times[1] < times[0] || times[1]-times[0] > uint64(time.Minute/time.Microsecond) {
		t.Error(times)
	}
}

// TestNobody: without a manager, every method does nothing.
func TestNobody(t *testing.T) {
	var log bytes.Buffer
	for _, socket := range []string{"", "vsock:2:1"} {
		n := FromEnvironment(environment("NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=1000000"), slog.New(slog.NewTextHandler(&log, nil)))
		if n != nil || n.Watchdog() != 0 {
			t.Errorf("%q: %+v", socket, n)
		}
		n.Ready("")
		n.Status("")
		n.Reloading()
		n.Stopping("")
		n.ExtendTimeout(time.Second)
		n.Feed()
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "vsock:2:1") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWatchdog(t *testing.T) {
	us, other := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getpid()+1)
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"30000000", us, 15 * time.Second}, {"30000000", "", 15 * time.Second}, {"30000000", other, 0},
		{"", us, 0}, {"0", us, 0}, {"x", us, 0}, {"-1", us, 0}, {"9223372036854775807", us, 0}, {"99999999999999999999", us, 0},
	} {
		n := FromEnvironment(environment("NOTIFY_SOCKET=/x", "WATCHDOG_USEC="+c.usec, "WATCHDOG_PID="+c.pid), slog.New(slog.DiscardHandler))
		if got := n.Watchdog(); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestManagerAway: a socket that is missing, or whose manager does not read, holds nothing up, and is logged once.
func TestManagerAway(t *testing.T) {
	full := filepath.Join(t.TempDir(), "notify")
	manager(t, full)
	for _, address := range []string{full, filepath.Join(t.TempDir(), "none")} {
		var log bytes.Buffer
		n := FromEnvironment(environment("NOTIFY_SOCKET="+address), slog.New(slog.NewTextHandler(&log, nil)))
		for i := 0; log.Len() == 0; i++ {
			if i > 100_000 {
				t.Fatal("the manager's socket takes everything")
			}
			n.Feed()
		}
		began := time.Now()
		n.Feed()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: a message took %v", address, took)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, address) || !strings.Contains(text, "WATCHDOG=1") {
			t.Errorf("log: %s", text)
		}
	}
}
