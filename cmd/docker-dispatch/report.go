package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// out is standard output, shared by all jobs: what is written in one call stays together.
type out struct {
	mu     sync.Mutex
	w      io.Writer
	log    *slog.Logger
	broken bool // writing failed before; guarded by mu
	buf    bytes.Buffer
	left   bool          // the reader of a pipe has gone, and nothing is written any more; guarded by mu
	gone   chan struct{} // closed then
}

// errNoReader says that the reader of standard output has gone: what is left to show, nobody sees.
var errNoReader = errors.New("standard output was closed by its reader")

// write passes on what fill puts into the buffer, in one piece. What cannot be written, as on a
// full disk, is lost to the reader but not to the job: that is logged, once for each failure.
func (o *out) write(fill func(*bytes.Buffer)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left {
		return errNoReader
	}
	o.buf.Reset()
	if o.buf.Cap() > 1<<20 {
		o.buf = bytes.Buffer{} // a very long line went through
	}
	fill(&o.buf)
	if o.buf.Len() == 0 {
		return nil
	}
	_, err := o.w.Write(o.buf.Bytes())
	if errors.Is(err, syscall.EPIPE) {
		o.left = true
		close(o.gone)
		return errNoReader
	}
	if err != nil && !o.broken {
		o.log.Error("standard output cannot be written; output is being lost", "error", err)
	}
	if err == nil && o.broken {
		o.log.Info("standard output can be written again")
	}
	o.broken = err != nil
	return err
}

// textReporter shows output for a person: each line behind the name of its container.
type textReporter struct{ *out }

func (r *textReporter) Started(cmd.Started) {}

func (r *textReporter) Output(o cmd.Output) error {
	return r.write(func(b *bytes.Buffer) { prefixed(b, o.ContainerName, o.Data) })
}

func (r *textReporter) Result(res cmd.Result) error {
	if res.Error == "" {
		return result(r.write(func(*bytes.Buffer) {}))
	}
	name := res.ContainerName
	if name == "" {
		name = res.Job
	}
	return result(r.write(func(b *bytes.Buffer) { prefixed(b, printable(name), []byte("Error: "+printable(oneLine(res.Error)))) }))
}

// result is the error of a result that was written with err. A full disk may have room again for the
// next: the job is not held up for it.
func result(err error) error {
	if errors.Is(err, errNoReader) {
		return err
	}
	return nil
}

// printable takes the control characters out of what strangers wrote, such as a message_id: they
// could forge lines, or command the terminal.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, s)
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "..."
	}
	return s
}

// prefixed writes the lines of data, each as `NAME | line`.
func prefixed(b *bytes.Buffer, name string, data []byte) {
	for line := range bytes.Lines(data) {
		fmt.Fprintf(b, "%-20s | ", name)
		b.Write(line)
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		b.WriteByte('\n')
	}
}

// jsonReporter shows events for a program, one a line.
type jsonReporter struct{ *out }

func (r *jsonReporter) Started(s cmd.Started) {
	r.events(struct {
		Event string
		cmd.Started
	}{"started", s})
}

func (r *jsonReporter) Result(res cmd.Result) error {
	return result(r.events(struct {
		Event string
		cmd.Result
	}{"result", res}))
}

// outputEvent is one line of a container, or a piece of one where it is long.
type outputEvent struct {
	Event         string
	Job           string
	ContainerName string
	Stream        string
	Offset        int64
	Data          string `json:",omitempty"`
	Base64        []byte `json:",omitempty"`
}

// maxData bounds the bytes of one output event.
const maxData = 64 << 10

func (r *jsonReporter) Output(o cmd.Output) error {
	var events []any
	offset := o.Offset
	for line := range bytes.Lines(o.Data) {
		for len(line) > 0 {
			n := cut(line)
			e := outputEvent{Event: "output", Job: o.Job, ContainerName: o.ContainerName, Stream: o.Stream, Offset: offset}
			if piece := line[:n]; utf8.Valid(piece) {
				e.Data = string(piece)
			} else {
				e.Base64 = piece
			}
			events = append(events, e)
			offset += int64(n)
			line = line[n:]
		}
	}
	return r.events(events...)
}

// cut returns how much of a line goes into one event: at most maxData, and no part of a character.
func cut(line []byte) int {
	if len(line) <= maxData {
		return len(line)
	}
	for n := maxData; n > maxData-utf8.UTFMax; n-- {
		if utf8.RuneStart(line[n]) {
			return n
		}
	}
	return maxData
}

func (r *jsonReporter) events(events ...any) error {
	return r.write(func(b *bytes.Buffer) {
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		for _, e := range events {
			if err := enc.Encode(e); err != nil {
				r.log.Error("event not written", "error", err)
			}
		}
	})
}
