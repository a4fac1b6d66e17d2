package main

import (
	"io"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// mostEarly bounds what is kept of a stream beyond a gap. What is over it comes again, or is missing at the
// end.
const mostEarly = 16 << 20

// answer puts the events of one job together: each byte of its output is written once and in its order,
// however often events come, and whatever comes before its turn.
type answer struct {
	job     string
	attempt int  // whose output is being written, from 1
	ended   bool // its result has come
	streams map[string]*answerStream
	lost    int64 // bytes of earlier attempts that did not come
}

// answerStream is one stream of an attempt.
type answerStream struct {
	w       io.Writer // nil: not attached
	written int64     // so many bytes from the beginning
	early   map[int64][]byte
	held    int // bytes in early
}

// newAnswer makes an answer. stdout and stderr may be nil.
func newAnswer(job string, stdout, stderr io.Writer) *answer {
	return &answer{job: job, attempt: 1, streams: map[string]*answerStream{
		"stdout": {w: stdout}, "stderr": {w: stderr},
	}}
}

// output writes what is new of a piece. Its error is the writer's.
func (a *answer) output(o *event.Output) error {
	if o.Job != a.job || !a.current(o.Attempt) {
		return nil
	}
	if s := a.streams[o.Stream]; s != nil && s.w != nil {
		return s.add(o.Offset, o.Data)
	}
	return nil
}

// current tells whether events of an attempt count. A new attempt writes from its beginning.
func (a *answer) current(attempt int) bool {
	attempt = max(1, attempt)
	if attempt > a.attempt {
		a.attempt, a.ended = attempt, false
		for name, s := range a.streams {
			a.streams[name] = &answerStream{w: s.w}
		}
	}
	return attempt == a.attempt
}

// result tells whether it is the job's last one.
func (a *answer) result(r *event.Result) bool {
	if r.Job != a.job || !a.current(r.Attempt) {
		return false
	}
	a.ended = true
	if r.Retrying {
		a.lost += a.missing(r)
	}
	return !r.Retrying
}

// missing counts the bytes of the attempt's output that a result tells of and that did not come.
func (a *answer) missing(r *event.Result) (n int64) {
	for name, total := range map[string]int64{"stdout": r.StdoutBytes, "stderr": r.StderrBytes} {
		switch s := a.streams[name]; {
		case s.w == nil:
		case max(1, r.Attempt) > a.attempt: // nothing of it has come
			n += total
		default:
			n += max(0, total-s.written)
		}
	}
	return n
}

// tooEarly tells whether an event says that others have gone before it which have not come: a result of more output, or
// anything of an attempt before the result of the last one.
func (a *answer) tooEarly(e event.Event) bool {
	job, attempt := "", 0
	switch {
	case e.Started != nil:
		job, attempt = e.Started.Job, e.Started.Attempt
	case e.Output != nil:
		job, attempt = e.Output.Job, e.Output.Attempt
	case e.Result != nil:
		job, attempt = e.Result.Job, e.Result.Attempt
	}
	if attempt = max(1, attempt); job != a.job || attempt < a.attempt {
		return false
	}
	return attempt > a.attempt+1 || attempt > a.attempt && !a.ended || e.Result != nil && a.missing(e.Result) > 0
}

// add writes what is new of a piece, and what was waiting for it.
func (s *answerStream) add(offset int64, data []byte) error {
	if offset > s.written {
		if len(data) > len(s.early[offset]) && s.held+len(data) <= mostEarly {
			if s.early == nil {
				s.early = make(map[int64][]byte)
			}
			s.held += len(data) - len(s.early[offset])
			s.early[offset] = data
		}
		return nil
	}
	if err := s.write(offset, data); err != nil {
		return err
	}
	for again := true; again; {
		again = false
		for at, data := range s.early {
			if at > s.written {
				continue
			}
			delete(s.early, at)
			s.held -= len(data)
			if err := s.write(at, data); err != nil {
				return err
			}
			again = true
		}
	}
	return nil
}

func (s *answerStream) write(offset int64, data []byte) error {
	if known := s.written - offset; known < int64(len(data)) {
		n, err := s.w.Write(data[known:])
		s.written += int64(n)
		return err
	}
	return nil
}
