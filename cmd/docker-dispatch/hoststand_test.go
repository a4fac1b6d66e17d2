package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

// hosts is a lab whose queue several hosts share, each with an engine of its own.
type hosts struct {
	*lab
	all  []*member
	keys map[string]string // of the jobs, by the names of their claims
	late []string          // jobs that a host may have claimed after its delivery was lost: these claims may stay, see task.stillGiven
}

// A member is a daemon with --host, one process after the other.
type member struct {
	of     *hosts
	name   string
	docker string // the engine's address
	engine *dockerapi.Client
	net    *brokertest.Proxy // to the broker
	amqp   string            // the broker's address through net

	*process      // the last one; the host calls no method of it before start
	killed   bool // the last process was killed

	mu    sync.Mutex
	lives []*process // guarded by mu
}

// processes returns all of the host's, in their order.
func (h *member) processes() []*process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lives)
}

// newHosts returns hosts with these names. None of them runs.
func newHosts(t *testing.T, names ...string) *hosts {
	t.Helper()
	engines := strings.Fields(brokertest.Required(t, "DISPATCH_TEST_ENGINES"))
	brokertest.Required(t, "DISPATCH_TEST_BROKER_EVAL")
	l := &hosts{lab: newLab(t, "quorum"), keys: map[string]string{}}
	t.Cleanup(func() {
		for _, h := range l.all {
			l.broker.Delete(l.queue+".host."+h.name, l.queue+".host."+h.name+".control", l.queue+".host."+h.name+".seen")
			for _, c := range h.containers() {
				if err := h.engine.RemoveContainer(context.Background(), c.ID, dockerapi.RemoveOptions{Force: true, Volumes: true}); err != nil {
					t.Logf("container %s not removed: %v", c.Name, err)
				}
			}
			h.engine.Close()
		}
		l.broker.Delete(l.queue + ".hosts")
		for x := range l.exchanges() {
			l.broker.Do(func(ch *amqp.Channel) error { return ch.ExchangeDelete(x, false, false) })
		}
	})
	for i, name := range names {
		h := &member{of: l, name: name, docker: engines[i]}
		address, err := dockerapi.ParseHost(h.docker)
		if err != nil {
			t.Fatal(err)
		}
		if h.engine, err = dockerapi.New(address, dockerapi.Options{}); err != nil {
			t.Fatal(err)
		}
		l.all = append(l.all, h)
		h.reaches(l.amqpURL)
	}
	return l
}

// reaches has the host's later processes reach a broker through a proxy.
func (h *member) reaches(broker string) {
	h.of.t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		h.of.t.Fatal(err)
	}
	h.net = brokertest.ProxyTo(h.of.t, "tcp", "127.0.0.1:0", "tcp", u.Host)
	u.Host = h.net.Addr
	h.amqp = u.String()
}

// start starts the host's daemon, and waits until it takes messages of the shared queue.
func (h *member) start(args ...string) {
	h.of.t.Helper()
	h.launch(program(h.of.t), args...)
	h.awaitLog("queue=" + h.of.queue + " prefetch=")
}

// startMortal starts the daemon, which kills itself right behind the step.
func (h *member) startMortal(step string, args ...string) {
	h.of.t.Helper()
	c := itself(h.of.t)
	c.Env = append(c.Env, dieAt+"="+step)
	h.launch(c, args...)
	h.killed = true
}

func (h *member) launch(c *exec.Cmd, args ...string) {
	h.of.t.Helper()
	options := []string{"--host", h.name, "--declare", "quorum", "--format", "json", "-c", "4", "--ahead", "2", "--sweep-after", "1s", "=" + h.docker, "=" + h.amqp}
	h.process = h.of.startCommand(c, append(options, args...)...)
	h.mu.Lock()
	h.lives = append(h.lives, h.process)
	h.mu.Unlock()
	h.killed = false
}

// kill ends the daemon with SIGKILL.
func (h *member) kill() {
	h.of.t.Helper()
	h.killed = true
	h.cmd.Process.Signal(syscall.SIGKILL)
	h.wait()
}

// cut takes the host its connections to the broker, and lets it make none.
func (h *member) cut() {
	h.net.SetRefuse(true)
	h.net.Cut()
}

func (h *member) heal() { h.net.SetRefuse(false) }

// touch makes a file in a job's container, which must be on the host.
func (h *member) touch(job, file string) {
	h.of.t.Helper()
	for _, c := range h.containers() {
		if c.Labels[identity.LabelJob] == job {
			l := *h.of.lab
			l.dockerHost = h.docker
			l.touch(c.ID, file)
			return
		}
	}
	h.of.t.Fatalf("host %s has no container of job %s", h.name, job)
}

// containers lists what the queue's jobs have on the host.
func (h *member) containers() []dockerapi.ContainerSummary {
	h.of.t.Helper()
	list, err := h.engine.ListContainers(context.Background(), dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + h.of.queue}})
	if err != nil {
		h.of.t.Fatal(err)
	}
	return list
}

// out is what all processes of the host have printed.
func (h *member) out() string {
	var b strings.Builder
	for _, p := range h.processes() {
		b.WriteString(p.out())
	}
	return b.String()
}

// awaitExits waits until n of the queue's containers on the host have exited.
func (h *member) awaitExits(n int) {
	h.of.t.Helper()
	h.of.eventually(fmt.Sprintf("%d containers exited on host %s", n, h.name), func() bool {
		exited := slices.DeleteFunc(h.containers(), func(c dockerapi.ContainerSummary) bool { return c.Status != "exited" })
		return len(exited) >= n
	})
}

// started lists the jobs that the host's processes have started or adopted.
func (h *member) started() (jobs []string) {
	for line := range strings.Lines(h.out()) {
		var e struct{ Event, Job string }
		if json.Unmarshal([]byte(line), &e) == nil && e.Event == event.EventStarted {
			jobs = append(jobs, e.Job)
		}
	}
	return jobs
}

// results returns the results of all hosts, by job.
func (l *hosts) results() map[string][]event.Result {
	l.t.Helper()
	all := map[string][]event.Result{}
	for _, h := range l.all {
		for _, p := range h.processes() {
			for _, r := range resultsIn(l.t, p.out()) {
				all[r.Job] = append(all[r.Job], r)
			}
		}
	}
	return all
}

// awaitResults waits until each of the jobs has a result.
func (l *hosts) awaitResults(jobs ...string) {
	l.t.Helper()
	l.eventually(fmt.Sprintf("a result of each of %q", jobs), func() bool {
		all := l.results()
		return !slices.ContainsFunc(jobs, func(job string) bool { return len(all[job]) == 0 })
	})
}

// awaitStarted waits until the hosts together have started n jobs.
func (l *hosts) awaitStarted(n int) {
	l.t.Helper()
	l.eventually(fmt.Sprintf("%d jobs started", n), func() bool {
		sum := 0
		for _, h := range l.all {
			sum += len(h.started())
		}
		return sum >= n
	})
}

// awaitForwarded waits until n messages wait for the host that has their jobs, and is not there.
func (l *hosts) awaitForwarded(host string, n int) {
	l.t.Helper()
	l.eventually(fmt.Sprintf("%d messages wait for host %s", n, host), func() bool {
		return l.broker.Ready(l.queue+".host."+host)+l.broker.Ready(l.queue+".host."+host+".control") >= n
	})
}

// release has the operator give up a host.
func (l *hosts) release(host, broker string) (out string, code int) {
	l.t.Helper()
	stdout, stderr, code := call("", nil, "hosts", "release", "-q", l.queue, "--yes", "--amqp", broker, host)
	return stdout + stderr, code
}

// runs publishes n runs of a script whose containers stay, and returns the jobs' ids, each also its container's name.
func (l *hosts) runs(n int, script string) (jobs []string) {
	l.t.Helper()
	for range n {
		id := fmt.Sprintf("j-%s-%d", l.serial, rand.Uint32())
		jobs = append(jobs, id)
		l.know(id)
		body, err := json.Marshal(map[string]any{
			"Dockercmd": "run", "Image": "busybox", "Cmd": []string{"sh", "-c", "echo ran\n" + script},
			"Options": map[string]any{"Attach": []string{"STDOUT"}, "Network": quickNetwork, "Name": id},
		})
		if err != nil {
			l.t.Fatal(err)
		}
		l.publish(publication{id, string(body)})
	}
	return jobs
}

// once checks that each of the jobs has ended once, with that status, and has one container on all hosts together, whose program
// was started once.
func (l *hosts) once(jobs []string, status event.Status) {
	l.t.Helper()
	all := l.results()
	where := map[string][]string{}
	var mu sync.Mutex
	var work sync.WaitGroup
	for _, h := range l.all {
		for _, c := range h.containers() {
			where[c.Labels[identity.LabelJob]] = append(where[c.Labels[identity.LabelJob]], h.name)
			work.Go(func() {
				logs := exec.Command("docker", "-H", h.docker, "logs", c.ID)
				out, err := logs.CombinedOutput()
				mu.Lock()
				defer mu.Unlock()
				if n := strings.Count("\n"+string(out), "\nran\n"); err != nil || n != 1 {
					l.t.Errorf("%s on host %s: its program was started %d times; %v\n%s", c.Name, h.name, n, err, out)
				}
			})
		}
	}
	work.Wait()
	for _, job := range jobs {
		if len(where[job]) != 1 {
			l.t.Errorf("%s has containers on the hosts %q, want one", job, where[job])
		}
		if r := all[job]; len(r) != 1 || r[0].Status != status {
			l.t.Errorf("%s on %q has the results %+v, want one: %s", job, where[job], r, status)
		}
	}
}

// removed has all containers of the jobs removed, by messages in a random order, and checks that nothing is left.
func (l *hosts) removed(jobs []string) {
	l.t.Helper()
	var commands []string
	for _, i := range rand.Perm(len(jobs)) {
		id := "remove-" + jobs[i]
		commands = append(commands, id)
		l.publish(publication{id, fmt.Sprintf(`{"Dockercmd": "remove", %q: %q, "Options": {"Force": true}}`, []string{"Container", "Job"}[i%2], jobs[i])})
	}
	l.awaitResults(commands...)
	l.succeeded(commands)
	l.empty()
}

// succeeded checks that each command succeeded, once.
func (l *hosts) succeeded(commands []string) {
	l.t.Helper()
	all := l.results()
	for _, id := range commands {
		if r := all[id]; len(r) != 1 || r[0].Status != event.Succeeded {
			l.t.Errorf("%s has the results %+v, want one: succeeded", id, r)
		}
	}
}

// empty waits until neither a message nor a container is left, stops the daemons, and checks that no claim is left. While they run,
// they keep the claims of jobs that messages have stopped or removed.
func (l *hosts) empty() {
	l.t.Helper()
	for _, h := range l.all {
		l.eventually("host "+h.name+" has no message and no container left", func() bool {
			return l.broker.Ready(l.queue+".host."+h.name)+l.broker.Ready(l.queue+".host."+h.name+".control") == 0 && len(h.containers()) == 0
		})
	}
	l.eventually("no message left", func() bool { return l.broker.Ready(l.queue) == 0 })
	if n := l.broker.Ready(l.queue + ".dead"); n > 0 {
		l.t.Errorf("%d dead letters", n)
	}
	looks := 0
	l.eventually("no claim of a name left", func() bool {
		if looks++; looks == 50 {
			l.t.Logf("claims so far: %q", l.claims())
		}
		return !slices.ContainsFunc(l.claims(), func(claim string) bool { return strings.HasPrefix(claim, "name ") })
	})
	for _, h := range l.all {
		if code := h.stop(); code != 0 && !h.killed {
			l.t.Errorf("host %s: exit %d", h.name, code)
		}
	}
	claims := slices.DeleteFunc(l.claims(), func(claim string) bool {
		return slices.ContainsFunc(l.late, func(job string) bool { return strings.HasPrefix(claim, "job "+job+" ") })
	})
	if len(claims) > 0 {
		l.t.Errorf("claims left: %q", claims)
	}
}
