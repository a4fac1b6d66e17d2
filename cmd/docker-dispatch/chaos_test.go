package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

// chaosPlan is what scripts/chaos asks for; without it, a short run that is always the same.
type chaosPlan struct {
	seed         uint64
	jobs, faults int
	minutes      float64
	queues       []string
	only         string // kinds of faults that begin so
}

func chaosSettings(t *testing.T) chaosPlan {
	number := func(name, otherwise string) float64 {
		text := os.Getenv("DISPATCH_CHAOS_" + name)
		if text == "" {
			text = otherwise
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("DISPATCH_CHAOS_%s: %v", name, err)
		}
		return n
	}
	p := chaosPlan{
		seed: uint64(number("SEED", "5")), jobs: int(number("JOBS", "12")), faults: int(number("FAULTS", "12")),
		minutes: number("MINUTES", "0"), queues: []string{"quorum"}, only: os.Getenv("DISPATCH_CHAOS_ONLY"),
	}
	switch q := os.Getenv("DISPATCH_CHAOS_QUEUE"); q {
	case "":
	case "both":
		p.queues = []string{"classic", "quorum"}
	default:
		p.queues = []string{q}
	}
	return p
}

// span is how long jobs come and faults happen.
func (p chaosPlan) span() time.Duration {
	if p.faults < few {
		return max(10*time.Second, time.Duration(p.jobs)*400*time.Millisecond)
	}
	return max(time.Duration(p.faults)*2700*time.Millisecond, time.Duration(p.jobs)*500*time.Millisecond)
}

// command repeats a round.
func (p chaosPlan) command(seed uint64, queue string) string {
	c := fmt.Sprintf("scripts/chaos --seed %d --jobs %d --faults %d --queue %s", seed, p.jobs, p.faults, queue)
	if p.only != "" {
		c += " --only " + p.only
	}
	return c
}

// TestChaos has jobs done while all that can fail fails, and counts what has become of them.
func TestChaos(t *testing.T) {
	brokertest.Disturbs(t)
	p := chaosSettings(t)
	end := time.Now().Add(time.Duration(p.minutes * float64(time.Minute)))
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		for _, queue := range p.queues {
			seed := p.seed + uint64(round)
			t.Run(fmt.Sprintf("%s-%d", queue, seed), func(t *testing.T) { chaosRound(t, p, queue, seed) })
		}
	}
}

// chaos is one round.
type chaos struct {
	*lab
	folder    string
	faultFile *os.File
	marks     *marks
	events    *events
	daemons   *daemons
	toBroker  *brokertest.Proxy
	toEngine  *brokertest.Proxy
	jobs      []*chaosJob

	left []dockerapi.ContainerSummary // when all was done, before the sweep

	publishing sync.RWMutex // held to write while the broker is away

	mu     sync.Mutex
	fates  []fate
	faulty []string                        // what no process or server may do
	seen   map[string]map[string]time.Time // container ids and when they were first listed, by digest
}

// broken records a failure that is no job's.
func (c *chaos) broken(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	c.faulty = append(c.faulty, text)
	fmt.Fprintf(c.faultFile, "%s %s\n", stamp(time.Now()), text)
}

func chaosRound(t *testing.T, p chaosPlan, queue string, seed uint64) {
	t.Logf("seed %d; once more: %s", seed, p.command(seed, queue))
	began := time.Now()
	h := fnv.New64a()
	h.Write([]byte(queue))
	r := rand.New(rand.NewPCG(seed, h.Sum64()))
	c := newChaos(t, queue)
	c.jobs = planJobs(r, fmt.Sprintf("c%d%s", seed, queue[:1]), p.jobs, p.span()*9/10)
	for _, j := range c.jobs {
		j.write(c.marks)
	}
	faults := planFaults(r, p.faults, p.span(), p.only)
	if len(faults) == 0 {
		t.Fatalf("no fault begins with %q", p.only)
	}
	if queue == "quorum" && slices.ContainsFunc(faults, func(f fault) bool { return f.kind == "broker-kill" }) {
		// A quorum queue that is young when the broker is killed is gone for good, unless the broker was stopped
		// cleanly in between.
		c.server("down", "broker")
		c.server("up", "broker")
	}
	if err := c.daemons.start(false); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var watching, work sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })
	work.Go(func() { c.publishAll(ctx) })
	work.Go(func() { c.suffer(ctx, faults) })
	work.Wait()
	for _, p := range []*brokertest.Proxy{c.toBroker, c.toEngine} {
		p.CutAfter(-1, brokertest.ToServer)
		p.CutAfter(-1, brokertest.ToClient)
	}
	if err := c.setAckTimeout(usualAckTimeout); err != nil {
		c.broken("%v", err)
	}
	suffered := time.Since(began)
	c.settle()
	cancel()
	watching.Wait()
	c.daemons.end(syscall.SIGTERM)
	c.left = c.containers()
	c.sweep()
	c.judge()
	t.Logf("faults were over after %v, all after %v", suffered.Round(time.Second), time.Since(began).Round(time.Second))
}

// newChaos makes a queue and all that stands around the daemon.
func newChaos(t *testing.T, queue string) *chaos {
	c := &chaos{lab: newLab(t), seen: map[string]map[string]time.Time{}}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c.folder, err = os.MkdirTemp("", "dispatch-chaos-")
	must(err)
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("DISPATCH_CHAOS_KEEP") != "" {
			t.Logf("all that is known is in %s", c.folder)
		} else {
			os.RemoveAll(c.folder)
		}
	})
	c.faultFile, err = os.Create(filepath.Join(c.folder, "faults"))
	must(err)
	t.Cleanup(func() { c.faultFile.Close() })
	c.declare(queue)
	c.marks, err = newMarks(c.gateway(), c.folder)
	must(err)
	t.Cleanup(c.marks.close)

	u, err := url.Parse(c.amqpURL)
	must(err)
	c.toBroker = brokertest.ProxyTo(t, "tcp", "127.0.0.1:0", "tcp", u.Host)
	u.Host = c.toBroker.Addr
	socket := filepath.Join(t.TempDir(), "docker.sock")
	c.toEngine = brokertest.ProxyTo(t, "unix", socket, "unix", strings.TrimPrefix(c.dockerHost, "unix://"))

	c.events = &events{jobs: map[string]*printed{}, broken: c.broken}
	c.daemons = &daemons{folder: c.folder, events: c.events, broken: c.broken, args: []string{
		"-q", c.queue, "-v", "--format", "json", "-c", "12", "--ahead", "4", "--drain", "1s", socket, u.String(),
	}}
	t.Cleanup(func() {
		c.daemons.end(syscall.SIGKILL)
		c.daemons.work.Wait()
		if err := c.services(false, "up", "engine"); err != nil { // as the other tests expect it
			t.Error(err)
		}
	})
	return c
}

// declare makes the lab's queue one of the kind.
func (c *chaos) declare(kind string) {
	if kind == "classic" {
		return
	}
	args := amqp.Table{"x-queue-type": kind}
	conn, err := amqp.Dial(c.amqpURL)
	if err != nil {
		c.t.Fatal(err)
	}
	version, _ := conn.Properties["version"].(string)
	conn.Close()
	if major, _, _ := strings.Cut(version, "."); len(major) > 1 || major > "3" {
		args["x-delivery-limit"] = -1 // else the broker drops what comes back too often
	}
	c.broker.Do(func(ch *amqp.Channel) error {
		if _, err := ch.QueueDelete(c.queue, false, false, false); err != nil {
			return err
		}
		_, err := ch.QueueDeclare(c.queue, true, false, false, false, args)
		return err
	})
}

// publishAll publishes the jobs when their times have come.
func (c *chaos) publishAll(ctx context.Context) {
	began := time.Now()
	for _, j := range c.jobs {
		if delay.Sleep(ctx, time.Until(began.Add(j.at))) != nil {
			return
		}
		if err := c.publishOne(j.publication()); err != nil {
			c.broken("%s not published: %v", j.name, err)
		}
		j.published = time.Now()
	}
}

// publishOne publishes one message, past the bad network.
func (c *chaos) publishOne(m publication) error {
	c.publishing.RLock()
	defer c.publishing.RUnlock()
	conn, err := amqp.Dial(c.amqpURL)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	confirmed, err := ch.PublishWithDeferredConfirm("", c.queue, true, false, amqp.Publishing{
		MessageId: m.id, Body: []byte(m.body), DeliveryMode: amqp.Persistent, ContentType: "application/json",
	})
	if err != nil {
		return err
	}
	if !confirmed.Wait() {
		return errors.New("not confirmed")
	}
	return nil
}

// watch lists the jobs' containers again and again.
func (c *chaos) watch(ctx context.Context) {
	for delay.Sleep(ctx, 200*time.Millisecond) == nil {
		list, err := c.engine.ListContainers(ctx, dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + c.queue}})
		if err != nil {
			continue // the engine is away
		}
		c.mu.Lock()
		for _, s := range list {
			digest := s.Labels[identity.LabelDigest]
			if c.seen[digest] == nil {
				c.seen[digest] = map[string]time.Time{}
			}
			if c.seen[digest][s.ID].IsZero() {
				c.seen[digest][s.ID] = time.Now()
			}
		}
		c.mu.Unlock()
	}
}

// settle waits, now that nothing fails any more, until each job has a result and no message is
// left. What is missing then is missing in the counts.
func (c *chaos) settle() {
	bound, cancel := context.WithTimeout(c.t.Context(), time.Minute+time.Duration(len(c.jobs))*time.Second)
	defer cancel()
	for {
		if c.unfinished() == 0 {
			// What is unacked counts, too.
			held, err := brokertest.TryEval(c.t, `{ok, Q} = rabbit_amqqueue:lookup({resource, <<"/">>, queue, <<"%s">>}), rabbit_amqqueue:info(Q, [messages])`, c.queue)
			if err == nil && held == "[{messages, 0}]" {
				return
			}
		}
		if delay.Sleep(bound, 500*time.Millisecond) != nil {
			c.broken("not all done within the time: %d jobs have no result", c.unfinished())
			return
		}
	}
}

// sweep has a last process remove what the others' deaths have left behind.
func (c *chaos) sweep() {
	behind := func() int {
		return len(slices.DeleteFunc(c.containers(), func(s dockerapi.ContainerSummary) bool { return s.Labels[identity.LabelRemove] != "true" }))
	}
	if behind() == 0 {
		return
	}
	if err := c.daemons.start(false, "--sweep-after", "3s"); err != nil {
		c.t.Fatal(err)
	}
	bound, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for behind() > 0 && delay.Sleep(bound, 200*time.Millisecond) == nil {
	}
	c.daemons.end(syscall.SIGTERM)
}

func (c *chaos) unfinished() (n int) {
	for _, e := range c.byJob() {
		if len(e.results) == 0 {
			n++
		}
	}
	return n
}
