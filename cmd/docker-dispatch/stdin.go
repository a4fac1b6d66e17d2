package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
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

	mu      sync.Mutex
	bad     bool          // a message failed
	retries map[int]retry // by place: failed jobs to be tried again after they are settled
	unread  bool          // Run ended before the stream did
	readErr error
}

type settlement struct {
	verdict     intake.Verdict
	publication numbered
	retry       *retry
}

// retry is when, and as which attempt of which job, a message is to be tried again.
type retry struct {
	delay   time.Duration
	attempt int
	id      string
}

// numbered is a message with its place in the stream.
type numbered struct {
	n       int
	body    []byte
	attempt int    // from 1
	id      string // the job's, from the second attempt on
}

func newStdinSource(in io.Reader, gate *intake.Gate, limit, maxMessage int) *stdinSource {
	return &stdinSource{retries: make(map[int]retry), in: in, gate: gate, limit: limit, maxMessage: maxMessage, settled: make(chan settlement, limit)}
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
		case done.retry != nil:
			delayed++
			m := numbered{done.publication.n, done.publication.body, done.retry.attempt, done.retry.id}
			time.AfterFunc(done.retry.delay, func() {
				select {
				case due <- m:
				case <-ctx.Done():
				}
			})
		case done.verdict == intake.Requeue:
			i, _ := slices.BinarySearchFunc(waiting, done.publication, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
			waiting = slices.Insert(waiting, i, done.publication)
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
			s.mu.Lock()
			s.unread = in != nil || len(waiting) > 0 || delayed > 0
			s.mu.Unlock()
			return s.readError()
		}
	}
}

func (s *stdinSource) job(m numbered) intake.Job {
	return intake.Job{
		Queue: "stdin", MessageID: m.id, Attempt: m.attempt, Body: m.body,
		Again: func(_ context.Context, delay time.Duration, attempt int, id string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.retries[m.n] = retry{delay, attempt, id}
			return nil
		},
		Settle: func(_ context.Context, v intake.Verdict, r event.Result) error {
			done := settlement{verdict: v, publication: m}
			s.mu.Lock()
			if again, ok := s.retries[m.n]; ok {
				done.retry = &again
				delete(s.retries, m.n)
			} else {
				s.bad = s.bad || v != intake.Requeue && r.Status != event.Succeeded && r.Status != event.Stopped
			}
			s.mu.Unlock()
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
			if done.verdict == intake.Requeue || done.retry != nil {
				s.mu.Lock()
				s.unread = true
				s.mu.Unlock()
			}
		default:
			return nil
		}
	}
}

// failed returns an error if a message of stdin failed or was not carried out. A job that a message stopped has not failed.
func (s *stdinSource) failed(left int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.unread:
		return errors.New("stopped before all messages of stdin were carried out; those not begun are not kept anywhere")
	case s.bad || left > 0:
		return ui.ErrSomeFailed
	}
	return nil
}

func (s *stdinSource) readError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readErr
}

// read splits the stream into messages.
func (s *stdinSource) read(ctx context.Context, messages chan<- []byte) {
	defer close(messages)
	r := bufio.NewReader(s.in)
	for {
		m, err := client.NextMessage(r, s.maxMessage)
		if len(m) > 0 {
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			s.mu.Lock()
			s.readErr = fmt.Errorf("stdin cannot be read: %w", err)
			s.mu.Unlock()
			return
		}
	}
}
