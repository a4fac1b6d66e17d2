package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// pty is a terminal, and what has been written to it.
type pty struct {
	t      *testing.T
	master *os.File
	slave  *os.File // for the program

	mu    sync.Mutex
	bytes []byte
	grown chan struct{} // closed when bytes has grown; guarded by mu, as bytes is
}

// request makes a request to a terminal. It reports whether it succeeded.
func request(f *os.File, number uintptr, to unsafe.Pointer) bool {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), number, uintptr(to))
	return errno == 0
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	number := new(int32)
	if !request(master, syscall.TIOCSPTLCK, unsafe.Pointer(new(int32))) || !request(master, syscall.TIOCGPTN, unsafe.Pointer(number)) {
		t.Fatal("no terminal")
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", *number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, master: master, slave: slave, grown: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(p.read)
	t.Cleanup(func() {
		slave.Close()
		master.Close()
		reading.Wait()
	})
	return p
}

func (p *pty) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		p.mu.Lock()
		p.bytes = append(p.bytes, buf[:n]...)
		close(p.grown)
		p.grown = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until the screen shows a text, or does not, and returns it.
func (p *pty) await(what string, ok func(screen string) bool) string {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		s, grown := screen(p.bytes), p.grown
		p.mu.Unlock()
		if ok(s) {
			return s
		}
		select {
		case <-grown:
		case <-deadline.C:
			p.t.Fatalf("not within %v: %s; the screen is %q", patience, what, s)
		}
	}
}

// written is all that was written.
func (p *pty) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.bytes)
}

// awaitText waits until a text stands on the screen.
func (p *pty) awaitText(text string) {
	p.t.Helper()
	p.await(text, func(s string) bool { return strings.Contains(s, text) })
}

func (p *pty) typed(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) shows(text string) {
	p.t.Helper()
	p.await(text, func(s string) bool { return s == text })
}

// screen is what a terminal shows of what was written: lines, of which the program writes the last anew.
func screen(written []byte) string {
	var lines []string
	line, at := []rune{}, 0
	text := strings.ReplaceAll(string(written), "\x1b[K", "\x00") // the rest of the line is erased
	for _, c := range text {
		switch c {
		case '\n':
			lines = append(lines, string(line))
			line, at = line[:0], 0
		case '\r':
			at = 0
		case '\x00':
			line = line[:at]
		default:
			line = append(line[:at], append([]rune{c}, line[min(at+1, len(line)):]...)...)
			at++
		}
	}
	return strings.Join(append(lines, string(line)), "\n")
}

// TestScreen shows that the tests' terminal does what terminals do.
func TestScreen(t *testing.T) {
	for written, want := range map[string]string{
		"": "", "a\r\nb": "a\nb", "abc\rX": "Xbc", "abc\r\x1b[KX": "X", "abc\r\x1b[K": "", "é\rab\r\n": "ab\n",
	} {
		if got := screen([]byte(written)); got != want {
			t.Errorf("%q: %q, want %q", written, got, want)
		}
	}
}
