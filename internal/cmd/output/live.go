package output

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// liveDelay is the longest that a byte waits for more of its stream before it is sent.
const liveDelay = 100 * time.Millisecond

// Live sends the events of a job to the message's reply_to, as they happen. On a nil Live, all methods except Write do
// nothing.
type Live struct {
	stream Stream
	ctx    context.Context // its end stops the sending

	mu    sync.Mutex
	piece event.Output // output that is not sent yet; guarded by mu
	timer *time.Timer
	err   error // why no more is sent; guarded by mu
}

// NewLive returns a Live that sends to s until Close, or until ctx ends.
func NewLive(ctx context.Context, s Stream) *Live {
	l := &Live{stream: s, ctx: ctx}
	l.timer = time.AfterFunc(liveDelay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rest()
	})
	l.timer.Stop()
	return l
}

// Pull sends the event that says how far a pull is. n is how many events of the pull came before: it tells apart those with the
// same status.
func (l *Live) Pull(p event.Pull, n int) {
	if l == nil {
		return
	}
	id := what(event.EventPull, p.Attempt) + "/" + string(p.Status)
	if p.Status == event.Pulling {
		id = fmt.Sprintf("%s/%d", id, n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send(p.Job, id, p.JSON())
}

// Started sends the event that the container has started.
func (l *Live) Started(s event.Started) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest()
	l.send(s.Job, what(event.EventStarted, s.Attempt), s.JSON())
}

// Write sends output, together with output that follows within liveDelay. It blocks while the broker is slow.
func (l *Live) Write(o event.Output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.piece
	if p.Stream != o.Stream || p.Offset+int64(len(p.Data)) != o.Offset {
		l.rest()
	}
	if len(p.Data) == 0 {
		data := p.Data
		*p = o
		p.Data = data
		l.timer.Reset(liveDelay)
	}
	p.Data = append(p.Data, o.Data...)
	for len(p.Data) >= event.MaxData {
		l.part(event.Cut(p.Data))
	}
}

// rest sends the whole piece. The caller holds mu.
func (l *Live) rest() {
	l.timer.Stop()
	if n := len(l.piece.Data); n > 0 {
		l.part(n)
	}
}

// part sends the first n bytes of the piece. The caller holds mu.
func (l *Live) part(n int) {
	o := l.piece
	o.Data = o.Data[:n]
	l.send(o.Job, fmt.Sprintf("%s/%s/%d", what(event.EventOutput, o.Attempt), o.Stream, o.Offset), o.JSON())
	l.piece.Offset += int64(n)
	l.piece.Data = append(l.piece.Data[:0], l.piece.Data[n:]...)
}

func (l *Live) send(job, what string, event []byte) {
	if l.err == nil {
		l.err = l.stream.Send(l.ctx, job, what, event)
	}
}

// Flush returns nil when all events are confirmed, or have been dropped because no queue takes them.
func (l *Live) Flush(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	l.rest()
	err := l.err
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.stream.Flush(ctx)
}

// Close ends the sending. Events that were not flushed may be lost.
func (l *Live) Close() {
	if l == nil {
		return
	}
	l.stream.Close() // first: a blocked send holds mu
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
}

// what returns the first part of an event's name: its kind, and its attempt if not 0.
func what(kind string, attempt int) string {
	if attempt == 0 {
		return kind
	}
	return fmt.Sprintf("%s/%d", kind, attempt)
}

// A Stream sends events to one receiver, in order.
type Stream interface {
	// Send hands an event over. It blocks while too many events are unconfirmed. what tells the events of a job apart, and
	// begins with the kind: "output/stdout/0". The error is that of ctx, or says that the stream has ended.
	Send(ctx context.Context, job, what string, event []byte) error

	// Flush returns nil when all events are confirmed, or have been dropped because no queue takes them. Its errors are
	// those of Send.
	Flush(ctx context.Context) error

	// Close ends the stream. Events that are not confirmed may be lost.
	Close()
}
