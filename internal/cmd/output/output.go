package output

import (
	"bytes"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

const (
	// maxLine is the longest line that is held until its end has come. A longer line is passed on in parts.
	maxLine = 16 << 20
	// freeLine is how many bytes a stream may hold without use of the budget.
	freeLine = 64 << 10
	// lineBudget bounds the bytes that all streams together hold beyond freeLine each. Otherwise many containers that
	// never write a newline would take all memory.
	lineBudget = 32 << 20
	// maxJoined is how many bytes are joined to one piece: those of one read, and a line that began before it.
	maxJoined = 36 << 10
)

// Output takes both streams of a container, makes whole lines of them, counts their bytes, and keeps their tails.
type Output struct {
	Stdout, Stderr stream

	emit   func(stream string, offset int64, data []byte) error
	raw    func(stream string, offset int64, data []byte) // nil: none
	budget *atomic.Int64                                  // shared by all outputs: bytes held beyond freeLine
	moves  atomic.Int64                                   // see Movement
	limit  int64                                          // see Limit; 0: none
	over   func()                                         // see Limit
}

// Limit has over called, once, when both streams together have more bytes than limit, unless that is 0. It must be called
// before the first Write.
func (o *Output) Limit(limit int64, over func()) {
	if limit > 0 {
		o.limit, o.over = limit, over
	}
}

// NewOutput returns an Output. It calls emit with whole lines, except for lines that are too long; raw, which may be nil, with
// all new bytes at once. It keeps the last capture bytes of each stream. All outputs share budget, see lineBudget.
func NewOutput(emit func(stream string, offset int64, data []byte) error, raw func(stream string, offset int64, data []byte), capture int, budget *atomic.Int64) *Output {
	o := &Output{emit: emit, raw: raw, budget: budget}
	o.Stdout = stream{name: "stdout", of: o, tail: tail{limit: capture}}
	o.Stderr = stream{name: "stderr", of: o, tail: tail{limit: capture}}
	return o
}

// Replay prepares for both streams being read again from their beginning: bytes that were seen before are dropped. textOnly
// says that they come from a log that holds a replacement character for each byte that is not UTF-8.
func (o *Output) Replay(textOnly bool) {
	for _, s := range []*stream{&o.Stdout, &o.Stderr} {
		s.skip, s.textOnly = s.seen, textOnly
		if textOnly {
			s.skip += s.bad.extra
			// It is unknown whether the rest of the character came.
			s.altered = s.altered || len(s.bad.partial) > 0
		}
	}
}

// NoReplay takes back Replay: the streams are not read again from their beginning.
func (o *Output) NoReplay() {
	for _, s := range []*stream{&o.Stdout, &o.Stderr} {
		s.skip, s.textOnly = 0, false
	}
}

// Altered reports whether bytes that were passed on may differ from those that the container wrote.
func (o *Output) Altered() bool { return o.Stdout.altered || o.Stderr.altered }

// Movement returns a number that changes whenever output is passed on. It is odd during a Write: then the daemon is slow,
// and not the container. For a nil Output it is 0.
func (o *Output) Movement() int64 {
	if o == nil {
		return 0
	}
	return o.moves.Load()
}

// finish passes on the last lines, which have no newline. short reports whether a replay brought fewer bytes than were seen
// before, for example because rotation cut the log.
func (o *Output) finish() (short bool) {
	o.Stdout.flush()
	o.Stderr.flush()
	return o.Stdout.skip > 0 || o.Stderr.skip > 0
}

// stream is one of a container's two streams: an io.Writer that passes on whole lines.
type stream struct {
	name string
	of   *Output
	seen int64 // bytes written, the held ones included
	skip int64 // bytes of a replay still to drop
	held []byte
	lent int64 // bytes of the budget that held uses
	tail tail

	bad      badBytes
	textOnly bool   // the bytes come from a log of text
	altered  bool   // bytes of the container may have been replaced
	edge     []byte // the last bytes of the previous write
	unshown  bool   // something could not be shown
}

// Write never fails: a failure to show output must not change the job's outcome.
func (s *stream) Write(p []byte) (int, error) {
	o := s.of
	o.moves.Add(1)
	defer o.moves.Add(1)
	n := len(p)
	if s.skip > 0 {
		drop := min(s.skip, int64(len(p)))
		s.skip -= drop
		p = p[drop:]
	}
	if o.raw != nil && len(p) > 0 {
		o.raw(s.name, s.seen, p)
	}
	s.seen += int64(len(p))
	if o.limit > 0 && o.Stdout.seen+o.Stderr.seen > o.limit {
		o.limit = 0
		o.over()
	}
	if s.textOnly {
		s.altered = s.altered || s.replaced(p)
	} else {
		s.bad.count(p)
	}
	s.tail.write(p)
	if end := bytes.LastIndexByte(p, '\n') + 1; end > 0 {
		switch held := len(s.held); {
		case held > 0 && held+end <= maxJoined:
			s.passJoined(p[:end], s.seen-int64(len(p)-end))
			p, end = p[end:], 0
		case held > 0:
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

// joined has buffers for passJoined.
var joined = sync.Pool{New: func() any { return new([maxJoined]byte) }}

// passJoined passes the held bytes and p as one piece. Otherwise what one read brought would be two writes to standard output. Both
// together have at most maxJoined bytes. p ends at offset end of the stream.
func (s *stream) passJoined(p []byte, end int64) {
	buffer := joined.Get().(*[maxJoined]byte)
	defer joined.Put(buffer)
	s.pass(append(append(buffer[:0], s.held...), p...), end)
	s.drop()
}

// replaced reports whether a replacement character is in p, or began in the previous write.
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

// hold keeps the beginning of a line. It passes it on if the line is too long, or the budget is used up.
func (s *stream) hold(p []byte) {
	if len(p) == 0 {
		return
	}
	size := int64(len(s.held) + len(p))
	if over := size - freeLine; over > s.lent {
		want := over - s.lent
		if size > maxLine || s.of.budget.Add(want) > lineBudget {
			if size <= maxLine {
				s.of.budget.Add(-want)
			}
			s.held = append(s.held, p...)
			s.flush()
			return
		}
		s.lent += want
	}
	s.held = append(s.held, p...)
}

// pass passes data to emit. data ends at offset end of the stream.
func (s *stream) pass(data []byte, end int64) {
	if err := s.of.emit(s.name, end-int64(len(data)), data); err != nil {
		s.unshown = true
	}
}

func (s *stream) drop() {
	s.of.budget.Add(-s.lent)
	s.held, s.lent = nil, 0
}

func (s *stream) flush() {
	if len(s.held) > 0 {
		s.pass(s.held, s.seen)
		s.drop()
	}
}

// LogRecord is the most bytes of a line in one record of a container's log (moby daemon/logger, defaultBufSize). A longer
// line has several records. A character that is cut between two records is not UTF-8 in either.
const LogRecord = 16 << 10

// badBytes counts by how many bytes a stream is longer in a log of text.
type badBytes struct {
	extra   int64
	column  int    // in the record
	partial []byte // bytes at the end that may begin a character
}

func (b *badBytes) count(p []byte) {
	for len(p) > 0 {
		n := min(len(p), LogRecord-b.column)
		end := bytes.IndexByte(p[:n], '\n') + 1
		if end > 0 {
			n = end
		}
		b.part(p[:n])
		if b.column += n; end > 0 || b.column == LogRecord {
			b.extra += badByte * int64(len(b.partial))
			b.column, b.partial = 0, nil
		}
		p = p[n:]
	}
}

// badByte is how many bytes longer a replaced byte becomes.
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
	if len(t.buf)+len(p) > 2*t.limit { // moves the bytes once in limit bytes, not at each write
		t.buf = append(t.buf[:0], t.bytes()...)
	}
	t.buf = append(t.buf, p...)
}

func (t *tail) bytes() []byte { return t.buf[max(0, len(t.buf)-t.limit):] }

// End ends the output, and fills in its part of the result. cut says that some output is known to be missing.
func (o *Output) End(r *event.Result, cut bool) {
	short := o.finish()
	r.Stdout, r.StdoutBytes = text(o.Stdout.tail.bytes()), o.Stdout.seen
	r.Stderr, r.StderrBytes = text(o.Stderr.tail.bytes()), o.Stderr.seen
	r.Incomplete = cut || short || o.Altered() || o.Stdout.unshown || o.Stderr.unshown
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
