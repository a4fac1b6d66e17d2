package status

import (
	"slices"
	"time"
)

// Counters count since the daemon's start. They are for the metrics, and not in the JSON.
type Counters struct {
	Taken       int64 // deliveries
	Redelivered int64 // deliveries with the redelivered flag
	Joined      int64 // deliveries of a job that this process had already
	Adopted     int64 // containers of earlier processes
	Retried     int64 // attempts after which another one follows
	Claimed     int64 // claims of jobs and of containers' names, if several hosts share the queue
	Forwarded   int64 // deliveries that were forwarded to the host that has the job
	LostClaims  int64 // claims that led to no host, or to a host that has no such container any more
	OutputBytes int64 // that containers wrote, as they come; the rest of a line when it is whole

	OldestRunning time.Time // when the job that runs for longest began; zero: none runs
	OldestWaiting time.Time // when the oldest message that waits here was published, or taken if that is not known; zero: none waits

	ToStart Histogram // from publishing to the start of the container, first attempts only
	ToEnd   Histogram // from the start to the end of runs and execs

	Broker Broker
	Calls  []Call // of the engine
	Disk   Disk
}

// Broker counts what has to do with the broker.
type Broker struct {
	Sessions    int64 // consuming connections that were opened, of the queue and of the control queue
	Unconfirmed int64 // messages that were published and are not confirmed yet
	Published   int64 // messages that were published
	DeadLetters int64 // messages that were stored in the dead-letter queue
	Dropped     int64 // answers that could not be sent to their reply_to
}

// A Call is how often an engine call was made, and how long it took until its answer's header.
type Call struct {
	Route  string // method and path, as `docker-dispatch --api-calls` prints it
	Status int    // 0: there was no answer
	Took   Histogram
}

// Disk is the room on the disk that holds the engine's data; the zero Disk: it is not watched.
type Disk struct {
	Root       string // the engine's folder
	Free, Need int64  // bytes
}

// Bounds are the upper bounds of a Histogram's buckets, in seconds. A last bucket takes what is above.
var Bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}

// A Histogram counts durations.
type Histogram struct {
	Buckets [len(Bounds) + 1]int64 // each counts its own durations only, not those of the smaller ones
	Sum     float64                // seconds
}

// Count returns how many durations were counted.
func (h *Histogram) Count() (n int64) {
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Join adds the durations of another Histogram.
func (h *Histogram) Join(o Histogram) {
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
	h.Sum += o.Sum
}

// Add counts a duration; a negative one, of clocks that differ, as 0.
func (h *Histogram) Add(d time.Duration) {
	s := max(0, d.Seconds())
	i, _ := slices.BinarySearch(Bounds[:], s)
	h.Buckets[i]++
	h.Sum += s
}
