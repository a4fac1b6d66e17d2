package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"os"
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
func (p *invocation) messageFiles(ctx context.Context, names []string, limit int) (<-chan fileMessage, error) {
	if limit <= 0 {
		limit = math.MaxInt - 1
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	readers := make([]io.Reader, len(names))
	for i, name := range names {
		if name == "-" {
			readers[i] = p.stdin
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, usageError(err.Error(), "name files of messages, or - for stdin")
		}
		readers[i] = f
	}
	if names[0] == "-" && isTerminal(p.stdin) && isTerminal(p.stderr) {
		fmt.Fprintln(p.stderr, "docker-dispatch: reading messages from the terminal; Ctrl-D on a line of its own ends them")
	}
	messages := make(chan fileMessage, 64)
	go func() {
		defer close(messages)
		for i, r := range readers {
			m := fileMessage{file: names[i]}
			if m.file == "-" {
				m.file = "stdin"
			}
			in := bufio.NewReaderSize(r, 64<<10)
			for {
				body, err := nextMessage(in, limit)
				if len(body) > 0 {
					m.n++
					m.body = body
					if !hand(ctx, messages, m) {
						return
					}
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					m.n++
					m.err = fmt.Errorf("cannot be read: %w", err)
					hand(ctx, messages, m)
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

// hand sends v. It reports whether it could before ctx ended.
func hand[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}
