package output

import (
	"bytes"
	"sync/atomic"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

const (
	// maxLine is the longest line that is held until its end has come. What is longer is passed on
	// in parts.
	maxLine = 16 << 20
	// freeLine is what a stream may hold without asking the budget.
	freeLine = 64 << 10
	// lineBudget bounds what all streams together hold beyond freeLine each, so that many
	// containers that never write a newline cannot take all memory.
	lineBudget = 64 << 20
)

// Output is what a command shows of a container: both streams, put together to whole lines,
// counted, and their tails kept.
type Output struct {
	Stdout, Stderr stream
	moves          atomic.Int64 // see Movement
}

// NewOutput makes an output that passes whole lines on to emit, and all bytes as they come to raw, which
// may be nil.
func NewOutput(emit func(stream string, offset int64, data []byte) error, raw func(stream string, offset int64, data []byte), capture int, budget *atomic.Int64) *Output {
	o := new(Output)
	o.Stdout = stream{name: "stdout", emit: emit, raw: raw, budget: budget, moves: &o.moves, tail: tail{limit: capture}}
	o.Stderr = stream{name: "stderr", emit: emit, raw: raw, budget: budget, moves: &o.moves, tail: tail{limit: capture}}
	return o
}

// Replay makes ready for both streams being read again from their beginning: what has been passed
// on already is dropped. textOnly: they are read from a log that holds a replacement character for each
// byte that is not UTF-8.
func (o *Output) Replay(textOnly bool) {
	for _, s := range []*stream{&o.Stdout, &o.Stderr} {
		s.skip, s.textOnly = s.seen, textOnly
		if textOnly {
			s.skip += s.bad.extra
			// Whether the rest of a character came nobody knows.
			s.altered = s.altered || len(s.bad.partial) > 0
		}
	}
}

// NoReplay says that the streams are not read again after all.
func (o *Output) NoReplay() {
	for _, s := range []*stream{&o.Stdout, &o.Stderr} {
		s.skip, s.textOnly = 0, false
	}
}

// Altered tells whether bytes that were passed on are others than the container wrote.
func (o *Output) Altered() bool { return o.Stdout.altered || o.Stderr.altered }

// unshown tells whether some of it could not be shown.
func (o *Output) unshown() bool { return o.Stdout.unshown || o.Stderr.unshown }

// Movement changes while output is passed on. It is odd as long as a piece is on its way, so that
// the reader waits for us and not we for it. A nil output does not move.
func (o *Output) Movement() int64 {
	if o == nil {
		return 0
	}
	return o.moves.Load()
}

// finish passes on what is left: last lines without a newline. It tells whether a replay has
// brought less than had been seen before, as when a log was cut by rotation.
func (o *Output) finish() (short bool) {
	o.Stdout.flush()
	o.Stderr.flush()
	return o.Stdout.skip > 0 || o.Stderr.skip > 0
}

// stream is one of a container's two streams: an io.Writer that passes on whole lines.
type stream struct {
	name   string
	emit   func(stream string, offset int64, data []byte) error
	raw    func(stream string, offset int64, data []byte)
	budget *atomic.Int64 // shared: what streams hold beyond freeLine
	moves  *atomic.Int64
	seen   int64 // bytes written, the held ones included
	skip   int64 // bytes of a replay still to drop
	held   []byte
	lent   int64 // how much of the budget held uses
	tail   tail

	bad      badBytes
	textOnly bool   // what comes is from a log of text
	altered  bool   // and had bytes replaced
	edge     []byte // the last bytes of the write before
	unshown  bool   // something could not be shown
}

// Write never fails: showing output must not change what becomes of the job.
func (s *stream) Write(p []byte) (int, error) {
	s.moves.Add(1)
	defer s.moves.Add(1)
	n := len(p)
	if s.skip > 0 {
		drop := min(s.skip, int64(len(p)))
		s.skip -= drop
		p = p[drop:]
	}
	if s.raw != nil && len(p) > 0 {
		s.raw(s.name, s.seen, p)
	}
	s.seen += int64(len(p))
	if s.textOnly {
		s.altered = s.altered || s.replaced(p)
	} else {
		s.bad.count(p)
	}
	s.tail.write(p)
	if end := bytes.LastIndexByte(p, '\n') + 1; end > 0 {
		if len(s.held) > 0 {
			first := bytes.IndexByte(p, '\n') + 1
			s.held = append(s.held, p[:first]...)
			s.pass(s.held, s.seen-int64(len(p)-first))
			s.drop()
			p, end = p[first:], end-first
		}
		if end > 0 {
			s.pass(p[:end], s.seen-int64(len(p)-end))
			p = p[end:]
		}
	}
	s.hold(p)
	return n, nil
}

// replaced tells whether a replacement character is in p, or has begun in the write before.
func (s *stream) replaced(p []byte) bool {
	const mark = "\uFFFD"
	text := append(s.edge, p[:min(len(p), len(mark)-1)]...)
	found := bytes.Contains(text, []byte(mark)) || bytes.Contains(p, []byte(mark))
	if len(p) >= len(mark)-1 {
		text = p
	}
	s.edge = append([]byte(nil), text[max(0, len(text)-len(mark)+1):]...)
	return found
}

// hold keeps the beginning of a line, or passes it on where it is too long to keep.
func (s *stream) hold(p []byte) {
	if len(p) == 0 {
		return
	}
	size := int64(len(s.held) + len(p))
	if over := size - freeLine; over > s.lent {
		want := over - s.lent
		if size > maxLine || s.budget.Add(want) > lineBudget {
			if size <= maxLine {
				s.budget.Add(-want)
			}
			s.held = append(s.held, p...)
			s.pass(s.held, s.seen)
			s.drop()
			return
		}
		s.lent += want
	}
	s.held = append(s.held, p...)
}

// pass gives on data, which ends at offset end of the stream.
func (s *stream) pass(data []byte, end int64) {
	if err := s.emit(s.name, end-int64(len(data)), data); err != nil {
		s.unshown = true
	}
}

func (s *stream) drop() {
	s.budget.Add(-s.lent)
	s.held, s.lent = nil, 0
}

func (s *stream) flush() {
	if len(s.held) > 0 {
		s.pass(s.held, s.seen)
		s.drop()
	}
}

// textRecord is how many bytes of a line are one record of a container's log; the rest is further ones
// (moby daemon/logger, defaultBufSize). A character that is cut there is none.
const textRecord = 16 << 10

// badBytes counts what a stream is longer in a log of text.
type badBytes struct {
	extra   int64
	column  int    // in the record
	partial []byte // the beginning of a character, perhaps
}

func (b *badBytes) count(p []byte) {
	for len(p) > 0 {
		n := min(len(p), textRecord-b.column)
		end := bytes.IndexByte(p[:n], '\n') + 1
		if end > 0 {
			n = end
		}
		b.part(p[:n])
		if b.column += n; end > 0 || b.column == textRecord {
			b.extra += badByte * int64(len(b.partial))
			b.column, b.partial = 0, nil
		}
		p = p[n:]
	}
}

// badByte is what a byte that is replaced adds to its own length.
const badByte = int64(len("\uFFFD")) - 1

// part counts a part of a record.
func (b *badBytes) part(p []byte) {
	if len(b.partial) == 0 && utf8.Valid(p) {
		return
	}
	p = append(b.partial, p...)
	for len(p) > 0 && utf8.FullRune(p) {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			b.extra += badByte
		}
		p = p[size:]
	}
	b.partial = append([]byte(nil), p...)
}

// tail keeps the last bytes of what is written to it.
type tail struct {
	limit int
	buf   []byte
}

func (t *tail) write(p []byte) {
	if len(p) > t.limit {
		p = p[len(p)-t.limit:]
	}
	if len(t.buf)+len(p) > 2*t.limit { // moved once in limit bytes, not at each write
		t.buf = append(t.buf[:0], t.bytes()...)
	}
	t.buf = append(t.buf, p...)
}

func (t *tail) bytes() []byte { return t.buf[max(0, len(t.buf)-t.limit):] }

// End ends the output, and fills in what a result holds of it. cut: some is known to be missing.
func (o *Output) End(r *event.Result, cut bool) {
	short := o.finish()
	r.Stdout, r.StdoutBytes = text(o.Stdout.tail.bytes()), o.Stdout.seen
	r.Stderr, r.StderrBytes = text(o.Stderr.tail.bytes()), o.Stderr.seen
	r.Incomplete = cut || short || o.unshown() || o.Altered()
}

// text returns the end of a stream as a string that does not begin inside a character.
func text(b []byte) string {
	for i := 0; i < len(b) && i < utf8.UTFMax; i++ {
		if utf8.RuneStart(b[i]) {
			return string(b[i:])
		}
	}
	return string(b)
}
