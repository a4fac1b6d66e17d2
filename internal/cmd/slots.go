package cmd

import (
	"slices"
	"sync"
)

// slots hands out a bounded number of places, in the order of the requests. A buffered channel would keep the order
// of the goroutines that reach it, not the queue's.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting []*place
}

// A place is one that was requested. It is granted when ready is closed.
type place struct {
	of    *slots
	ready chan struct{}
}

// request asks for a place. Each must be released once.
func (s *slots) request() *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &place{s, make(chan struct{})}
	if s.free > 0 {
		s.free--
		close(p.ready)
		return p
	}
	s.waiting = append(s.waiting, p)
	return p
}

// unused returns how many places are free.
func (s *slots) unused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

// release gives back a place, or withdraws a request that has not been granted. A nil place was never requested.
func (p *place) release() {
	if p == nil {
		return
	}
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isClosed(p.ready) {
		s.waiting = slices.DeleteFunc(s.waiting, func(w *place) bool { return w == p })
		return
	}
	if len(s.waiting) > 0 {
		close(s.waiting[0].ready)
		s.waiting = s.waiting[1:]
		return
	}
	s.free++
}

// shares are the places of users who may have only so many jobs under way, see policy.Rules.Jobs. A policy that is read anew
// with another number makes new ones: what is under way does not count then.
type shares struct {
	mu sync.Mutex
	of map[share]*slots // guarded by mu
}

type share struct {
	user  string
	limit int
}

// get returns the places of the task's user; nil: there is no limit.
func (s *shares) get(t *task) *slots {
	limit := t.rules.Jobs()
	if limit == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[share]*slots)
	}
	k := share{t.user, limit}
	if s.of[k] == nil {
		s.of[k] = &slots{free: limit}
	}
	return s.of[k]
}
