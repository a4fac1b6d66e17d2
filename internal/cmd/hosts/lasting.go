package hosts

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A lastingJob is a job whose claim this host holds for recent.For without a task. The job was cancelled here; or a message has
// removed its container, and this process does not know whether the job is settled; or see gathers. Its message that comes to
// another host is forwarded here.
type lastingJob struct {
	key       intake.ClaimKey
	queue, id string
	until     time.Time
}

// ClaimLasting claims a job for recent.For, unless another host has it. If there are too many, the oldest ends.
func (h *Hosts) ClaimLasting(t *live.Task, id string) (other *intake.Claim, err error) {
	j := &lastingJob{t.JobKey(id), t.Queue, id, time.Now().Add(recent.For)}
	if other, err = h.Claims.Claim(t.Ctx, j.key); err != nil || other != nil {
		return other, noClaims(err, "the job %s could not be claimed", flagval.Quote(id))
	}
	for {
		select {
		case h.lasting <- j:
			return nil, nil
		default:
			h.endLastingOne(t.Ctx, <-h.lasting)
		}
	}
}

// Gathers has all copies of the next attempt come to this host, which runs one of them, if there may be several: an earlier
// delivery may have stored one, and not been acked.
func (h *Hosts) Gathers(t *live.Task) error {
	if h.Claims == nil || !t.WasRedelivered() {
		return nil
	}
	_, err := h.ClaimLasting(t, t.ID)
	return err
}

// Outlasts has the message of a settled job come to this host, which knows the job, if another host has it: that may not have been
// able to forward it before, and this host's queues were quiet all the same.
func (h *Hosts) Outlasts(t *live.Task) error {
	if h.Claims == nil || !t.Stable || !t.Traits.Makes {
		return nil
	}
	_, err := h.ClaimLasting(t, t.ID)
	return err
}

// EndLasting gives up each claim of lasting when its time is over. When ctx ends, it gives up all of them, within most.
func (h *Hosts) EndLasting(ctx context.Context, most time.Duration) {
	giving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(most, cancel) })()
	for ctx.Err() == nil || len(h.lasting) > 0 {
		select {
		case j := <-h.lasting:
			select {
			case <-time.After(time.Until(j.until)):
			case <-ctx.Done():
			}
			h.endLastingOne(giving, j)
		case <-ctx.Done():
		}
	}
}

// endLastingOne gives up a claim, unless the job has a container here, or the engine does not say.
func (h *Hosts) endLastingOne(ctx context.Context, j *lastingJob) {
	if list, err := h.containersOf(ctx, j.queue, j.id); err != nil || len(list) > 0 {
		h.Claims.Keep(j.key)
		return
	}
	if err := h.Claims.Unclaim(ctx, j.key); err != nil {
		h.Log.Debug("the claim of a job was not deleted at the broker", "key", j.key.Key, "error", err)
	}
}

// containersOf returns the containers that a job has here.
func (h *Hosts) containersOf(ctx context.Context, queue, job string) ([]dockerapi.ContainerSummary, error) {
	return h.Docker.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + queue, identity.LabelJob + "=" + job}})
}

// ForgetCopy gives up the claim that another host has made for a copy of a job, if the job is over here and has no container. First the
// original is to be acked, or whoever is redelivered it would find no claim: see AwaitNote. A redelivered original needs less time.
func (h *Hosts) ForgetCopy(ctx context.Context, i identity.Identity, acked <-chan struct{}) {
	key := i.JobKey(i.ID)
	if other, err := h.Claims.Claim(ctx, key); err != nil || other != nil {
		return
	}
	select {
	case <-acked:
	case <-time.After(MostForNote):
	case <-h.Stopping:
	}
	h.endLastingOne(ctx, &lastingJob{key: key, queue: i.Queue, id: i.ID})
}
