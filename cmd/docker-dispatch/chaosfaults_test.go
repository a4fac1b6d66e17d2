package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
)

// A fault is one thing that goes wrong.
type fault struct {
	kind  string
	at    time.Duration // since the beginning of the round
	lasts time.Duration // how long a server is away or the network is bad
	ways  []brokertest.Way
	bytes int // until a cut
	host  int // of several hosts
}

func (f fault) String() string {
	s := fmt.Sprintf("%s at %v for %v", f.kind, f.at.Round(time.Millisecond), f.lasts.Round(time.Millisecond))
	if len(f.ways) > 0 {
		s += fmt.Sprintf(" %v", f.ways)
	}
	if f.bytes > 0 {
		s += fmt.Sprintf(" after %d bytes", f.bytes)
	}
	return s
}

// lanes: faults of one lane come one after the other, those of different lanes at the same time.
const (
	daemonLane = iota
	networkLane
	brokerLane
	engineLane
	lanes
)

// A faultKind says how many of a hundred faults are of the kind.
type faultKind struct {
	kind  string
	lane  int
	of    int
	cheap bool // it costs little time
	do    func(c *chaos, ctx context.Context, f fault) error
}

func faultKinds() []faultKind {
	return []faultKind{
		{"daemon-kill", daemonLane, 15, true, daemonEnd(syscall.SIGKILL, false)},
		{"daemon-stop", daemonLane, 7, true, daemonEnd(syscall.SIGTERM, false)},
		{"log-full", daemonLane, 6, true, daemonEnd(syscall.SIGKILL, true)},
		{"broker-cut", networkLane, 6, true, func(c *chaos, _ context.Context, f fault) error { c.toBroker.Cut(); return nil }},
		{"broker-cut-after", networkLane, 6, true, cutAfter(func(c *chaos) *brokertest.Proxy { return c.toBroker })},
		{"broker-stall", networkLane, 5, true, stall(func(c *chaos) *brokertest.Proxy { return c.toBroker })},
		{"broker-slow", networkLane, 4, true, slow(func(c *chaos) *brokertest.Proxy { return c.toBroker })},
		{"engine-cut", networkLane, 6, true, func(c *chaos, _ context.Context, f fault) error { c.toEngine.Cut(); return nil }},
		{"engine-cut-after", networkLane, 6, true, cutAfter(func(c *chaos) *brokertest.Proxy { return c.toEngine })},
		{"engine-stall", networkLane, 4, true, stall(func(c *chaos) *brokertest.Proxy { return c.toEngine })},
		{"engine-slow", networkLane, 3, true, slow(func(c *chaos) *brokertest.Proxy { return c.toEngine })},
		{"broker-kill", brokerLane, 5, false, brokerEnd("kill")},
		{"broker-restart", brokerLane, 4, false, brokerEnd("down")},
		{"connections-closed", brokerLane, 7, true, connectionsClosed},
		{"ack-timeout", brokerLane, 4, true, ackTimeout},
		{"engine-kill", engineLane, 3, true, engineEnd("kill", false)},
		{"engine-restart", engineLane, 3, false, engineEnd("down", false)},
		{"engine-kill-live", engineLane, 3, false, engineEnd("kill", true)},
		{"engine-restart-live", engineLane, 3, false, engineEnd("down", true)},
	}
}

// few faults make a short round.
const few = 30

// planFaults spreads about n faults over the span, some of each kind; few are cheap ones only.
// With only they are of the kinds that begin so.
func planFaults(r *rand.Rand, n int, span time.Duration, only string) []fault {
	kinds := slices.DeleteFunc(faultKinds(), func(k faultKind) bool {
		return !strings.HasPrefix(k.kind, only) || only == "" && n < few && !k.cheap
	})
	all := 100
	if only != "" {
		all = 0
		for _, k := range kinds {
			all += k.of
		}
	}
	var faults []fault
	longest := min(20*time.Second, span/8)
	for _, k := range kinds {
		for range max(1, k.of*n/all) {
			f := fault{kind: k.kind, at: span/50 + time.Duration(r.Int64N(int64(span))), lasts: time.Duration(r.IntN(1500)) * time.Millisecond}
			switch {
			case strings.HasSuffix(k.kind, "-cut-after"):
				f.ways, f.bytes = [][]brokertest.Way{{brokertest.ToServer}, {brokertest.ToClient}}[r.IntN(2)], 1+r.IntN(1<<(3+r.IntN(10)))
			case strings.HasSuffix(k.kind, "-stall"), strings.HasSuffix(k.kind, "-slow"):
				f.ways = [][]brokertest.Way{{brokertest.ToServer, brokertest.ToClient}, {brokertest.ToServer}, {brokertest.ToClient}}[r.IntN(3)]
				f.lasts = time.Second + time.Duration(r.Int64N(int64(longest)))
			case k.kind == "ack-timeout":
				f.lasts = 8*time.Second + time.Duration(r.Int64N(int64(longest)))
			}
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return int(a.at - b.at) })
	return faults
}

// A fate is a fault as it came.
type fate struct {
	fault
	from, to time.Time
}

// meets tells whether the fault was on at some time of a span.
func (f fate) meets(from, to time.Time) bool { return f.from.Before(to) && f.to.After(from) }

// is tells whether the fault is of one of the kinds.
func (f fault) is(kinds []string) bool {
	return slices.ContainsFunc(kinds, func(k string) bool {
		ok, _ := path.Match(k, f.kind)
		return ok
	})
}

// suffer carries out the planned faults, each lane for itself.
func (c *chaos) suffer(ctx context.Context, faults []fault) {
	kinds := map[string]faultKind{}
	for _, k := range faultKinds() {
		kinds[k.kind] = k
	}
	began := time.Now()
	var work sync.WaitGroup
	for lane := range lanes {
		work.Go(func() {
			for _, f := range faults {
				if kinds[f.kind].lane != lane {
					continue
				}
				if delay.Sleep(ctx, time.Until(began.Add(f.at))) != nil {
					return
				}
				c.inflict(ctx, kinds[f.kind], f)
			}
		})
	}
	work.Wait()
}

func (c *chaos) inflict(ctx context.Context, k faultKind, f fault) {
	c.mu.Lock()
	n := len(c.fates)
	c.fates = append(c.fates, fate{f, time.Now(), time.Now().Add(time.Hour)})
	c.mu.Unlock()
	err := k.do(c, ctx, f)
	now := time.Now()
	c.mu.Lock()
	c.fates[n].to = now
	fmt.Fprintf(c.faultFile, "%s to %s %v\n", stamp(c.fates[n].from), stamp(now), f)
	c.mu.Unlock()
	if err != nil {
		c.broken("fault %v: %v", f, err)
	}
}

func daemonEnd(signal syscall.Signal, fullLog bool) func(*chaos, context.Context, fault) error {
	return func(c *chaos, ctx context.Context, f fault) error {
		c.daemons.end(signal)
		delay.Sleep(ctx, f.lasts)
		return c.daemons.start(fullLog)
	}
}

func cutAfter(which func(*chaos) *brokertest.Proxy) func(*chaos, context.Context, fault) error {
	return func(c *chaos, _ context.Context, f fault) error {
		which(c).CutAfter(f.bytes, f.ways[0])
		return nil
	}
}

func stall(which func(*chaos) *brokertest.Proxy) func(*chaos, context.Context, fault) error {
	return func(c *chaos, ctx context.Context, f fault) error {
		which(c).Stall(1, f.ways...)
		defer which(c).Stall(-1, f.ways...)
		delay.Sleep(ctx, f.lasts)
		return nil
	}
}

func slow(which func(*chaos) *brokertest.Proxy) func(*chaos, context.Context, fault) error {
	return func(c *chaos, ctx context.Context, f fault) error {
		which(c).Delay(1, f.ways...)
		defer which(c).Delay(-1, f.ways...)
		delay.Sleep(ctx, f.lasts)
		return nil
	}
}

func brokerEnd(how string) func(*chaos, context.Context, fault) error {
	return func(c *chaos, ctx context.Context, f fault) error {
		// A publisher that does not learn whether a message was taken would send it twice.
		c.publishing.Lock()
		defer c.publishing.Unlock()
		if err := c.services(false, how, "broker"); err != nil {
			return err
		}
		delay.Sleep(ctx, f.lasts)
		return c.services(false, "up", "broker")
	}
}

func engineEnd(how string, live bool) func(*chaos, context.Context, fault) error {
	return func(c *chaos, ctx context.Context, f fault) error {
		if err := c.services(live, "up", "engine"); err != nil { // a running one learns what becomes of its containers
			return err
		}
		if err := c.services(false, how, "engine"); err != nil {
			return err
		}
		delay.Sleep(ctx, f.lasts)
		return c.services(live, "up", "engine")
	}
}

func connectionsClosed(c *chaos, ctx context.Context, f fault) error {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	_, err := brokertest.TryEval(c.t, `[catch rabbit_networking:close_connection(P, "chaos") || P <- rabbit_networking:connections()]`)
	return err
}

// The broker's usual time for an acknowledgement, and the one of the fault, in milliseconds.
const (
	usualAckTimeout = 1800000
	shortAckTimeout = 3000
)

func ackTimeout(c *chaos, ctx context.Context, f fault) error {
	if err := c.setAckTimeout(shortAckTimeout); err != nil {
		return err
	}
	c.toBroker.Cut() // it holds for channels that are opened from now on
	delay.Sleep(ctx, f.lasts)
	if err := c.setAckTimeout(usualAckTimeout); err != nil {
		return err
	}
	c.toBroker.Cut()
	return nil
}

func (c *chaos) setAckTimeout(ms int) error {
	_, err := brokertest.TryEval(c.t, "application:set_env(rabbit, consumer_timeout, %d)", ms)
	return err
}

// services has scripts/services do something.
func (l *lab) services(live bool, args ...string) error {
	s := exec.Command(os.Getenv("DISPATCH_TEST_SERVICES"), args...)
	s.Env = append(os.Environ(), "SERVICES_LIVE_RESTORE=")
	if live {
		s.Env = append(s.Env, "SERVICES_LIVE_RESTORE=1")
	}
	if out, err := s.CombinedOutput(); err != nil {
		return fmt.Errorf("services %q: %w\n%s", args, err, out)
	}
	return nil
}
