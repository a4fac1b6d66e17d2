package run

import (
	"io"
	"maps"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// mostEarly limits the bytes kept of a stream after a gap. Further output is dropped. Unless it is redelivered, it is
// missing at the end.
const mostEarly = 16 << 20

// perPiece counts for each kept piece beside its bytes: otherwise pieces of one byte would take 50 times as much memory.
const perPiece = 64

// An answer assembles the events of one job. It writes each byte of output once and in order, even if events are
// redelivered or come out of order.
type answer struct {
	job     string
	attempt int  // the attempt whose output is being written, from 1
	ended   bool // the attempt's result has come
	streams map[string]*answerStream
	lost    int64 // bytes of earlier attempts that did not come
}

// An answerStream is stdout or stderr of an attempt.
type answerStream struct {
	w       io.Writer // nil: not attached
	written int64     // bytes, from the beginning of the stream
	early   map[int64][]byte
	held    int // bytes in early, and perPiece for each piece
}

// newAnswer returns an answer. A stream whose writer is nil is not attached.
func newAnswer(job string, stdout, stderr io.Writer) *answer {
	return &answer{job: job, attempt: 1, streams: map[string]*answerStream{
		"stdout": {w: stdout}, "stderr": {w: stderr},
	}}
}

// output writes the part of a piece that is new. A daemon sends no offset below 0: such a piece is ignored. The error is the
// writer's.
func (a *answer) output(o *event.Output) error {
	if o.Job != a.job || o.Offset < 0 || !a.current(o.Attempt) {
		return nil
	}
	if s := a.streams[o.Stream]; s != nil && s.w != nil {
		return s.add(o.Offset, o.Data)
	}
	return nil
}

// current reports whether events of an attempt count: those of earlier attempts do not. A new attempt resets the streams.
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

// result reports whether r is the job's last result. A daemon counts no bytes below 0: such a result is ignored.
func (a *answer) result(r *event.Result) bool {
	if r.Job != a.job || min(r.StdoutBytes, r.StderrBytes) < 0 || !a.current(r.Attempt) {
		return false
	}
	a.ended = true
	if r.Retrying {
		a.lost += a.missing(r)
	}
	return !r.Retrying
}

// missing returns how many bytes of the output that r counts have not come.
func (a *answer) missing(r *event.Result) (n int64) {
	for name, total := range map[string]int64{"stdout": r.StdoutBytes, "stderr": r.StderrBytes} {
		switch s := a.streams[name]; {
		case s.w == nil:
		case max(1, r.Attempt) > a.attempt: // no event of that attempt has come
			n += total
		default:
			n += max(0, total-s.written)
		}
	}
	return n
}

// tooEarly reports whether events that precede e have not come yet. If e is a result, that is output that e counts. If e is
// of a later attempt, that is the result of the attempt before.
func (a *answer) tooEarly(e event.Event) bool {
	job, attempt := "", 0
	switch {
	case e.Pull != nil:
		job, attempt = e.Pull.Job, e.Pull.Attempt
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

// add writes the new part of a piece, and the kept pieces that follow it.
func (s *answerStream) add(offset int64, data []byte) error {
	if offset > s.written {
		old, kept := s.early[offset]
		if len(data) > len(old) && s.held+len(data)+perPiece <= mostEarly {
			if s.early == nil {
				s.early = make(map[int64][]byte)
			}
			s.held += len(data) - len(old)
			if !kept {
				s.held += perPiece
			}
			s.early[offset] = data
		}
		return nil
	}
	if err := s.write(offset, data); err != nil {
		return err
	}
	for _, at := range slices.Sorted(maps.Keys(s.early)) {
		if at > s.written {
			break
		}
		data := s.early[at]
		delete(s.early, at)
		s.held -= len(data) + perPiece
		if err := s.write(at, data); err != nil {
			return err
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
