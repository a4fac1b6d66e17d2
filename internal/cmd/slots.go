package cmd

import "sync"

// slots hands out a bounded number of places, in the order of the requests. A buffered channel would keep the order
// of the goroutines that reach it, not the queue's.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting []chan struct{}
}

// request asks for a place, and returns a channel that is closed when the place is granted. Each request must be
// released once, with that channel.
func (s *slots) request() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := make(chan struct{})
	if s.free > 0 {
		s.free--
		close(place)
		return place
	}
	s.waiting = append(s.waiting, place)
	return place
}

// unused returns how many places are free.
func (s *slots) unused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

// release gives back a place, or withdraws a request that has not been granted.
func (s *slots) release(place chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.waiting {
		if w == place {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return
		}
	}
	if len(s.waiting) > 0 {
		close(s.waiting[0])
		s.waiting = s.waiting[1:]
		return
	}
	s.free++
}
