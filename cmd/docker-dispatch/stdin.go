package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// stdinSource delivers the messages of a stream, one JSON object after another.
type stdinSource struct {
	in         io.Reader
	gate       *intake.Gate
	limit      int // jobs under way at a time
	maxMessage int

	settled chan settlement // has room for all jobs under way: settling never waits

	bad     atomic.Bool // a message failed
	unread  atomic.Bool // Run ended before the stream did
	readErr atomic.Pointer[error]
}

// A settlement is the end of a job's work on a message.
type settlement struct {
	message numbered
	requeue bool
	again   *numbered // what is to be tried after delay; nil: nothing
	delay   time.Duration
}

// numbered is a message with its place in the stream.
type numbered struct {
	n       int
	body    []byte
	attempt int    // from 1
	id      string // the job's, from the second attempt on
}

func newStdinSource(in io.Reader, gate *intake.Gate, limit, maxMessage int) *stdinSource {
	return &stdinSource{in: in, gate: gate, limit: limit, maxMessage: maxMessage, settled: make(chan settlement, limit)}
}

// Run implements source. It returns when all messages are settled, or ctx ends.
func (s *stdinSource) Run(ctx context.Context, jobs, control chan<- intake.Job) error {
	defer close(jobs)
	close(control)
	messages := make(chan []byte)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A read of stdin cannot be interrupted: this goroutine may outlive Run, and ends with the program.
	go s.read(ctx, messages)

	var waiting []numbered // read or requeued, and not handed over; in the stream's order, retries last
	read := 0
	underWay, delayed := 0, 0 // delayed counts jobs that wait to be tried again
	due := make(chan numbered)
	take := func(done settlement) {
		underWay--
		switch {
		case done.again != nil:
			delayed++
			time.AfterFunc(done.delay, func() {
				select {
				case due <- *done.again:
				case <-ctx.Done():
				}
			})
		case done.requeue:
			i, _ := slices.BinarySearchFunc(waiting, done.message, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
			waiting = slices.Insert(waiting, i, done.message)
		}
	}
	for in := (<-chan []byte)(messages); ; {
		for len(s.settled) > 0 { // a requeued message goes before later messages
			take(<-s.settled)
		}
		if in == nil && underWay == 0 && delayed == 0 && len(waiting) == 0 {
			return s.readError()
		}
		open, changed := s.gate.State()
		var next chan<- intake.Job
		var job intake.Job
		if open && len(waiting) > 0 && underWay < s.limit {
			next, job = jobs, s.job(waiting[0])
		}
		var more <-chan []byte
		if len(waiting) == 0 {
			more = in
		}
		select {
		case next <- job:
			waiting = waiting[1:]
			underWay++
		case m, ok := <-more:
			if !ok {
				in = nil
				continue
			}
			read++
			waiting = append(waiting, numbered{n: read, body: m, attempt: 1})
		case m := <-due:
			delayed--
			waiting = append(waiting, m)
		case done := <-s.settled:
			take(done)
		case <-changed:
		case <-ctx.Done():
			s.unread.Store(in != nil || len(waiting) > 0 || delayed > 0)
			return s.readError()
		}
	}
}

func (s *stdinSource) job(m numbered) intake.Job {
	done := settlement{message: m}
	return intake.Job{
		Queue: "stdin", MessageID: m.id, Attempt: m.attempt, Body: m.body,
		Again: func(_ context.Context, delay time.Duration, attempt int, id string) error {
			done.again, done.delay = &numbered{m.n, m.body, attempt, id}, delay
			return nil
		},
		Settle: func(_ context.Context, v intake.Verdict, r event.Result) error {
			done.requeue = v == intake.Requeue
			if done.again == nil && !done.requeue && r.Status != event.Succeeded && r.Status != event.Stopped {
				s.bad.Store(true)
			}
			s.settled <- done
			return nil
		},
	}
}

// Quiet implements source. It is always false: after a stream ends no process owns its containers.
func (s *stdinSource) Quiet(context.Context, time.Duration) (at intake.Place, quiet bool) {
	return intake.Place{}, false
}

// Close implements source. A message that was requeued after the end of Run stays undone.
func (s *stdinSource) Close(context.Context) error {
	for {
		select {
		case done := <-s.settled:
			if done.requeue || done.again != nil {
				s.unread.Store(true)
			}
		default:
			return nil
		}
	}
}

// failed returns an error if a message of stdin failed or was not carried out. A job that a message stopped has not failed.
func (s *stdinSource) failed(left int) error {
	switch {
	case s.unread.Load():
		return errors.New("stopped before all messages of stdin were carried out; those not begun are not kept anywhere")
	case s.bad.Load() || left > 0:
		return ui.ErrSomeFailed
	}
	return nil
}

func (s *stdinSource) readError() error {
	if err := s.readErr.Load(); err != nil {
		return *err
	}
	return nil
}

// read splits the stream into messages.
func (s *stdinSource) read(ctx context.Context, messages chan<- []byte) {
	defer close(messages)
	for m, err := range client.Messages(s.in, s.maxMessage) {
		if err != nil {
			s.readErr.Store(new(fmt.Errorf("stdin cannot be read: %w", err)))
			return
		}
		select {
		case messages <- m:
		case <-ctx.Done():
			return
		}
	}
}
