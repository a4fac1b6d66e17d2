package cmd

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

// errNotBegun says that the engine was told nothing, and that recall has requeued the message.
var errNotBegun = errors.New("not begun")

// A task is a live job: its decoded message, its deliveries, its phase. One goroutine works on it. The comment of each
// field that others read or write names the field's guard.
type task struct {
	identity.Identity
	decoded
	turn
	containerOf
	deliveries
	in  *registry       // which knows the task
	ctx context.Context // its end leaves the task as it is
	log *slog.Logger

	came      time.Time         // when the message came
	published time.Time         // by the message's timestamp; zero: not known
	waits     int               // how often the message was put back, because no host could have it
	from      *intake.Forwarded // how the first delivery came from another host; nil: it did not
	keys      holding.Claims    // what the task has claimed
	away      *elsewhere        // why the task has no result here; guarded by the registry
	phase     phase             // changed by registry.move only; guarded by the registry
	began     time.Time         // when the engine was asked first, and from phaseStarted on when the container started; guarded by the registry
	awaited   []phaseWait       // guarded by the registry

	name string // the container's, asked for or derived; "": unknown; written with the registry's mutex

	again      atomic.Bool   // a delivery has the redelivered flag
	cancelled  chan struct{} // closed when a message asked for the job's end; heeded until its container is created
	superseded chan struct{} // closed when a later task has taken over the message

	told    map[string]bool // who has the result, by Job.ReplyTo; the task's goroutine writes it, until the job is remembered
	kept    bool            // the dead-letter queue may have a copy; guarded by the registry
	cleanup func() error    // removes the job's container; may be nil; not written from phaseEnded on, see leaves
}

// init makes t the task of a job, which is the seq-th of the pool. The registry does not know it yet.
func (t *task) init(ctx context.Context, j intake.Job, i identity.Identity, d decoded, seq int64) {
	t.Identity, t.decoded, t.ctx = i, d, ctx
	t.came, t.published, t.waits, t.from = time.Now(), j.Published, j.Waits, j.Forwarded
	t.seq, t.control, t.order = seq, j.Control, newOrder(d.traits.Stops)
	t.deliveries = newDeliveries(j)
	t.told, t.cancelled, t.superseded = make(map[string]bool), make(chan struct{}), make(chan struct{})
	t.again.Store(j.Redelivered)
}

// follows has t take over the message of an earlier task, and wait for its end. It is called once for an earlier task: from
// then on the registry finds t for the message.
func (t *task) follows(earlier *task) {
	t.earlier = earlier.reached(phaseGone)
	close(earlier.superseded)
}

// wasRedelivered reports whether a delivery has the redelivered flag.
func (t *task) wasRedelivered() bool { return t.again.Load() }

// decoded is a decoded message. It does not change after registry.add.
type decoded struct {
	cmd     message.Command
	traits  message.Traits // of cmd
	invalid error          // why the message is refused; cmd is nil if it was not decoded
	rules   *policy.Rules  // what its sender's messages may ask for
	denied  error          // why no container may be made; one that exists is followed
}

// mayBeClaimed reports whether another host may have made the claim of a message's job for this host. For most commands none does.
func (d decoded) mayBeClaimed() bool {
	return d.cmd == nil || d.traits.Places
}

// join adds a delivery. The registry's mutex is held.
func (t *task) join(j intake.Job) {
	t.deliveries.join(j)
	if j.Redelivered {
		t.again.Store(true)
	}
}

func (t *task) takesEffect() {
	t.order.once.Do(func() {
		t.in.effective(t.order)
	})
}

// shownAttempt returns the attempt's number if the job may have several attempts, else 0.
func (t *task) shownAttempt() int {
	if t.traits.Retry != nil {
		return t.Attempt
	}
	return 0
}

// retries reports whether a run has ended, and may be tried again.
func (t *task) retries() bool {
	p := t.at()
	return t.traits.Retry != nil && p >= phaseExited && p <= phaseSettled
}
