// Package slots hands out places in the order of the requests.
package slots

import (
	"slices"
	"sync"
)

// Slots are a bounded number of places. A buffered channel would keep the order of the goroutines that reach it, not the
// order of the requests.
type Slots struct {
	mu      sync.Mutex
	free    int
	waiting []*Place
}

// New returns n places.
func New(n int) *Slots { return &Slots{free: n} }

// A Place is one that was requested. It is granted when Ready is closed.
type Place struct {
	of    *Slots
	Ready chan struct{}
}

// Request asks for a place. Each must be released once.
func (s *Slots) Request() *Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Place{s, make(chan struct{})}
	if s.free > 0 {
		s.free--
		close(p.Ready)
		return p
	}
	s.waiting = append(s.waiting, p)
	return p
}

// Unused returns how many places are free.
func (s *Slots) Unused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

// Release gives back a place, or withdraws a request that has not been granted. A nil place was never requested.
func (p *Place) Release() {
	if p == nil {
		return
	}
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.Ready:
	default:
		s.waiting = slices.DeleteFunc(s.waiting, func(w *Place) bool { return w == p })
		return
	}
	if len(s.waiting) > 0 {
		close(s.waiting[0].Ready)
		s.waiting = s.waiting[1:]
		return
	}
	s.free++
}

// Shares are the places of users who may have only so many jobs under way. Another limit for a user makes new places: what is
// under way does not count then. The zero value is ready for use.
type Shares struct {
	mu sync.Mutex
	of map[share]*Slots // guarded by mu
}

type share struct {
	user  string
	limit int
}

// Of returns the places of a user; nil: there is no limit.
func (s *Shares) Of(user string, limit int) *Slots {
	if limit == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = make(map[share]*Slots)
	}
	k := share{user, limit}
	if s.of[k] == nil {
		s.of[k] = New(limit)
	}
	return s.of[k]
}
