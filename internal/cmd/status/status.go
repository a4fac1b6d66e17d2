package status

import (
	"cmp"
	"slices"
	"time"
)

// Most bounds the jobs of each list in a [Status]. The counts beside the lists are exact.
const Most = 1000

// A Status is what one daemon is doing at one moment. Its JSON is the answer to `ps`. Times are UTC.
type Status struct {
	Host    string
	Queue   string
	Version string    // the program's
	PID     int       // the daemon's process
	Since   time.Time // when the daemon started
	At      time.Time // when all this was so

	Ready      bool        // every condition that has to be met is met
	Conditions []Condition // in a fixed order

	Slots    int   // how many runs and execs may go on at a time
	InUse    int   // how many of the slots are taken
	Running  Jobs  // the engine may have been asked for something; oldest first
	Waiting  Jobs  // the engine was not asked for anything yet; in the queue's order. After them those whose messages wait for a host that may run them, oldest first
	Settling int   `json:",omitempty"` // jobs that have ended, and whose messages are not acked yet
	Ended    []Job `json:",omitempty"` // the jobs that ended lately, the last one first; at most MostEnded
	Failed   []Job `json:",omitempty"` // of all that ended since the start, the last ones that failed: see Job.Failed; at most MostEnded

	Outcomes  []Outcome // how the jobs since the start ended, most frequent first
	PerMinute float64   // jobs that ended a minute, over the last RateOver

	// Queued and DeadLetters are how many messages wait in the queue and in the dead-letter queue; nil: not known.
	Queued      *int `json:",omitempty"`
	DeadLetters *int `json:",omitempty"`

	Retrying  *int `json:",omitempty"` // messages that wait for their next attempt, in the queues for that which the daemon has used
	Consumers *int `json:",omitempty"` // how many take messages from the queue, this daemon among them; nil: not known

	DeadLetterQueue string `json:",omitempty"` // "": messages are rejected instead

	Counters `json:"-"`
}

// MostEnded is how many ended jobs are listed, and how many of those that failed.
const MostEnded = 100

// RateOver is the time over which PerMinute is measured.
const RateOver = 5 * time.Minute

// Jobs is how many jobs there are, and the first of them.
type Jobs struct {
	Count int
	Jobs  []Job `json:",omitempty"` // at most Most
}

// A Job is one message's work.
type Job struct {
	Job           string // its id
	Command       string `json:"Dockercmd,omitempty"`
	ContainerName string `json:",omitempty"`
	ContainerID   string `json:"ContainerId,omitempty"`
	Image         string `json:",omitempty"`
	User          string `json:",omitempty"` // as the broker has verified it
	Attempt       int    `json:",omitempty"` // from 1; 0 if the job has no Retry
	Adopted       bool   `json:",omitempty"` // an earlier process started its container

	// Phase is how far a job that has not ended has come: "waiting", "begun", "created", "started", "exited", "ended" (its
	// result is being stored), "acked".
	Phase string `json:",omitempty"`
	For   string `json:",omitempty"` // what a waiting job waits for, in words

	Published *time.Time `json:",omitempty"` // by the message's timestamp
	Taken     time.Time  // when the message came to this process
	Started   *time.Time `json:",omitempty"` // when the container started; of a command without one, when the engine was asked first

	// An ended job has these, as in its result.
	Ended    *time.Time `json:",omitempty"`
	Status   string     `json:",omitempty"`
	Reason   string     `json:",omitempty"`
	Error    string     `json:",omitempty"`
	ExitCode *int       `json:",omitempty"`
	Retrying bool       `json:",omitempty"`

	DeadLetter bool `json:",omitempty"` // its message was put into the dead-letter queue
}

// An Outcome is how many attempts of a command ended in one way.
type Outcome struct {
	Command string `json:"Dockercmd,omitempty"` // empty: the message could not be decoded
	Status  string
	Reason  string `json:",omitempty"`
	Count   int64
}

// A Condition is something that the daemon needs, or warns of.
type Condition struct {
	Name   string // one word: "engine", "broker", "results", "disk" ...
	State  State
	Reason string `json:",omitempty"` // why it is so, in words; also of a condition that is met
}

// State is the state of a condition.
type State string

const (
	Met     State = "ok"
	Warning State = "warning" // the daemon works; somebody should look at it
	Unmet   State = "not ok"  // the daemon takes no messages, or takes them and cannot settle them
)

// Judge sets Ready: no condition is unmet.
func (s *Status) Judge() {
	s.Ready = !slices.ContainsFunc(s.Conditions, func(c Condition) bool { return c.State == Unmet })
}

// Oldest returns the waiting job whose message is the oldest; ok is false if no job waits.
func (s *Status) Oldest() (oldest Job, ok bool) {
	return first(s.Waiting.Jobs, func(j Job) time.Duration { return j.Age(s.At) })
}

// Longest returns the job that has run for longest; ok is false if no job runs.
func (s *Status) Longest() (longest Job, ok bool) {
	return first(s.Running.Jobs, func(j Job) time.Duration { return j.Runs(s.At) })
}

// first returns the job with the longest time.
func first(jobs []Job, since func(Job) time.Duration) (j Job, ok bool) {
	if len(jobs) == 0 {
		return j, false
	}
	return slices.MaxFunc(jobs, func(a, b Job) int { return cmp.Compare(since(a), since(b)) }), true
}

// Runs returns how long the job has been running.
func (j Job) Runs(now time.Time) time.Duration {
	return now.Sub(*cmp.Or(j.Started, &j.Taken))
}

// Age returns how old the job's message is: since its publishing, else since it was taken.
func (j Job) Age(now time.Time) time.Duration {
	return now.Sub(*cmp.Or(j.Published, &j.Taken))
}

// TimeLeft estimates when nothing will wait any more if jobs go on to end as they did. ok is false if that is not known, as when
// the daemon takes no messages, or others take from the queue, too, whose rates are not in s.
func (s *Status) TimeLeft() (left time.Duration, ok bool) {
	switch {
	case !s.Ready, s.Queued == nil, s.Consumers != nil && *s.Consumers > 1:
		return 0, false
	case *s.Queued+s.Waiting.Count == 0:
		return 0, true
	case s.PerMinute <= 0:
		return 0, false
	}
	return Span(*s.Queued+s.Waiting.Count, s.PerMinute), true
}

// Span returns how long so many jobs take at a rate, at most a century: the numbers may be a stranger's.
func Span(jobs int, perMinute float64) time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	minutes := float64(jobs) / perMinute
	if !(minutes < most.Minutes()) {
		return most
	}
	d := time.Duration(max(0, minutes) * float64(time.Minute))
	if d > 2*time.Minute {
		d = d.Round(time.Minute) // it is shown in whole minutes
	}
	return d
}

// Failed reports whether the job has ended, and did not do what its message asked for. An attempt after which another one
// follows has failed too.
func (j Job) Failed() bool { return j.Status != "" && failed(j.Status) }

// Failed is the same of the jobs that it counts.
func (o Outcome) Failed() bool { return failed(o.Status) }

// failed reports whether a status is one of failure. An event.Status has the words.
func failed(s string) bool { return s != "succeeded" && s != "stopped" }

// Totals returns how many jobs have ended since the start, and how many of them failed.
func (s *Status) Totals() (ended, failed int64) {
	for _, o := range s.Outcomes {
		ended += o.Count
		if o.Failed() {
			failed += o.Count
		}
	}
	return ended, failed
}

// MessageOf says where the message of a job that ended is.
func (s *Status) MessageOf(j Job) string {
	switch {
	case j.Retrying:
		return "tried again"
	case j.DeadLetter && s.DeadLetterQueue != "":
		return "in " + s.DeadLetterQueue
	case j.DeadLetter:
		return "rejected"
	}
	return "acked"
}
