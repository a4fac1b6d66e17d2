package live

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/holding"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// ErrNotBegun says that the engine was told nothing, and that recall has requeued the message.
var ErrNotBegun = errors.New("not begun")

// A Task is a live job: its decoded message, its deliveries, its phase. One goroutine works on it. The comment of each
// field that others read or write names the field's guard.
type Task struct {
	identity.Identity
	Decoded
	turn
	containerOf
	deliveries
	in  *Registry       // which knows the task
	Ctx context.Context // its end leaves the task as it is
	Log *slog.Logger

	came      time.Time         // when the message came
	Published time.Time         // by the message's timestamp; zero: not known
	Waits     int               // how often the message was put back, because no host could have it
	From      *intake.Forwarded // how the first delivery came from another host; nil: it did not
	Keys      holding.Claims    // what the task has claimed

	// Guarded by the registry.
	phase   Phase // changed by Registry.move only
	awaited []phaseWait
	began   time.Time  // when the engine was asked first, and from Started on when the container started
	away    *Elsewhere // why the task has no result here
	kept    bool       // the dead-letter queue may have a copy

	Name    string          // the container's, asked for or derived; "": unknown; written with the registry's mutex
	Told    map[string]bool // who has the result, by Job.ReplyTo; only the task's goroutine uses it until the registry has removed the task
	Cleanup func() error    // removes the job's container; may be nil; not written from Ended on, see Registry.Leaves

	redelivered atomic.Bool   // a delivery has the redelivered flag
	Cancelled   chan struct{} // closed when a message asked for the job's end; heeded until its container is created
	Superseded  chan struct{} // closed when a later task has taken over the message
}

// Init makes t the task of a job, which is the seq-th of the pool. The registry does not know it yet.
func (t *Task) Init(ctx context.Context, j intake.Job, i identity.Identity, d Decoded, seq int64) {
	t.Identity, t.Decoded, t.Ctx = i, d, ctx
	t.came, t.Published, t.Waits, t.From = time.Now(), j.Published, j.Waits, j.Forwarded
	t.seq, t.Control, t.Order = seq, j.Control, newOrder(d.Traits.Stops)
	t.deliveries = newDeliveries(j)
	t.Told, t.Cancelled, t.Superseded = make(map[string]bool), make(chan struct{}), make(chan struct{})
	t.redelivered.Store(j.Redelivered)
}

// Follows has t take over the message of an earlier task, and wait for its end. It is called once for an earlier task: from
// then on the registry finds t for the message.
func (t *Task) Follows(earlier *Task) {
	t.Earlier = earlier.Reached(Gone)
	close(earlier.Superseded)
}

// WasRedelivered reports whether a delivery has the redelivered flag.
func (t *Task) WasRedelivered() bool { return t.redelivered.Load() }

// Decoded is a decoded message. It does not change after Registry.Add.
type Decoded struct {
	Cmd     message.Command
	Traits  message.Traits // of Cmd
	Invalid error          // why the message is refused; Cmd is nil if it was not decoded
	Rules   *policy.Rules  // what its sender's messages may ask for
	Denied  error          // why no container may be made; one that exists is followed
}

// MayBeClaimed reports whether another host may have made the claim of a message's job for this host. For most commands none does.
func (d Decoded) MayBeClaimed() bool {
	return d.Cmd == nil || d.Traits.Placement != nil
}

// join adds a delivery. The registry's mutex is held.
func (t *Task) join(j intake.Job) {
	t.deliveries.join(j)
	if j.Redelivered {
		t.redelivered.Store(true)
	}
}

// TakesEffect records that the command has taken effect, or never will. It may be called again.
func (t *Task) TakesEffect() {
	t.Order.once.Do(func() {
		t.in.effective(t.Order)
	})
}

// ShownAttempt returns the attempt's number if the job may have several attempts, else 0.
func (t *Task) ShownAttempt() int {
	if t.Traits.Retry != nil {
		return t.Attempt
	}
	return 0
}

// Retries reports whether a run has ended, and may be tried again.
func (t *Task) Retries() bool {
	p := t.At()
	return t.Traits.Retry != nil && p >= Exited && p <= Settled
}
