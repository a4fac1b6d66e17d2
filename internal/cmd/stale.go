package cmd

import (
	"context"
	"maps"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

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
