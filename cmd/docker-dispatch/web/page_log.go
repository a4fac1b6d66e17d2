package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// log streams the log of a job's container as plain text: its last lines, what follows until the end, and why it ended.
func (p *page) log(w http.ResponseWriter, r *http.Request) {
	done, ok := take(w, p.logs, "too many logs are followed: close one, then load this again")
	if !ok {
		return
	}
	defer done()
	plain(w)
	out := &logStream{stream: newStream(w)}
	if r.Method == http.MethodHead {
		return
	}
	err := p.cfg.JobLog(r.Context(), r.URL.Query().Get("id"), out)
	out.extend()
	switch {
	case r.Context().Err() != nil:
	case err == nil:
		out.end("the container has exited")
	case out.begun:
		out.end(err.Error())
	case errors.Is(err, cmd.ErrNoLog):
		http.Error(w, ui.PlainLine(err.Error()), http.StatusNotFound)
	default:
		http.Error(w, ui.PlainLine(err.Error()), http.StatusBadGateway)
	}
}

// A logStream sends a container's output. Control characters and bytes that are not UTF-8 are sent as escapes: the reader
// may be a terminal.
type logStream struct {
	stream
	begun   bool
	midLine bool   // the last character was no newline
	rest    []byte // an incomplete character
}

func (l *logStream) Write(data []byte) (int, error) {
	n := len(data)
	data = append(l.rest, data...)
	whole := complete(data)
	l.rest = bytes.Clone(data[whole:])
	if whole == 0 {
		return n, nil
	}
	l.begun = true
	l.midLine = data[whole-1] != '\n'
	_, err := l.stream.Write(ui.Escaped(data[:whole]))
	return n, err
}

// complete returns the length of data without the beginning of a character, or of a line's end, that the next piece completes.
func complete(data []byte) int {
	n := len(data)
	if n > 0 && data[n-1] == '\r' {
		return n - 1
	}
	for i := n - 1; i >= max(0, n-utf8.UTFMax); i-- {
		if utf8.RuneStart(data[i]) {
			if !utf8.FullRune(data[i:]) {
				return i
			}
			break
		}
	}
	return n
}

// end sends what is left, and a last line that says why the log ends.
func (l *logStream) end(why string) {
	last := ui.Escaped(l.rest)
	if l.midLine || len(last) > 0 {
		last = append(bytes.Clone(last), '\n')
	}
	l.stream.Write(fmt.Appendf(last, "--- docker-dispatch: the log ends here: %s\n", ui.PlainLine(why)))
}
