package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errElsewhere ends a task that has no result here.
var errElsewhere = errors.New("the job is another host's")

// An elsewhere is an errElsewhere with what becomes of the messages: they are forwarded, or requeued because the claim leads to no
// host, or acked because the job was settled meanwhile, or put back because no host may run the job.
type elsewhere struct {
	verdict intake.Verdict
	to      intake.Claim
}

func (e *elsewhere) Error() string        { return errElsewhere.Error() }
func (e *elsewhere) Is(target error) bool { return target == errElsewhere }

// whoHas returns the claim of key; nil: no host has it.
func (t *task) whoHas(key intake.ClaimKey) (*intake.Claim, error) {
	at, err := t.lookUp(key)
	if at != nil && at.Void {
		at = nil
	}
	return at, err
}

// lookUp is whoHas, but returns a void claim too.
func (t *task) lookUp(key intake.ClaimKey) (*intake.Claim, error) {
	at, err := t.pool.Claims.Look(t.ctx, key)
	if err != nil {
		return nil, noClaims(err, "which host has the %s %s is not known", key.Kind, flagval.Quote(key.Key))
	}
	return at, nil
}

// forward returns why the task is another host's.
func (t *task) forward(to intake.Claim) error {
	if t.from != nil && t.from.Hops >= intake.MostHops {
		return fmt.Errorf("%w: the message was forwarded %d times, and no host kept it; the last one is %s. Send it again",
			dockerapi.ErrConflict, t.from.Hops, flagval.Quote(to.Host))
	}
	return t.moves(&elsewhere{intake.Forward, to})
}

// startsOver has the message requeued: the claim that was found leads to no host any more, or all deliveries are lost.
func (t *task) startsOver() error {
	return t.moves(&elsewhere{verdict: intake.Requeue})
}

// moves records that the task has no result here, and returns why: a stop that has cancelled it is to follow it.
func (t *task) moves(e *elsewhere) error {
	t.pool.jobs.mu.Lock()
	defer t.pool.jobs.mu.Unlock()
	t.away = e
	return e
}

// whyAway returns why a task has no result here; nil: it has one, or is to have one.
func (t *task) whyAway() *elsewhere {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.away
}

// seek has a command forwarded if another host has key. A name that this host has claimed is forgotten if gone says that its
// container is not here. A job is not: its message may be under way to this host.
func (t *task) seek(key intake.ClaimKey, gone bool) error {
	if t.pool.Claims == nil {
		return nil
	}
	at, err := t.whoHas(key)
	switch {
	case err != nil || at == nil:
		return err
	case !at.Ours:
		return t.forward(*at)
	case gone && key.Kind == "name":
		t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.LostClaims })
		return noClaims(t.pool.Claims.Forget(t.ctx, key), "a claim without a container could not be deleted")
	}
	return nil
}

// mayBeElsewhere has a command forwarded if another host has the container ref. found is nil if the engine has such a container,
// which may be another one: a person's, or one of a former life of this host. Else found is the engine's error.
func (t *task) mayBeElsewhere(ref string, found error) error {
	gone := errors.Is(found, dockerapi.ErrNoSuchContainer)
	if t.pool.Claims == nil || found != nil && !gone || found == nil && t.Ours(t.on.Labels) {
		return found
	}
	if err := t.seek(keyOf(ref), gone); err != nil {
		return err
	}
	if !gone {
		return nil
	}
	if t.again.Load() && t.traits.NewName != "" { // an earlier delivery may have renamed it
		if err := t.seek(intake.NameKey(t.traits.NewName), false); err != nil {
			return err
		}
	}
	if len(ref) >= 12 && strings.Trim(ref, "0123456789abcdef") == "" {
		return fmt.Errorf("%w; a container of another host is found by its name or by its Job, not by its id", found)
	}
	return found
}

// startOver is how long a message waits before it is requeued because a claim leads to no host.
const startOver = time.Second

// mostForNote is how long the host that has the job may be told late that a message is acked.
const mostForNote = time.Minute

// looksAhead reports whether the task asks who has its job before its turn comes: see goesAhead.
func (t *task) looksAhead() bool {
	return t.pool.Claims != nil && t.Stable && t.traits.Makes && t.at() == phaseWaiting
}

// goesAhead has a waiting task of a redelivered message forwarded at once if another host has its job. Otherwise the message would
// wait here, that host's queues would be quiet, and a sweep there would remove the job's container: the job would run again here.
func (t *task) goesAhead(ctx context.Context) {
	ctx, cancel := closed.Context(ctx, t.reached(phaseCancelled))
	defer cancel()
	at, err := t.pool.Claims.Look(ctx, t.JobKey(t.ID))
	if err == nil && at != nil && !at.Ours && !at.Void {
		t.forwardsTo(*at)
	}
}

// forwardsTo moves a waiting task to phaseForwarded.
func (t *task) forwardsTo(to intake.Claim) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.phase == phaseWaiting && (t.from == nil || t.from.Hops < intake.MostHops) && t.in.move(t, phaseForwarded) {
		t.away = &elsewhere{intake.Forward, to}
	}
}

// handOver settles all deliveries of a task that has no result here. If one is lost, the broker redelivers it to some host, which
// finds the claim as this one did. handOver returns false if the process stops first.
func (t *task) handOver(e *elsewhere) bool {
	t.to(phaseForwarded)
	if t.endClaims(t.ctx, e.verdict == intake.Requeue && t.comesBack()) != nil {
		return false
	}
	var forwarded []intake.Job
	for {
		for _, j := range t.take() {
			switch done, err := t.handOverOne(j, e); {
			case errors.Is(err, intake.ErrDeliveryLost):
				t.log.Debug("delivery lost before it was forwarded; some host gets the redelivery")
			case err != nil:
				return false
			case done:
				forwarded = append(forwarded, j)
			}
		}
		if e.to.Ours { // only now: a later command goes home after this one
			t.order.givenBack.Store(true)
		}
		t.tookEffect()
		if t.pool.jobs.remove(t) {
			break
		}
	}
	t.to(phaseGone) // nothing need wait for the notes
	ctx, cancel := context.WithTimeout(t.ctx, mostForNote)
	defer cancel()
	for _, j := range forwarded {
		if err := j.Moved(ctx); err != nil {
			t.log.Debug("the other host was not told that the message is acked, and keeps the container for long", "error", err)
		}
	}
	return true
}

// handOverOne settles one delivery, and reports whether it was forwarded and acked.
func (t *task) handOverOne(j intake.Job, e *elsewhere) (forwarded bool, err error) {
	if j.IsLost() {
		return false, intake.ErrDeliveryLost
	}
	v := e.verdict
	switch v {
	case intake.Forward:
		err = j.Forward(t.ctx, e.to, t.ID, t.overtakes())
	case intake.PutBack:
		if err = j.PutBack(t.ctx, hostLook, t.ID); err == nil {
			v = intake.Ack
			t.pool.unplaced.put(t)
		}
	}
	if v == intake.Requeue || errors.Is(err, intake.ErrNoHost) {
		// Its job was settled just now, or its host released. Without the pause a claim of a host without a queue would be met at once again.
		t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.LostClaims })
		t.log.Info("the host that had the job has it no more; the message is requeued", "host", e.to.Host)
		t.order.givenBack.Store(true)
		v, err = intake.Requeue, delay.Sleep(t.ctx, startOver)
	}
	t.next(err == nil)
	if err == nil {
		err = j.Settle(t.ctx, v, *t.result())
	}
	if err != nil || v != intake.Forward {
		return false, err
	}
	t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.Forwarded })
	said := "forwarded to the host that has the job"
	if e.to.Ours {
		said = "moved to this host's own queue, because too many commands of its queue wait for something else to end"
	}
	if t.pool.lines.Takes(slog.LevelInfo, said) {
		t.log.Info(said, "host", e.to.Host, "command", t.traits.Verb)
	}
	if j.Fence != nil {
		err = j.Fence(t.ctx)
	}
	return err == nil, err
}

// overtakes reports whether a command may come to another host before runs that were forwarded earlier. It waits neither for a slot
// nor for room on the disk. It leaves the container with its name: otherwise a redelivered run would not find its container there, and
// the job would run twice.
func (t *task) overtakes() bool {
	c := t.traits
	return c.Control && !c.Makes && !c.Removes && c.NewName == "" && (t.control || !c.Lasts)
}
