package cmd

import (
	"context"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// lasting has the claims of jobs that this host holds for recent.For without a task. Such a job was cancelled here; or a message
// has removed its container, and this process does not know whether the job is settled; or see gathers. Its message that comes to
// another host is forwarded here.
type lasting struct {
	mu   sync.Mutex
	jobs []lastingJob  // oldest first; guarded by mu
	more chan struct{} // signals that there is one more
}

type lastingJob struct {
	key       intake.ClaimKey
	queue, id string
	until     time.Time
}

// claimLasting claims a job for recent.For, unless another host has it.
func (t *task) claimLasting(id string) (other *intake.Claim, err error) {
	key := t.jobKey(id)
	if other, err = t.pool.Claims.Claim(t.ctx, key); err != nil || other != nil {
		return other, noClaims(err, "the job %s could not be claimed", flagval.Quote(id))
	}
	t.pool.lasting.add(lastingJob{key, t.queue, id, time.Now().Add(recent.For)})
	return nil, nil
}

// gathers has all copies of the next attempt come to this host, which runs one of them, if there may be several: an earlier
// delivery may have stored one, and not been acked.
func (t *task) gathers() error {
	if t.pool.Claims == nil || !t.again.Load() {
		return nil
	}
	_, err := t.claimLasting(t.id)
	return err
}

// outlasts has the message of a settled job come to this host, which knows the job, if another host has it: that may not have been
// able to forward it before, and this host's queues were quiet all the same.
func (t *task) outlasts() error {
	if t.pool.Claims == nil || !t.stable || !t.traits.Makes {
		return nil
	}
	_, err := t.claimLasting(t.id)
	return err
}

func (l *lasting) add(j lastingJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, j)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// next returns the oldest job, and removes it if its time is over, there are too many, or all end. wait is closed, or gets a time, at
// the next change.
func (l *lasting) next(all bool) (j lastingJob, over bool, wait <-chan time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == 0 {
		return j, false, nil
	}
	j = l.jobs[0]
	if left := time.Until(j.until); left > 0 && len(l.jobs) <= mostCancels && !all {
		return j, false, time.After(left)
	}
	l.jobs[0], l.jobs = lastingJob{}, l.jobs[1:]
	return j, true, nil
}

// endLasting gives up the claims of lasting when their time is over. When ctx ends, it gives up all of them, within lastWords.
func (p *Pool) endLasting(ctx context.Context) {
	for {
		j, over, wait := p.lasting.next(false)
		if over {
			p.endLastingOne(ctx, j)
			continue
		}
		select {
		case <-wait:
		case <-p.lasting.more:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			for j, over, _ := p.lasting.next(true); over && ctx.Err() == nil; j, over, _ = p.lasting.next(true) {
				p.endLastingOne(ctx, j)
			}
			return
		}
	}
}

// endLastingOne gives up a claim, unless the job has a container here.
func (p *Pool) endLastingOne(ctx context.Context, j lastingJob) {
	if p.mayHaveContainer(ctx, j.queue, j.id) {
		p.Claims.Keep(j.key)
		return
	}
	if err := p.Claims.Unclaim(ctx, j.key); err != nil {
		p.Log.Debug("the claim of a job was not deleted at the broker", "key", j.key.Key, "error", err)
	}
}

// mayHaveContainer reports whether a job has a container here, or the engine does not say.
func (p *Pool) mayHaveContainer(ctx context.Context, queue, job string) bool {
	list, err := p.Docker.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{LabelQueue + "=" + queue, LabelJob + "=" + job}})
	return err != nil || len(list) > 0
}
