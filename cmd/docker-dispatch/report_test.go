package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestTextEscapes: what a container writes neither commands a terminal nor forges a line, unless it is asked for as it is.
func TestTextEscapes(t *testing.T) {
	for _, tt := range []struct{ data, want string }{
		{"plain\ttext, h\u00e9, \u65e5\u672c\n", "plain\ttext, h\u00e9, \u65e5\u672c\n"},
		{"\x1b[2J\x1b]0;title\x07\n", `\x1b[2J\x1b]0;title\a` + "\n"},
		{"mine\rother                | forged\n", `mine\rother                | forged` + "\n"},
		{"dos\r\nend\r\n", "dos\r\nend\r\n"},
		{"cut\r", `cut\r`},
		{"\x00\x7f\u009b31m\n", `\x00\x7f\u009b31m` + "\n"},
		{"a\xff\xc3\n", `a\xff\xc3` + "\n"},
		{"\u202egnp.exe\n", `\u202egnp.exe` + "\n"},
		{"a\u2028forged\ufeff\n", `a\u2028forged\ufeff` + "\n"},
		{"\ufffd\n", "\ufffd\n"},
	} {
		var shown, raw bytes.Buffer
		(&textReporter{out: &out{w: &shown}}).Output(event.Output{ContainerName: "c", Data: []byte(tt.data)})
		(&textReporter{out: &out{w: &raw}, raw: true}).Output(event.Output{ContainerName: "c", Data: []byte(tt.data)})
		prefix := fmt.Sprintf("%-20s | ", "c")
		unprefixed := func(s string) string { return strings.ReplaceAll(s, prefix, "") }
		if got := unprefixed(shown.String()); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(tt.want, "\n") {
			t.Errorf("%q is shown as %q, want %q", tt.data, got, tt.want)
		}
		if got := unprefixed(raw.String()); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(tt.data, "\n") {
			t.Errorf("%q is raw as %q", tt.data, got)
		}
	}
}

// TestEachByteEscaped: a byte is shown in the same way alone and in the middle of a line, wherever it stands.
func TestEachByteEscaped(t *testing.T) {
	for _, around := range []string{" ", "~", "\n"} {
		for b := range 256 {
			alone := string(ui.Escaped([]byte{byte(b)}))
			for i := range 24 {
				before, after := strings.Repeat(around, i), "~"+strings.Repeat(around, 23-i)
				if got, want := string(ui.Escaped([]byte(before+string([]byte{byte(b)})+after))), before+alone+after; got != want {
					t.Fatalf("byte %#x at %d: %q, want %q", b, i, got, want)
				}
			}
		}
	}
}

// FuzzTextEscapes: whatever a container writes, what is shown is text in as many lines.
func FuzzTextEscapes(f *testing.F) {
	f.Add([]byte("a\r\nb\x1b\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text := ui.Escaped(data)
		if !utf8.Valid(text) || bytes.Count(text, []byte("\n")) != bytes.Count(data, []byte("\n")) {
			t.Errorf("%q became %q", data, text)
		}
		for i, c := range string(text) {
			if unicode.IsControl(c) && c != '\n' && c != '\t' && !(c == '\r' && strings.HasPrefix(string(text[i:]), "\r\n")) {
				t.Errorf("%q became %q", data, text)
			}
		}
	})
}

// TestErrorsCommandNoTerminal: nor does what others put into an error.
func TestErrorsCommandNoTerminal(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("login refused: %s", "\x1b[31mno\r\nhint: forged"),
		ui.UsageError("a\x07b", "c\u202ed"),
		ui.WithHint("x\u009b", "y", ui.ExitFailed),
	} {
		var b bytes.Buffer
		ui.Fail(&b, err)
		if strings.ContainsFunc(b.String(), func(c rune) bool {
			return c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c))
		}) || strings.HasPrefix(b.String(), "hint") || strings.Contains(b.String(), "\nhint: forged") {
			t.Errorf("%q", b.String())
		}
	}
}

// TestStdinOutputLost: output of messages from stdin that cannot be written is nowhere else, so that it is no success.
func TestStdinOutputLost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, format := range []string{"text", "json"} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		var stderr bytes.Buffer
		c := program(t, "--format", format, l.dockerHost, "-")
		c.Stdin = strings.NewReader(`{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Attach":["STDOUT"],"Remove":true}}`)
		c.Stdout, c.Stderr = full, &stderr
		c.Run()
		if code := c.ProcessState.ExitCode(); code != ui.ExitFailed || !strings.Contains(stderr.String(), "error: standard output could not be written; output is missing from it\n") {
			t.Errorf("%s: exit %d\n%s", format, code, &stderr)
		}
	}
}

// TestStdinLeaves: what is said of jobs that are left speaks of a queue only where there is one.
func TestStdinLeaves(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := fmt.Sprintf("left-%d", os.Getpid())
	c := program(t, "--policy", trusting(t), "--drain", "0s", l.dockerHost, "-")
	c.Stdin = strings.NewReader(runMessage(name, "echo one; sleep 600"))
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	if _, err := stdout.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != ui.ExitFailed || strings.Contains(stderr.String(), "queue") || !strings.Contains(stderr.String(), "nothing follows them any longer") {
		t.Errorf("exit %d\n%s", code, &stderr)
	}
	l.engineCall("DELETE", "/containers/"+name+"?force=1")
}
