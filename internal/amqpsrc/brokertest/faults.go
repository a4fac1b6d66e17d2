package brokertest

import (
	"sync"
	"time"
)

// A Way is one of the two in which bytes go through a Proxy.
type Way int

const (
	ToServer Way = iota
	ToClient
)

func (w Way) String() string { return [...]string{"to the server", "to the client"}[w] }

// Faults are what is done to bytes on their way. Where a method takes ways, none means both.
type Faults struct {
	mu      sync.Mutex
	stalled [2]int        // guarded by mu, as all below: how many stalls are on, by way
	slow    [2]int        // how many delays are on, by way
	left    [2]int        // bytes until the next cut, by way; negative: none
	changed chan struct{} // closed when any of the above has changed
}

func newFaults() *Faults { return &Faults{left: [2]int{-1, -1}, changed: make(chan struct{})} }

// Stall stops all bytes, until it is taken back by Stall(-1, ...).
func (f *Faults) Stall(by int, ways ...Way) { f.add(&f.stalled, by, ways) }

// Delay lets bytes pass one by one, PerByte apart, until it is taken back by Delay(-1, ...).
func (f *Faults) Delay(by int, ways ...Way) { f.add(&f.slow, by, ways) }

// CutAfter cuts the connection that brings the n+1st byte from now on; none where n is negative.
func (f *Faults) CutAfter(n int, way Way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left[way] = n
	f.change()
}

func (f *Faults) add(on *[2]int, by int, ways []Way) {
	if len(ways) == 0 {
		ways = []Way{ToServer, ToClient}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range ways {
		on[w] += by
	}
	f.change()
}

func (f *Faults) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// PerByte is how long a byte takes while there is a delay.
const PerByte = time.Millisecond

// admit waits until bytes may pass, and says how many of n; 0 means that the connection is to be cut, or is done.
func (f *Faults) admit(done <-chan struct{}, way Way, n int) int {
	for {
		f.mu.Lock()
		stalled, slow, changed := f.stalled[way] > 0, f.slow[way] > 0, f.changed
		if !stalled {
			if slow {
				n = 1
			}
			if f.left[way] == 0 {
				f.left[way] = -1
				n = 0
			} else if f.left[way] > 0 {
				n = min(n, f.left[way])
				f.left[way] -= n
			}
		}
		f.mu.Unlock()
		if !stalled && !slow {
			return n
		}
		var delay <-chan time.Time
		if !stalled {
			timer := time.NewTimer(PerByte)
			defer timer.Stop()
			delay = timer.C
			changed = nil
		}
		select {
		case <-delay:
			return n
		case <-changed:
		case <-done:
			return 0
		}
	}
}
