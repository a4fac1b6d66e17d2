package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// status returns what the daemon is doing: what the pool, the source and the engine's client know of it.
func (d *daemon) status() status.Status { return d.measured(d.completed(d.pool.Status())) }

// numbers is status without the lists of jobs and without what the broker is asked for: it costs little however many jobs there
// are, and waits for no server.
func (d *daemon) numbers() status.Status { return d.completed(d.pool.Numbers()) }

// measured adds how many messages wait. It asks the broker.
func (d *daemon) measured(s status.Status) status.Status {
	if src, ok := d.src.(interface{ Depths() amqpsrc.Depths }); ok {
		depths := src.Depths()
		s.Queued, s.DeadLetters, s.Retrying, s.Consumers = depths.Queued, depths.DeadLetters, depths.Retrying, depths.Consumers
	}
	return s
}

// completed adds to the pool's status what the pool does not know.
func (d *daemon) completed(s status.Status) status.Status {
	s.Version, s.PID = ui.VersionString(), os.Getpid()
	if src, ok := d.src.(interface {
		State() ([]status.Condition, status.Broker)
	}); ok {
		var conditions []status.Condition
		conditions, s.Broker = src.State()
		s.Conditions = append(s.Conditions, conditions...)
		s.DeadLetterQueue = d.deadLetter
	}
	for _, o := range []struct {
		name string
		w    *stuckWriter
	}{{"log", d.logged}, {"output", d.stdout}} {
		if t := o.w.stuckFor(); t > stuck {
			s.Conditions = append(s.Conditions, status.Condition{Name: o.name, State: status.Unmet, Reason: fmt.Sprintf("it has not been read for %v: jobs cannot go on", t.Round(time.Second))})
		}
	}
	if d.stopping.Load() {
		s.Conditions = append(s.Conditions, status.Condition{Name: "stopping", State: status.Unmet, Reason: "the daemon stops: no more messages are taken"})
	}
	for _, w := range []struct{ name, reason string }{{"engine-address", d.exposed()}, {"secrets", d.secretsOnDisk()}, {"policy", d.stalePolicy()}} {
		if w.reason != "" {
			s.Conditions = append(s.Conditions, status.Condition{Name: w.name, State: status.Warning, Reason: w.reason})
		}
	}
	s.Calls = d.calls.list()
	s.Judge()
	return s
}

// exposed returns why any policy is void with this engine's address; "": it is not.
func (d *daemon) exposed() string {
	if !d.dockerHost.Exposed() {
		return ""
	}
	return "the engine's address is plain TCP: a container that can reach it commands the engine, past any policy; use its socket, or TLS (docker-dispatch help policy)"
}

// secretsOnDisk returns what is wrong with the folder of --secrets; "": nothing.
func (d *daemon) secretsOnDisk() string {
	if d.secrets == "" || inMemory(d.secrets) {
		return ""
	}
	return "the secrets are on a disk, and so are the files that containers get of them; name a folder on a tmpfs, such as systemd's credentials"
}

// stalePolicy returns why the policy in force is not the one of its file; "": it is.
func (d *daemon) stalePolicy() string {
	if fault := d.policyFault.Load(); fault != nil {
		return "not read again; the one of before stays in force: " + *fault
	}
	return ""
}

// logStatus writes to the log what the daemon is doing: the answer to SIGUSR1.
func (d *daemon) logStatus() {
	s := d.status()
	args := []any{"ready", s.Ready, "running", s.Running.Count, "slots", fmt.Sprintf("%d/%d", s.InUse, s.Slots), "waiting", s.Waiting.Count, "settling", s.Settling, "jobs-a-minute", math.Round(10*s.PerMinute) / 10}
	if s.Queued != nil {
		args = append(args, "queued", *s.Queued)
	}
	if s.DeadLetters != nil {
		args = append(args, "dead-letters", *s.DeadLetters)
	}
	if s.Retrying != nil {
		args = append(args, "retrying", *s.Retrying)
	}
	d.log.Info("status", args...)
	if j, ok := s.Longest(); ok {
		d.logJob("status: longest running", j, "for", j.Runs(s.At).Round(time.Second))
	}
	if j, ok := s.Oldest(); ok {
		d.logWaiting("status: oldest waiting", j, s.At)
	}
	for _, c := range s.Conditions {
		d.log.Info("status: condition", "name", c.Name, "state", c.State, "reason", c.Reason)
	}
	for _, o := range s.Outcomes {
		d.log.Info("status: ended since the start", "command", o.Command, "status", o.Status, "reason", o.Reason, "jobs", o.Count)
	}
	for _, j := range s.Running.Jobs {
		d.logJob("status: running", j, "phase", j.Phase, "since", j.Started)
	}
	for _, j := range s.Waiting.Jobs {
		d.logWaiting("status: waiting", j, s.At)
	}
}

// logWaiting logs a job that waits: how long ago its message was published, how long it is here, and what it waits for.
func (d *daemon) logWaiting(what string, j status.Job, now time.Time) {
	var args []any
	if j.Published != nil {
		args = append(args, "published-ago", j.Age(now).Round(time.Second))
	}
	d.logJob(what, j, append(args, "here-for", now.Sub(j.Taken).Round(time.Second), "waits-for", j.For)...)
}

func (d *daemon) logJob(what string, j status.Job, more ...any) {
	args := []any{"job", j.Job, "command", j.Command}
	for _, f := range []struct{ key, value string }{{"container", j.ContainerName}, {"image", j.Image}, {"user", j.User}} {
		if f.value != "" {
			args = append(args, f.key, f.value)
		}
	}
	if j.Attempt > 0 {
		args = append(args, slog.Int("attempt", j.Attempt))
	}
	d.log.Info(what, append(args, more...)...)
}
