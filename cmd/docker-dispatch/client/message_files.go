package client

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// A fileMessage is a message with its file, and its number there.
type fileMessage struct {
	file string
	n    int // from 1
	body []byte
	err  error // the file cannot be read further; there is no message
}

func (m fileMessage) String() string { return fmt.Sprintf("%s:%d", m.file, m.n) }

// messageFiles reads the messages of files, one file after another. A message is a JSON object, or else a line. "-" is
// stdin, and so is an empty list. A file that cannot be opened is an error before any message.
// A read of stdin cannot be interrupted: after ctx ends the reader may remain until the program ends.
func messageFiles(ctx context.Context, p *subcommand.Invocation, names []string, limit int) (<-chan fileMessage, error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	readers := make([]io.Reader, len(names))
	for i, name := range names {
		if name == "-" {
			readers[i] = p.Stdin
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, ui.UsageError(err.Error(), "name files of messages, or - for stdin")
		}
		readers[i] = f
	}
	if names[0] == "-" && ui.IsTerminal(p.Stdin) && ui.IsTerminal(p.Stderr) {
		fmt.Fprintln(p.Stderr, "docker-dispatch: reading messages from the terminal; Ctrl-D on a line of its own ends them")
	}
	messages := make(chan fileMessage, 64)
	go func() {
		defer close(messages)
		for i, r := range readers {
			m := fileMessage{file: names[i]}
			if m.file == "-" {
				m.file = "stdin"
			}
			for body, err := range Messages(r, limit) {
				m.n++
				if m.body = body; err != nil {
					m.err = fmt.Errorf("cannot be read: %w", err)
				}
				select {
				case messages <- m:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
			if f, ok := r.(*os.File); ok && m.file != "stdin" {
				f.Close()
			}
		}
	}()
	return messages, nil
}

// byteOrder is the byte order mark. Some editors begin UTF-8 text with it.
const byteOrder = "\ufeff"

// Messages reads messages to the end of r. After an error, which comes without a message, there are no more.
func Messages(r io.Reader, limit int) iter.Seq2[[]byte, error] {
	in := bufio.NewReaderSize(r, 64<<10)
	return func(yield func([]byte, error) bool) {
		for {
			body, err := nextMessage(in, limit)
			if len(body) > 0 && !yield(body, nil) || err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// nextMessage reads one message: an object up to its closing brace, or else the rest of the line. So one fault costs one
// message. An object that is cut short ends before the next {, if JSON allows none there. Otherwise it would take all
// later messages with it. A byte order mark before a message is skipped. At most limit+1 bytes of a message are kept,
// enough to refuse it. nextMessage reads nothing ahead: a terminal signals the end of the input only once.
func nextMessage(r *bufio.Reader, limit int) ([]byte, error) {
	var m []byte
	depth, quoted, escaped := 0, false, false
	last, before := byte(0), byte(0) // the object's last byte that is no space; the byte before this one
	for {
		c, err := r.ReadByte()
		if err != nil {
			return m, err
		}
		if len(m) == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			continue
		}
		object := depth > 0 || len(m) == 0 && c == '{'
		switch {
		case c == '\n' && !object:
			return m, nil
		case c == '{' && quoted && before == '\n': // a newline in a string is a fault; only a { after it means a cut object
			return bytes.TrimSuffix(m, []byte{before}), r.UnreadByte()
		case c == '{' && depth > 0 && !quoted && last != ':' && last != ',' && last != '[':
			return m, r.UnreadByte()
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			last = c
		}
		before = c
		if len(m) <= limit {
			m = append(m, c)
		}
		if len(m) == len(byteOrder) && string(m) == byteOrder {
			m = nil
			continue
		}
		switch {
		case !object:
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return m, nil
			}
		}
	}
}
