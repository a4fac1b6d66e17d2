package cmd

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
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

// claimLasting claims a job for recent.For, unless another host has it. If there are too many, the oldest ends.
func (t *task) claimLasting(id string) (other *intake.Claim, err error) {
	j := &lastingJob{t.JobKey(id), t.Queue, id, time.Now().Add(recent.For)}
	if other, err = t.pool.Claims.Claim(t.ctx, j.key); err != nil || other != nil {
		return other, noClaims(err, "the job %s could not be claimed", flagval.Quote(id))
	}
	for {
		select {
		case t.pool.lasting <- j:
			return nil, nil
		default:
			t.pool.endLastingOne(t.ctx, <-t.pool.lasting)
		}
	}
}

// gathers has all copies of the next attempt come to this host, which runs one of them, if there may be several: an earlier
// delivery may have stored one, and not been acked.
func (t *task) gathers() error {
	if t.pool.Claims == nil || !t.again.Load() {
		return nil
	}
	_, err := t.claimLasting(t.ID)
	return err
}

// outlasts has the message of a settled job come to this host, which knows the job, if another host has it: that may not have been
// able to forward it before, and this host's queues were quiet all the same.
func (t *task) outlasts() error {
	if t.pool.Claims == nil || !t.Stable || !t.traits.Makes {
		return nil
	}
	_, err := t.claimLasting(t.ID)
	return err
}

// endLasting gives up each claim of lasting when its time is over. When ctx ends, it gives up all of them, within lastWords.
func (p *Pool) endLasting(ctx context.Context) {
	giving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	for ctx.Err() == nil || len(p.lasting) > 0 {
		select {
		case j := <-p.lasting:
			select {
			case <-time.After(time.Until(j.until)):
			case <-ctx.Done():
			}
			p.endLastingOne(giving, j)
		case <-ctx.Done():
		}
	}
}

// endLastingOne gives up a claim, unless the job has a container here, or the engine does not say.
func (p *Pool) endLastingOne(ctx context.Context, j *lastingJob) {
	if list, err := p.containersOf(ctx, j.queue, j.id); err != nil || len(list) > 0 {
		p.Claims.Keep(j.key)
		return
	}
	if err := p.Claims.Unclaim(ctx, j.key); err != nil {
		p.Log.Debug("the claim of a job was not deleted at the broker", "key", j.key.Key, "error", err)
	}
}

// containersOf returns the containers that a job has here.
func (p *Pool) containersOf(ctx context.Context, queue, job string) ([]dockerapi.ContainerSummary, error) {
	return p.Docker.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + queue, identity.LabelJob + "=" + job}})
}
