package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"syscall"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// out is standard output, shared by all jobs. The output of one call of write stays together.
type out struct {
	mu     sync.Mutex
	w      io.Writer
	log    *slog.Logger
	broken bool // the last write failed; guarded by mu
	lost   bool // a write has failed, other than with left; guarded by mu
	buf    bytes.Buffer
	left   bool          // the reader closed the pipe: nothing more is written; guarded by mu
	gone   chan struct{} // closed when left is set
}

// errNoReader means that the reader of standard output closed it: no more output can be shown.
var errNoReader = errors.New("standard output was closed by its reader")

// write writes in one piece what fill puts into the buffer. Output that cannot be written, as on a full disk, is lost to
// the reader but not to the job. Of several failures in a row the first is logged.
func (o *out) write(fill func(*bytes.Buffer)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left {
		return errNoReader
	}
	o.buf.Reset()
	if o.buf.Cap() > 1<<20 {
		o.buf = bytes.Buffer{} // frees the memory of a very long line
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
	o.lost = o.lost || o.broken
	return err
}

// incomplete reports whether output was lost for another reason than a closed reader.
func (o *out) incomplete() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

// textReporter prints output for a person: each line after the name of its container.
type textReporter struct {
	*out
	raw bool // containers' output is printed as it is
}

// Pull prints nothing: the log says when a pull begins and ends.
func (r *textReporter) Pull(event.Pull) {}

func (r *textReporter) Started(event.Started) {}

func (r *textReporter) Output(o event.Output) error {
	data := o.Data
	if !r.raw {
		data = ui.Escaped(data)
	}
	return r.write(func(b *bytes.Buffer) { prefixed(b, o.ContainerName, data) })
}

func (r *textReporter) Result(res event.Result) error {
	if res.Error == "" {
		return result(r.write(func(*bytes.Buffer) {}))
	}
	name := res.ContainerName
	if name == "" {
		name = res.Job
	}
	return result(r.write(func(b *bytes.Buffer) {
		prefixed(b, ui.Printable(name), []byte(errorWord(res)+ui.PlainLine(res.Error)))
	}))
}

// result returns the error of a result whose write returned err. Only a missing reader is one. After others, such as a full
// disk, the next write may succeed, so the job is not held up.
func result(err error) error {
	if errors.Is(err, errNoReader) {
		return err
	}
	return nil
}

// prefixed writes the lines of data, each as `NAME | line`.
func prefixed(b *bytes.Buffer, name string, data []byte) {
	prefix := fmt.Sprintf("%-20s | ", name)
	for line := range bytes.Lines(data) {
		b.WriteString(prefix)
		b.Write(line)
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		b.WriteByte('\n')
	}
}

// jsonReporter prints events for a program, one a line.
type jsonReporter struct{ *out }

func (r *jsonReporter) Pull(p event.Pull) {
	r.write(func(b *bytes.Buffer) { b.Write(p.JSON()) })
}

func (r *jsonReporter) Started(s event.Started) {
	r.write(func(b *bytes.Buffer) { b.Write(s.AppendJSON(b.AvailableBuffer())) })
}

func (r *jsonReporter) Output(o event.Output) error {
	return r.write(func(b *bytes.Buffer) {
		for line := range o.Lines() {
			b.Write(line.AppendJSON(b.AvailableBuffer()))
		}
	})
}

func (r *jsonReporter) Result(res event.Result) error {
	return result(r.write(func(b *bytes.Buffer) { b.Write(res.AppendJSON(b.AvailableBuffer())) }))
}

// errorWord returns the prefix of a result's error. It is empty if a message stopped the job.
func errorWord(r event.Result) string {
	if r.Status == event.Stopped {
		return ""
	}
	return "Error: "
}

func (d *daemon) reporter(out *out) container.Reporter {
	if d.format == "json" {
		return &jsonReporter{out}
	}
	return &textReporter{out, d.raw}
}
