package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

// TestHostsChaos has three hosts, each at a node of its own of a cluster, do jobs while hosts, engines and nodes fail. Then it counts
// on all engines what has become of the jobs.
func TestHostsChaos(t *testing.T) {
	brokertest.Disturbs(t)
	p := chaosSettings(t)
	end := time.Now().Add(time.Duration(p.minutes * float64(time.Minute)))
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		seed := p.seed + uint64(round)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { hostsRound(t, p, seed) })
	}
}

// hostsChaos is one round.
type hostsChaos struct {
	*hosts
	jobs    []*hostJob
	follows sync.WaitGroup

	publishing sync.RWMutex  // held to write while the publisher goes to another node
	engines    [3]sync.Mutex // held while an engine must not be killed

	mu     sync.Mutex
	starts map[string][]hostStart // of programs, by job
	burns  map[*member][]time.Time
	fates  []fate
	faulty []string
}

func (c *hostsChaos) broken(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faulty = append(c.faulty, fmt.Sprintf(format, args...))
}

// chaosOptions: nothing is swept meanwhile. RabbitMQ 3.10 has kept a message of a dead connection unacked for a minute, after its node
// was cut off and killed. The sweep of a host waits for hours usually.
func chaosOptions(more ...string) []string {
	return append([]string{"-c", "6", "--sweep-after", "12h"}, more...)
}

func hostsRound(t *testing.T, p chaosPlan, seed uint64) {
	t.Logf("seed %d; once more: scripts/chaos --hosts 3 --seed %d --jobs %d --faults %d", seed, seed, p.jobs, p.faults)
	r := rand.New(rand.NewPCG(seed, 3))
	c := &hostsChaos{hosts: newClusterHosts(t, "a", "b", "c"), starts: map[string][]hostStart{}, burns: map[*member][]time.Time{}}
	c.jobs = planHostJobs(r, fmt.Sprintf("c%d", seed), p.jobs, p.span()*9/10)
	watching, stopWatching := context.WithCancel(context.Background())
	defer c.follows.Wait()
	defer stopWatching()
	for _, h := range c.all {
		c.follows.Go(func() { c.follow(watching, h) })
		h.start(chaosOptions()...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), p.span()+2*time.Minute)
	defer cancel()
	var work sync.WaitGroup
	for _, j := range c.jobs {
		work.Go(func() { c.publish(ctx, j) })
	}
	work.Go(func() { c.suffer(ctx, planHostFaults(r, p.faults, p.span(), p.only)) })
	began := time.Now()
	work.Wait()
	t.Cleanup(c.keep)
	suffered := time.Since(began)
	c.settle()
	settled := time.Since(began)
	c.judge()
	c.tidy()
	t.Logf("faults were over after %v, jobs after %v, all after %v", suffered.Round(time.Second), settled.Round(time.Second), time.Since(began).Round(time.Second))
}

// keep keeps what the daemons of a round that failed have printed.
func (c *hostsChaos) keep() {
	if !c.t.Failed() {
		return
	}
	folder, err := os.MkdirTemp("", "dispatch-chaos-")
	for _, h := range c.all {
		for i, p := range h.processes() {
			err = errors.Join(err, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%02d.stderr", h.name, i)), []byte(p.log()), 0o666),
				os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%02d.stdout", h.name, i)), []byte(p.out()), 0o666))
		}
	}
	c.t.Logf("what the daemons have printed is in %s; %v", folder, err)
}

// publish publishes a job, and the command that is to end it once it has started.
func (c *hostsChaos) publish(ctx context.Context, j *hostJob) {
	if delay.Sleep(ctx, j.at) != nil {
		return
	}
	c.send(c.queue, j.id, j.body())
	for looks := 1; j.stop != "" && delay.Sleep(ctx, 100*time.Millisecond) == nil; looks++ {
		if s, ok := c.last(j); ok {
			delay.Sleep(ctx, j.wait)
			c.send(j.stopQueue(c.queue), j.stop, j.stopBody(s.name))
			return
		}
		if looks%50 == 0 && len(c.results()[j.id]) > 0 {
			break // its engine was killed amid the start
		}
	}
	j.stop = ""
}

// send publishes a message, past all faults.
func (c *hostsChaos) send(queue, id, body string) {
	c.publishing.RLock()
	defer c.publishing.RUnlock()
	c.broker.Send(queue, amqp.Publishing{MessageId: id, Body: []byte(body), DeliveryMode: amqp.Persistent})
}

// A hostFaultKind is done to a host, its engine or its node.
type hostFaultKind struct {
	kind string
	of   int // of a hundred
	lane int
	do   func(c *hostsChaos, ctx context.Context, n int, lasts time.Duration)
}

func hostFaultKinds() []hostFaultKind {
	return []hostFaultKind{
		{"daemon-kill", 45, daemonLane, (*hostsChaos).daemonKill},
		{"host-cut", 25, daemonLane, (*hostsChaos).hostCut},
		{"host-lost", 8, daemonLane, (*hostsChaos).hostLost},
		{"node-kill", 8, brokerLane, (*hostsChaos).nodeKill},
		{"node-cut", 4, brokerLane, (*hostsChaos).nodeCut},
		{"engine-kill", 10, engineLane, (*hostsChaos).engineKill},
	}
}

// planHostFaults spreads about n faults over the span, some of each kind; a few are of daemons only, which cost little time. With only
// they are of the kinds that begin so.
func planHostFaults(r *rand.Rand, n int, span time.Duration, only string) (faults []fault) {
	longest := 3 * time.Second
	if n < few {
		longest = time.Second
	}
	for _, k := range hostFaultKinds() {
		if !strings.HasPrefix(k.kind, only) || only == "" && n < few && k.lane != daemonLane {
			continue
		}
		for range max(1, k.of*n/100) {
			faults = append(faults, fault{kind: k.kind, at: span/50 + time.Duration(r.Int64N(int64(span))), lasts: time.Duration(r.Int64N(int64(longest))), host: r.IntN(3)})
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return int(a.at - b.at) })
	return faults
}

// suffer carries out the faults, those of one lane one after the other.
func (c *hostsChaos) suffer(ctx context.Context, faults []fault) {
	began := time.Now()
	var work sync.WaitGroup
	for lane := range lanes {
		work.Go(func() {
			for _, f := range faults {
				for _, k := range hostFaultKinds() {
					if k.kind != f.kind || k.lane != lane || delay.Sleep(ctx, time.Until(began.Add(f.at))) != nil {
						continue
					}
					c.mu.Lock()
					n := len(c.fates)
					c.fates = append(c.fates, fate{f, time.Now(), time.Now().Add(time.Hour)})
					c.mu.Unlock()
					k.do(c, ctx, f.host, f.lasts)
					c.mu.Lock()
					c.fates[n].to = time.Now()
					c.mu.Unlock()
				}
			}
		})
	}
	work.Wait()
}

func (c *hostsChaos) daemonKill(ctx context.Context, n int, lasts time.Duration) {
	h := c.all[n]
	c.ends(h)
	delay.Sleep(ctx, lasts)
	h.launch(program(c.t), chaosOptions()...)
}

// ends ends a daemon, which must not have ended by itself.
func (c *hostsChaos) ends(h *member) {
	select {
	case <-h.exited:
		c.broken("host %s ended by itself: exit %d\n%s", h.name, h.code, h.log())
	default:
		h.kill()
	}
}

func (c *hostsChaos) hostCut(ctx context.Context, n int, lasts time.Duration) {
	h := c.all[n]
	h.cut()
	delay.Sleep(ctx, 2*lasts)
	h.heal()
}

// hostLost takes away a host with all that it has, and gives it up. Later there is a new host of that name.
func (c *hostsChaos) hostLost(ctx context.Context, n int, lasts time.Duration) {
	h := c.all[n]
	c.ends(h)
	c.engines[n].Lock()
	for _, s := range h.containers() {
		if err := h.engine.RemoveContainer(ctx, s.ID, dockerapi.RemoveOptions{Force: true}); err != nil {
			c.broken("container %s of the lost host %s: %v", s.Name, h.name, err)
		}
	}
	c.engines[n].Unlock()
	c.mu.Lock()
	c.burns[h] = append(c.burns[h], time.Now())
	c.mu.Unlock()
	for {
		c.publishing.RLock()
		out, code := c.release(h.name, os.Getenv("AMQP_URL"))
		c.publishing.RUnlock()
		if code == 0 {
			break
		}
		if delay.Sleep(ctx, time.Second) != nil {
			c.broken("host %s is not released: %s", h.name, out)
			return
		}
	}
	delay.Sleep(ctx, lasts)
	h.launch(program(c.t), chaosOptions("--remove-stale")...)
}

// avoid has the publisher and the operator use another node than n, which is to fail.
func (c *hostsChaos) avoid(n int) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	os.Setenv("AMQP_URL", strings.Fields(os.Getenv("DISPATCH_TEST_CLUSTER"))[(n+1)%3])
	c.broker.Conn().Close()
}

func (c *hostsChaos) nodeKill(ctx context.Context, n int, lasts time.Duration) {
	c.avoid(n)
	c.server("kill", fmt.Sprint("broker", n+1))
	delay.Sleep(ctx, lasts)
	c.server("up", fmt.Sprint("broker", n+1))
	c.whole(ctx)
}

// nodeCut parts a node from the others until it has paused. If the cut ended in the second in which the nodes notice it, their metadata
// would stay parted for good: that is a fault of Mnesia.
func (c *hostsChaos) nodeCut(ctx context.Context, n int, lasts time.Duration) {
	c.avoid(n)
	c.server("cut", fmt.Sprint("broker", n+1))
	delay.Sleep(ctx, 15*time.Second+lasts)
	c.server("heal", fmt.Sprint("broker", n+1))
	c.whole(ctx)
}

// whole waits until all nodes work together. If another one failed before, the cluster could go on with what the first one knows, which
// lacks the claims of the meantime: three nodes bear one fault at a time.
func (c *hostsChaos) whole(ctx context.Context) {
	for n := 0; n < 3; {
		out, err := exec.Command(filepath.Join(filepath.Dir(os.Getenv("DISPATCH_TEST_BROKER_EVAL")), "..", fmt.Sprint(n+1), "broker-eval"),
			"{rabbit:is_running(), length(nodes())}").CombinedOutput()
		if err == nil && strings.TrimSpace(string(out)) == "{true, 2}" {
			n++
		} else if delay.Sleep(ctx, 200*time.Millisecond) != nil {
			c.broken("node %d does not come back: %s", n+1, out)
			return
		}
	}
}

func (c *hostsChaos) engineKill(ctx context.Context, n int, lasts time.Duration) {
	c.engines[n].Lock()
	defer c.engines[n].Unlock()
	c.server("kill", fmt.Sprint("engine", n+1))
	delay.Sleep(ctx, lasts)
	c.server("up", fmt.Sprint("engine", n+1))
}

func (c *hostsChaos) server(args ...string) {
	if err := c.lab.services(false, args...); err != nil {
		c.broken("%v", err)
	}
}

// settle waits, now that nothing fails any more, until each job has a result. What is missing then is missing in the counts.
func (c *hostsChaos) settle() {
	bound, cancel := context.WithTimeout(c.t.Context(), time.Minute+time.Duration(len(c.jobs))*time.Second)
	defer cancel()
	for again := 0; ; again++ {
		results := c.results()
		left := slices.DeleteFunc(slices.Clone(c.jobs), func(j *hostJob) bool {
			return len(results[j.id]) > 0 && (j.stop == "" || len(results[j.stop]) > 0)
		})
		if len(left) == 0 && c.messages() == 0 {
			return
		}
		if delay.Sleep(bound, 500*time.Millisecond) != nil {
			ids := ""
			for _, j := range left {
				ids += fmt.Sprintf(" %s (results %d, of its stop %d)", j.id, len(results[j.id]), len(results[j.stop]))
			}
			c.broken("not all done within the time, with %d messages left:%s; the broker holds %s", c.messages(), ids, c.held())
			return
		}
		for _, j := range left { // a lost host may have taken the effect of the stop with it
			if s, ok := c.last(j); ok && j.stop != "" && again%20 == 10 {
				c.send(c.queue, fmt.Sprint("again-", again, j.stop), j.stopBody(s.name))
			}
		}
	}
}

// held is what the broker tells of the hosts' queues: messages that are ready, and unacked.
func (c *hostsChaos) held() string {
	text, err := brokertest.TryEval(c.t, `[{binary_to_list(N), rabbit_amqqueue:info(Q, [messages_ready, messages_unacknowledged, messages_dlx, consumers])} || Q <- rabbit_amqqueue:list(<<"/">>),
		{resource, _, queue, N} <- [element(2, Q)], string:prefix(N, <<"%s">>) =/= nomatch]`, c.queue)
	return fmt.Sprint(text, " ", err)
}

// messages is how many messages of the hosts are ready.
func (c *hostsChaos) messages() (n int) {
	for _, h := range c.all {
		n += c.broker.Ready(c.queue+".host."+h.name) + c.broker.Ready(c.queue+".host."+h.name+".control")
	}
	return n + c.broker.Ready(c.queue) + c.broker.Ready(c.queue+".control")
}

// tidy has the containers removed by messages, those that a crash left by a sweep, and checks that nothing is left.
func (c *hostsChaos) tidy() {
	var commands []string
	for i, h := range c.all {
		for _, s := range h.containers() {
			if s.Labels[identity.LabelRemove] == "true" {
				continue // a daemon was killed before the removal
			}
			id := fmt.Sprintf("remove-%s-%d", s.ID[:12], i)
			commands = append(commands, id)
			c.send(c.queue, id, fmt.Sprintf(`{"Dockercmd": "remove", "Container": %q, "Options": {"Force": true}}`, s.Name))
		}
	}
	c.awaitResults(commands...)
	c.succeeded(commands)
	for _, j := range c.jobs {
		c.late = append(c.late, j.id)
		c.know(j.id)
	}
	for _, h := range c.all {
		if code := h.stop(); code != 0 {
			c.t.Errorf("host %s: exit %d", h.name, code)
		}
		h.start("--sweep-after", "2s")
	}
	for _, h := range c.all {
		c.eventually("host "+h.name+" has no container left", func() bool { return len(h.containers()) == 0 })
	}
	// A daemon that ends just after a removal leaves the claim of the name: its message is settled, and does not come again. The
	// next command on the name gives the claim up.
	for _, claim := range c.claims() {
		if name, ok := strings.CutPrefix(claim, "name "); ok {
			name, _, _ = strings.Cut(name, " ")
			c.send(c.queue, "after-"+name, fmt.Sprintf(`{"Dockercmd": "inspect", "Container": %q}`, name))
		}
	}
	c.broker.Take(c.queue + ".dead") // of jobs whose engine was killed: judge has seen their results
	c.empty()
}
