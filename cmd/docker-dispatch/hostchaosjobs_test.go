package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A hostJob is a run, and what is expected of it.
type hostJob struct {
	id    string
	at    time.Duration
	sleep time.Duration
	exit  int
	named bool // its container has the job's id as its name
	keep  bool // its container stays

	stop    string // the message_id of the stop that ends it; "": it ends by itself
	wait    time.Duration
	byJob   bool // the stop names the job, not the container
	control bool // the stop comes by the control queue
}

// planHostJobs makes n jobs, which are published over the span.
func planHostJobs(r *rand.Rand, prefix string, n int, span time.Duration) (jobs []*hostJob) {
	for i := range n {
		j := &hostJob{
			id: fmt.Sprintf("%s-%d", prefix, i), at: time.Duration(r.Int64N(int64(span))), exit: r.IntN(3),
			named: r.IntN(2) == 0, keep: r.IntN(3) > 0, sleep: time.Duration(r.IntN(400)) * time.Millisecond,
		}
		switch k := r.IntN(20); {
		case k < 4:
			j.stop, j.keep, j.sleep, j.exit = j.id+"-stop", true, time.Hour, 0
			j.wait, j.byJob, j.control = time.Duration(r.IntN(1500))*time.Millisecond, r.IntN(2) == 0, r.IntN(2) == 0
		case k < 10:
			j.sleep += time.Duration(1+r.IntN(3)) * time.Second
		case k < 13:
			j.sleep += time.Duration(4+r.IntN(6)) * time.Second
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func (j *hostJob) body() string {
	options := map[string]any{"Attach": []string{"STDOUT"}, "Network": quickNetwork, "Remove": !j.keep}
	if j.named {
		options["Name"] = j.id
	}
	body, err := json.Marshal(map[string]any{
		"Dockercmd": "run", "Image": "busybox", "Options": options,
		"Cmd": []string{"sh", "-c", fmt.Sprintf("trap 'exit 0' TERM; echo ran; sleep %.3f & wait $!; exit %d", j.sleep.Seconds(), j.exit)},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

func (j *hostJob) stopBody(container string) string {
	if j.byJob {
		return fmt.Sprintf(`{"Dockercmd": "stop", "Job": %q}`, j.id)
	}
	return fmt.Sprintf(`{"Dockercmd": "stop", "Container": %q}`, container)
}

func (j *hostJob) stopQueue(queue string) string {
	if j.control {
		return queue + ".control"
	}
	return queue
}

// A hostStart is the start of a container, as its engine tells it.
type hostStart struct {
	host     *member
	id, name string
	at       time.Time
	untold   bool // no event has told it yet: the event's time may differ a little
}

// unsettled is longer than a message can stay unacked after its container has ended: if the node of its connection was killed,
// RabbitMQ 3.10 redelivers it only when the queue has its next leader.
const unsettled = 90 * time.Second

// burnt reports whether the host was lost after the start, and before its result was settled: then the job runs again. results are the
// job's. The mutex is held.
func (c *hostsChaos) burnt(s hostStart, results []event.Result) bool {
	return slices.ContainsFunc(c.burns[s.host], func(lost time.Time) bool {
		return lost.After(s.at) && !slices.ContainsFunc(results, func(r event.Result) bool {
			return r.ContainerID == s.id && r.FinishedAt != nil && r.FinishedAt.Before(lost.Add(-unsettled))
		})
	})
}

// follow records which containers an engine starts. It does not matter who has asked for the start, nor who has heard of it.
func (c *hostsChaos) follow(ctx context.Context, h *member) {
	since := time.Now()
	for ctx.Err() == nil {
		events := exec.CommandContext(ctx, "docker", "-H", h.docker, "events", "--since", fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()),
			"--filter", "event=start", "--filter", "label="+identity.LabelQueue+"="+c.queue,
			"--format", `{{.TimeNano}} {{.ID}} {{index .Actor.Attributes "name"}} {{index .Actor.Attributes "`+identity.LabelJob+`"}}`)
		out, err := events.StdoutPipe()
		if err != nil || events.Start() != nil {
			c.broken("docker events: %v", err)
			return
		}
		for in := bufio.NewScanner(out); in.Scan(); {
			var nano int64
			var s hostStart
			var job string
			if _, err := fmt.Sscan(in.Text(), &nano, &s.id, &s.name, &job); err != nil {
				c.broken("docker events: %v: %q", err, in.Text())
				continue
			}
			s.host, s.at = h, time.Unix(0, nano)
			since = s.at
			c.mu.Lock()
			known := slices.ContainsFunc(c.starts[job], func(o hostStart) bool {
				return o.id == s.id && (o.at.Equal(s.at) || o.untold && s.at.Sub(o.at).Abs() < time.Second)
			})
			if !known {
				c.starts[job] = append(c.starts[job], s)
			}
			c.mu.Unlock()
		}
		events.Wait()
		delay.Sleep(ctx, 100*time.Millisecond) // the engine is away
		c.untold(ctx, h)
	}
}

// untold adds the starts that an engine was killed too early to tell.
func (c *hostsChaos) untold(ctx context.Context, h *member) {
	list, err := h.engine.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + c.queue}})
	if err != nil {
		return // it is looked at again
	}
	for _, s := range list {
		at, err := h.engine.InspectContainer(ctx, s.ID)
		c.mu.Lock()
		job := s.Labels[identity.LabelJob]
		known := slices.ContainsFunc(c.starts[job], func(o hostStart) bool { return o.id == s.ID })
		if err == nil && !known && !at.State.StartedAt.IsZero() {
			c.starts[job] = append(c.starts[job], hostStart{host: h, id: s.ID, name: s.Name, at: at.State.StartedAt, untold: true})
		}
		c.mu.Unlock()
	}
}

// last returns a job's last start.
func (c *hostsChaos) last(j *hostJob) (s hostStart, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if starts := c.starts[j.id]; len(starts) > 0 {
		return starts[len(starts)-1], true
	}
	return s, false
}

// judge counts, and fails the test for what is lost, doubled or left, and for commands that did not find their container.
func (c *hostsChaos) judge() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{"jobs": len(c.jobs)}
	wrong := func(j *hostJob, count, format string, args ...any) {
		counts[count]++
		c.t.Errorf("%s: %s: %s\n%s", count, j.id, fmt.Sprintf(format, args...), c.about(j))
	}
	for _, f := range c.faulty {
		c.t.Error(f)
	}
	results, where := c.results(), map[string][]string{}
	for _, h := range c.all {
		for _, s := range h.containers() {
			where[s.Labels[identity.LabelJob]] = append(where[s.Labels[identity.LabelJob]], h.name)
		}
	}
	for _, j := range c.jobs {
		starts, burnt, died := c.starts[j.id], 0, false
		for _, s := range starts {
			if c.burnt(s, results[j.id]) {
				burnt++
			}
			died = died || slices.ContainsFunc(c.fates, func(f fate) bool {
				return f.kind == "engine-kill" && c.all[f.host] == s.host && f.to.After(s.at.Add(-5*time.Second))
			})
		}
		for _, r := range results[j.id] { // such a container may not have started
			died = died || r.Status == event.Errored && r.Reason == event.ReasonEngine && slices.ContainsFunc(c.fates, func(f fate) bool { return f.kind == "engine-kill" && c.all[f.host].name == r.Host })
		}
		counts["starts"] += len(starts)
		counts["starts on hosts that were lost soon"] += burnt
		counts["results"] += len(results[j.id])
		if len(results[j.id]) == 0 {
			wrong(j, "lost", "no result")
			continue
		}
		if len(starts) > 1+burnt {
			wrong(j, "run twice", "%d starts, %d of them on hosts that were lost soon", len(starts), burnt)
		}
		if n := len(where[j.id]); j.keep && n != 1 && burnt == 0 && !died || n > 1 {
			wrong(j, "containers", "on %q", where[j.id])
		}
		for _, r := range results[j.id] {
			want := []event.Status{event.Succeeded, event.Failed}[min(j.exit, 1)]
			if j.stop != "" && r.Status != want { // a daemon that was killed meanwhile does not know why the container ended
				want = event.Stopped
			}
			if r.Status != want && !died && burnt == 0 {
				wrong(j, "wrong results", "%s %s: %s", r.Status, r.Reason, r.Error)
			}
		}
		if j.stop == "" {
			continue
		}
		counts["stops"]++
		if len(results[j.stop]) == 0 {
			wrong(j, "lost", "no result of its stop")
		}
		for _, r := range results[j.stop] {
			if r.Status != event.Succeeded && burnt == 0 {
				wrong(j, "stops that did not find their container", "%s %s: %s", r.Status, r.Reason, r.Error)
			}
		}
	}
	for _, f := range c.fates {
		counts["fault "+f.kind]++
	}
	c.t.Logf("counts: %v", counts)
}

// about is what is known of a job.
func (c *hostsChaos) about(j *hostJob) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %+v\n", *j)
	for _, s := range c.starts[j.id] {
		fmt.Fprintf(&b, "  %s started on %s: %s %.12s, hosts lost at %v\n", stamp(s.at), s.host.name, s.name, s.id, c.burns[s.host])
	}
	for _, f := range c.fates {
		fmt.Fprintf(&b, "  %s to %s fault %s %d\n", stamp(f.from), stamp(f.to), f.kind, f.host)
	}
	for _, h := range c.all {
		for n, p := range h.processes() {
			for line := range strings.Lines(p.log()) {
				if strings.Contains(line, j.id+" ") || strings.Contains(line, j.id+"-stop ") {
					fmt.Fprintf(&b, "  %s.%d: %s", h.name, n, line)
				}
			}
		}
	}
	return b.String()
}
