package main

import (
	"bufio"
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

	bad    atomic.Bool // a message failed
	unread atomic.Bool // Run ended before the stream did
}

type settlement struct {
	message numbered
	verdict intake.Verdict
	next    *numbered // the next attempt; nil: there is none
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
	readErr := make(chan error, 1)
	go func() { readErr <- s.read(ctx, messages) }()

	var waiting []numbered // read or requeued, and not handed over; in the stream's order, retries last
	read := 0
	underWay, delayed := 0, 0 // delayed counts jobs that wait to be tried again
	due := make(chan numbered)
	take := func(done settlement) {
		underWay--
		switch {
		case done.next != nil:
			delayed++
			time.AfterFunc(done.delay, func() {
				select {
				case due <- *done.next:
				case <-ctx.Done():
				}
			})
		case done.verdict == intake.Requeue:
			i, _ := slices.BinarySearchFunc(waiting, done.message, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
			waiting = slices.Insert(waiting, i, done.message)
		}
	}
	for in := (<-chan []byte)(messages); ; {
		for len(s.settled) > 0 { // a requeued message goes before later messages
			take(<-s.settled)
		}
		if in == nil && underWay == 0 && delayed == 0 && len(waiting) == 0 {
			return <-readErr
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
			if in != nil {
				return nil
			}
			return <-readErr
		}
	}
}

func (s *stdinSource) job(m numbered) intake.Job {
	done := settlement{message: m}
	return intake.Job{
		Queue: "stdin", MessageID: m.id, Attempt: m.attempt, Body: m.body,
		Again: func(_ context.Context, delay time.Duration, attempt int, id string) error {
			done.next, done.delay = &numbered{m.n, m.body, attempt, id}, delay
			return nil
		},
		Settle: func(_ context.Context, v intake.Verdict, r event.Result) error {
			if done.verdict = v; done.next == nil && v != intake.Requeue && r.Status != event.Succeeded && r.Status != event.Stopped {
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
			if done.verdict == intake.Requeue || done.next != nil {
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

// read splits the stream into messages.
func (s *stdinSource) read(ctx context.Context, messages chan<- []byte) error {
	defer close(messages)
	r := bufio.NewReader(s.in)
	for {
		m, err := client.NextMessage(r, s.maxMessage)
		if len(m) > 0 {
			select {
			case messages <- m:
			case <-ctx.Done():
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stdin cannot be read: %w", err)
		}
	}
}
