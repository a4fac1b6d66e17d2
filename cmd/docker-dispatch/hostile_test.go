package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

const (
	mostStop   = 5 * time.Second // how long a stop may take; see metronome
	mostMemory = 256 << 10       // KiB of resident memory
	atATime    = 12              // scenarios; most of their time they wait
)

// built returns the program as users have it: the race detector takes ten times the memory.
func built(t *testing.T) string {
	t.Helper()
	if exe := os.Getenv("DISPATCH_TEST_PROGRAM"); exe != "" {
		return exe
	}
	exe := filepath.Join(t.TempDir(), "docker-dispatch")
	if out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

// worst is the worst of all scenarios of a test.
type worst struct {
	mu       sync.Mutex
	stop     time.Duration
	memory   int
	stopOf   string
	memoryOf string
}

func (w *worst) add(name string, stop time.Duration, memory int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stop > w.stop {
		w.stop, w.stopOf = stop, name
	}
	if memory > w.memory {
		w.memory, w.memoryOf = memory, name
	}
}

// hostilities runs scenarios, a few at a time, and tells the worst.
func hostilities[S any](t *testing.T, scenarios []S, name func(S) string, run func(t *testing.T, s S, exe string, w *worst)) {
	t.Helper()
	exe, w := built(t), new(worst)
	places := make(chan struct{}, atATime)
	var all sync.WaitGroup
	for _, s := range scenarios {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(name(s), func(t *testing.T) { run(t, s, exe, w) })
		})
	}
	all.Wait()
	t.Logf("%d scenarios; slowest stop %v (%s); most memory %d KiB (%s)", len(scenarios), w.stop.Round(time.Millisecond), w.stopOf, w.memory, w.memoryOf)
}

// daemonAt starts a daemon on servers of the test. It drains no jobs: what takes time at its stop is the servers' fault.
func daemonAt(t *testing.T, exe, engine, broker string, args ...string) *process {
	t.Helper()
	c := exec.Command(exe, append([]string{"-q", "hostile", "--drain", "0s", "--control", "none", engine, broker}, args...)...)
	c.Env = []string{"HOME=" + t.TempDir()}
	return (&lab{t: t}).startExactly(c)
}

// endsWell stops a daemon, and checks how it has lived and how it ends.
func endsWell(t *testing.T, p *process, w *worst) {
	t.Helper()
	memory := residentPeak(p)
	if memory > mostMemory {
		t.Errorf("it took %d KiB of memory, more than %d", memory, mostMemory)
	}
	began := time.Now()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if late := metronome(p.exited, mostStop); late {
		t.Errorf("SIGTERM has not ended it within %v", mostStop)
	}
	p.wait()
	w.add(t.Name(), time.Since(began), memory)
	hasNotPanicked(t, p)
}

func hasNotPanicked(t *testing.T, p *process) {
	t.Helper()
	for _, sign := range []string{"panic", "fatal error", "goroutine "} {
		if strings.Contains(p.log(), sign) {
			t.Errorf("%q in its log", sign)
		}
	}
	if p.code < 0 || p.code > ui.ExitUsage { // after a panic it would be that of usage too
		t.Errorf("exit %d", p.code)
	}
}

// metronome reports whether exited stays open for the given time. It counts short waits of its own rather than look at a
// clock: on a busy machine these take longer, as everything does that the daemon has to do.
func metronome(exited <-chan struct{}, limit time.Duration) (late bool) {
	const beat = 20 * time.Millisecond
	for n := time.Duration(0); n < limit/beat; n++ {
		select {
		case <-exited:
			return false
		case <-time.After(beat):
		}
	}
	return true
}

// residentPeak is the most resident memory that a process has had, in KiB; 0: it has ended.
func residentPeak(p *process) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, _ := strconv.Atoi(strings.Fields(rest + " 0")[0])
	return n
}

// happens waits for an event of a scenario. It fails the test if the daemon ends before, or if it takes too long.
func happens(t *testing.T, p *process, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-p.exited:
		select { // the test's side may notice it later than the daemon
		case <-event:
		case <-time.After(10 * time.Second):
			t.Fatalf("the daemon ended, with exit code %d, before: %s", p.code, what)
		}
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// tide writes piece again and again, until total bytes are written, the daemon ends the connection, or the daemon takes
// nothing for a second.
func tide(conn net.Conn, piece []byte, total int) {
	for len(piece) < 32<<10 {
		piece = append(piece, piece...)
	}
	for written := 0; written < total; written += len(piece) {
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}

// acceptAll serves each connection of a listener of the test in a goroutine of its own, until the test ends.
func acceptAll(t *testing.T, network, address string, serve func(ctx context.Context, conn net.Conn)) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				serve(ctx, conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		serving.Wait()
	})
	return ln
}
