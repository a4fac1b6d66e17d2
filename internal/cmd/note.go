package cmd

import (
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// withoutNote prepares the end of a task whose note has not come. A container to be removed stays with its claims, as one that a crash
// left: the sweep removes it once no message can ask for it. Without a container the job's claim is held for a while. So commands by Job
// and a dead letter that is sent again do not wait for ever.
func (t *job) withoutNote(v intake.Verdict) error {
	t.Log.Info(hosts.ErrNoNote.Error()+"; what is left of the job stays for a while", "container", t.Name)
	switch {
	case t.untidy() && t.ContainerID() != "" && v != intake.DeadLetter: // else it has never started
		t.tidied = true
		return t.pool.hosts.EndClaims(t.Ctx, &t.Task, true)
	case t.Keys.Holds(t.JobKey(t.ID)):
		_, err := t.pool.hosts.ClaimLasting(&t.Task, t.ID)
		return err
	}
	return nil
}
