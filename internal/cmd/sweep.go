package cmd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// sweepEvery is the longest time between two sweeps, and the longest that the queue must have been consumed before one.
// By then the broker has requeued the messages of a connection that died.
const sweepEvery = time.Hour

// sweepRegularly removes what a crash left: containers of this queue that are marked for removal and exited, or were
// created and never started, at least SweepAfter ago. It returns when ctx ends.
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
			p.Log.Warn("sweep failed; trying again later", "error", err)
		}
	}
}

// sweep removes containers that no message can ask for any more. A message that can is either in the queue, and then
// nothing is swept; or it was delivered to us, and then its job is live here.
func (p *Pool) sweep(ctx context.Context, consumed time.Duration) error {
	if open, _ := p.Gate.State(); !open {
		return nil
	}
	// List before the look at the queue: containers created after that look are not touched.
	list, err := p.Docker.ListContainers(ctx, dockerapi.ListOptions{
		All: true, Labels: []string{identity.LabelQueue + "=" + p.Queue, identity.LabelRemove + "=true"}, Statuses: []string{"exited", "dead", "created"},
	})
	if err != nil {
		return err
	}
	var old []dockerapi.Container
	for _, s := range list {
		if time.Since(s.Created) < p.SweepAfter || p.hosts.IsStale(s.Labels) {
			continue
		}
		c, err := p.Docker.InspectContainer(ctx, s.ID)
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchContainer):
		case errors.Is(err, dockerapi.ErrUnreachable) || ctx.Err() != nil:
			return err
		case err != nil:
			p.Log.Warn("a container could not be looked at, and is not swept", "container", s.Name, "error", err)
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
		if c.Labels[identity.LabelBroker] != at.String() {
			continue // of a queue of the same name on another virtual host or broker
		}
		switch swept, err := p.sweepOne(ctx, at.VHost, c, false); {
		case errors.Is(err, dockerapi.ErrUnreachable) || errors.Is(err, hosts.ErrNoClaims) || ctx.Err() != nil:
			return err
		case err != nil: // of this container only
			p.Log.Warn("a container that a crash left behind could not be removed; trying again at the next sweep", "container", c.Name, "error", err)
		case swept:
			p.Log.Info("swept: removed a container that a crash left behind; no message asks for it",
				"container", c.Name, "id", c.ID[:min(12, len(c.ID))], "job", c.Labels[identity.LabelJob], "ended", leftAt(c).UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// leftAt returns when a container that does not run exited; if it has not, or that is unknown, when it was created.
func leftAt(c dockerapi.Container) time.Time {
	if c.State.Ended() && !c.State.FinishedAt.IsZero() {
		return c.State.FinishedAt
	}
	return c.Created
}

// sweepOne removes a container, unless a live job may want it. A command on its name that comes meanwhile waits. A container that
// runs is removed only by force.
func (p *Pool) sweepOne(ctx context.Context, vhost string, c dockerapi.Container, force bool) (removed bool, err error) {
	release, ok := p.jobs.Reserve(c)
	if !ok {
		return false, nil
	}
	defer func() { release(removed) }()
	if err := p.hosts.ForgetContainer(ctx, vhost, c); err != nil {
		return false, err
	}
	err = p.Docker.RemoveContainer(ctx, c.ID, dockerapi.RemoveOptions{Volumes: true, Force: force})
	if errors.Is(err, dockerapi.ErrNoSuchContainer) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		err = nil
	}
	return err == nil, err
}

// lookForStale finds the containers that former lives of this host have left, once at the start, and says how many there are.
// The operator has released those lives, so their jobs run on other hosts. With RemoveStale it removes the containers.
func (p *Pool) lookForStale(ctx context.Context) {
	if err := p.engine.Wait(ctx); err != nil {
		return
	}
	if _, err := p.Claims.Look(ctx, intake.NameKey("")); err != nil { // answered: the host is known
		p.Log.Debug("containers of former lives of this host are not looked for", "error", err)
		return
	}
	list, err := p.Docker.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + p.Queue}})
	if err != nil {
		p.Log.Warn("containers of former lives of this host are not looked for", "error", err)
		return
	}
	stale := make(map[string]int) // by life
	for _, c := range list {
		if p.hosts.IsStale(c.Labels) && !(p.RemoveStale && p.removeStale(ctx, c)) {
			stale[c.Labels[identity.LabelHost]]++
		}
	}
	for _, life := range slices.Sorted(maps.Keys(stale)) {
		p.Log.Warn("this host was released, and its jobs run on other hosts; containers of its former life are left. Remove them, or start with --remove-stale",
			"containers", stale[life], "hint", "docker rm -f $(docker ps -aq --filter label="+identity.LabelHost+"="+life+")")
	}
}

// removeStale removes one container of a former life, running or not. It reports whether the container is gone.
func (p *Pool) removeStale(ctx context.Context, s dockerapi.ContainerSummary) bool {
	c := dockerapi.Container{ID: s.ID, Name: s.Name, Labels: s.Labels}
	removed, err := p.sweepOne(ctx, p.VHost, c, true)
	switch {
	case err != nil:
		p.Log.Warn("container of a former life of this host not removed", "container", s.Name, "error", err)
	case removed:
		p.Log.Info("removed a container of a former life of this host", "container", s.Name, "job", s.Labels[identity.LabelJob])
	}
	return removed
}
