package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// sweepEvery is the longest time between two sweeps, and how long the queue must have been consumed
// before one: what a broker still holds for a connection that died is back in the queue by then.
const sweepEvery = time.Hour

// sweepRegularly removes what a crash left behind: containers of this queue that are marked for
// removal and have ended, or never started, at least SweepAfter ago. It returns when ctx ends.
func (p *Pool) sweepRegularly(ctx context.Context) {
	if p.SweepAfter <= 0 || p.Quiet == nil {
		return
	}
	every := min(p.SweepAfter, sweepEvery)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := p.sweep(ctx, every); err != nil && ctx.Err() == nil {
			p.Log.Warn("containers that a crash left behind not swept; trying again later", "error", err)
		}
	}
}

// sweep removes what no message can ask for any more. A message that can is either in the queue, and
// then nothing is swept; or it was delivered to us, and then its job is at work here.
func (p *Pool) sweep(ctx context.Context, consumed time.Duration) error {
	if open, _ := p.Gate.State(); !open {
		return nil
	}
	// Listed before the queue is looked at: what comes to be afterwards is not touched.
	list, err := p.Docker.ListContainers(ctx, dockerapi.ListOptions{
		All: true, Labels: []string{LabelQueue + "=" + p.Queue, LabelRemove + "=true"}, Statuses: []string{"exited", "dead", "created"},
	})
	if err != nil {
		return err
	}
	var old []dockerapi.Container
	for _, s := range list {
		if time.Since(s.Created) < p.SweepAfter {
			continue
		}
		c, err := p.Docker.InspectContainer(ctx, s.ID)
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchContainer):
		case err != nil:
			return err
		case !c.State.Running && time.Since(leftAt(c)) >= p.SweepAfter:
			old = append(old, c)
		}
	}
	if len(old) == 0 {
		return nil
	}
	at, quiet := p.Quiet(ctx, consumed)
	if !quiet {
		p.Log.Debug("containers wait to be swept until the queue is empty", "containers", len(old))
		return nil
	}
	for _, c := range old {
		if c.Labels[LabelBroker] != at.String() {
			continue // of a queue that has the same name elsewhere
		}
		if err := p.sweepOne(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// leftAt is when a container that does not run was left alone.
func leftAt(c dockerapi.Container) time.Time {
	if c.State.Ended() && !c.State.FinishedAt.IsZero() {
		return c.State.FinishedAt
	}
	return c.Created
}

// sweepOne removes a container, unless a job here may want it. A message that comes meanwhile waits
// for its name.
func (p *Pool) sweepOne(ctx context.Context, c dockerapi.Container) error {
	release, ok := p.jobs.reserve(c)
	if !ok {
		return nil
	}
	err := p.Docker.RemoveContainer(ctx, c.ID, dockerapi.RemoveOptions{Volumes: true})
	if errors.Is(err, dockerapi.ErrNoSuchContainer) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		err = nil
	}
	release()
	if err != nil {
		return err
	}
	p.Log.Info("swept: removed a container that a crash left behind; no message asks for it",
		"container", c.Name, "id", c.ID[:min(12, len(c.ID))], "job", c.Labels[LabelJob], "ended", leftAt(c).UTC().Format(time.RFC3339))
	return nil
}
