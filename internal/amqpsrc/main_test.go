package amqpsrc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

const patience = brokertest.Patience

// TestMain fails where a goroutine of the package outlives all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		buf := make([]byte, 1<<20)
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		for _, s := range stacks {
			if strings.Contains(s, "internal/amqpsrc.") && !strings.Contains(s, "amqpsrc.TestMain") {
				fmt.Fprintf(os.Stderr, "a goroutine is left behind:\n%s\n", s)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func brokerAddr(t testing.TB) string {
	a, err := wire.ParseURL(brokertest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	return a.HostPort()
}

// A logbook keeps what is logged, and lets a test wait for it.
type logbook struct {
	mu    sync.Mutex
	text  bytes.Buffer
	added chan struct{}
}

func newLogbook() *logbook { return &logbook{added: make(chan struct{})} }

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.added)
	l.added = make(chan struct{})
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) count(s string) int { return strings.Count(l.String(), s) }

func (l *logbook) wait(t testing.TB, s string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		text, added := l.text.String(), l.added
		l.mu.Unlock()
		if strings.Contains(text, s) {
			return
		}
		select {
		case <-added:
		case <-timeout:
			t.Fatalf("never logged: %s\n%s", s, text)
		}
	}
}

// A rig is a Source at work.
type rig struct {
	t      testing.TB
	source *Source
	gate   *cmd.Gate
	jobs   chan cmd.Job
	log    *logbook
	stop   context.CancelFunc
	ended  chan error
}

// start runs a Source on queue. change may change its Config before.
func start(t testing.TB, queue string, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, gate: new(cmd.Gate), jobs: make(chan cmd.Job), log: newLogbook(), ended: make(chan error, 1)}
	r.gate.Set(true)
	cfg := Config{
		URL:        brokertest.URL(t),
		Queue:      queue,
		Prefetch:   10,
		DeadLetter: queue + ".dead",
		Host:       "testhost",
		Version:    "0.0",
		Log:        slog.New(slog.NewTextHandler(r.log, nil)),
		Gate:       r.gate,
	}
	if change != nil {
		change(&cfg)
	}
	r.source = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	var control chan cmd.Job
	if cfg.Control != "" {
		control = make(chan cmd.Job)
	}
	go func() { r.ended <- r.source.Run(ctx, r.jobs, control) }()
	t.Cleanup(func() {
		r.stop()
		go func() {
			for range r.jobs { // Run hands over what it has before it ends
			}
		}()
		r.close()
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
		if a, err := wire.ParseURL(cfg.URL); err == nil && a.Password != "guest" && strings.Contains(r.log.String(), a.Password) {
			t.Errorf("the log holds the password:\n%s", r.log)
		}
	})
	return r
}

// next takes the next job.
func (r *rig) next() cmd.Job {
	r.t.Helper()
	select {
	case j, ok := <-r.jobs:
		if !ok {
			r.t.Fatalf("jobs is closed, and Run ended with %v", <-r.ended)
		}
		return j
	case <-time.After(patience):
		r.t.Fatal("no job comes")
	}
	panic("unreachable")
}

// failed waits for Run to fail by itself.
func (r *rig) failed() error {
	r.t.Helper()
	timeout := time.After(patience)
	select {
	case _, ok := <-r.jobs:
		if ok {
			r.t.Fatal("got a job")
		}
	case <-timeout:
		r.t.Fatal("Run does not fail")
	}
	err := <-r.ended
	r.ended <- err
	return err
}

// take takes the next jobs and demands that they have these bodies.
func (r *rig) take(bodies ...string) []cmd.Job {
	r.t.Helper()
	var list []cmd.Job
	for _, want := range bodies {
		j := r.next()
		if string(j.Body) != want {
			r.t.Fatalf("got job %q, want %q", j.Body, want)
		}
		list = append(list, j)
	}
	return list
}

// end ends the intake and waits for Run. What is still handed over goes back, as the pool does it.
func (r *rig) end() error {
	r.t.Helper()
	r.stop()
	for j := range r.jobs {
		settle(r.t, j, cmd.Requeue)
	}
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return")
	}
	panic("unreachable")
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.source.Close(ctx); err != nil {
		r.t.Errorf("Close: %v", err)
	}
}

func settle(t testing.TB, j cmd.Job, v cmd.Verdict) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := error(nil)
	if v == cmd.DeadLetter {
		err = deadLetterJob(ctx, j, event.Result{})
	} else {
		err = j.Settle(ctx, v, event.Result{})
	}
	if err != nil {
		t.Fatalf("settle %q as %v: %v", j.Body, v, err)
	}
}

// deadLetterJob does with a job what the pool does with one that cannot be carried out.
func deadLetterJob(ctx context.Context, j cmd.Job, r event.Result) error {
	if j.Store == nil {
		return j.Settle(ctx, cmd.DeadLetter, r)
	}
	if err := j.Store(ctx, r); err != nil {
		return err
	}
	return j.Settle(ctx, cmd.Ack, r)
}

// lost settles a job whose session is over, which must fail without touching the broker.
func lost(t testing.TB, j cmd.Job, v cmd.Verdict) {
	t.Helper()
	if !j.Lost() {
		t.Errorf("job %q: not lost", j.Body)
	}
	if err := j.Settle(context.Background(), v, event.Result{}); !errors.Is(err, cmd.ErrDeliveryLost) {
		t.Errorf("job %q: settle of a lost delivery: %v", j.Body, err)
	}
	if err := j.Fence(context.Background()); !errors.Is(err, cmd.ErrDeliveryLost) {
		t.Errorf("job %q: fence of a lost delivery: %v", j.Body, err)
	}
}

// A proxy stands between a Source and the broker, for the faults that a network has.
type proxy struct {
	t      testing.TB
	target string
	ln     net.Listener
	addr   string

	mu     sync.Mutex
	conns  []*proxied
	refuse bool
	wg     sync.WaitGroup
}

// A proxied is one connection through a proxy. The first that a Source makes consumes, the second
// publishes.
type proxied struct {
	client, server net.Conn
	gate           cmd.Gate      // closed: bytes are taken and not passed on
	cutAfter       chan struct{} // closed: the next bytes to the client are cut in half, and the connection with them
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: brokerAddr(t), ln: ln, addr: ln.Addr().String()}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

// through is a Config change that sends a Source through the proxy.
func (p *proxy) through(c *Config) {
	c.Dial = func(network, _ string) (net.Conn, error) { return net.Dial(network, p.addr) }
}

func (p *proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		server, err := net.Dial("tcp", p.target)
		if err != nil || refuse {
			client.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		c := &proxied{client: client, server: server, cutAfter: make(chan struct{})}
		c.gate.Set(true)
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() { c.copy(server, client, nil) })
		p.wg.Go(func() { c.copy(client, server, c.cutAfter) })
	}
}

func (c *proxied) copy(dst, src net.Conn, cut <-chan struct{}) {
	defer dst.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		for {
			open, changed := c.gate.State()
			if open {
				break
			}
			<-changed
		}
		if cut != nil {
			select {
			case <-cut:
				dst.Write(buf[:n/2])
				c.cut()
				return
			default:
			}
		}
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (c *proxied) cut() {
	c.client.(*net.TCPConn).SetLinger(0) // a reset, as from a host that has gone
	c.client.Close()
	c.server.Close()
	c.gate.Set(true)
}

// inject sends a method frame of AMQP to the client, as from the broker. The connection must be idle, or
// the frame lands in another.
func (c *proxied) inject(channel, class, method byte, args string) {
	b := append([]byte{wire.FrameMethod, 0, channel, 0, 0, 0, byte(4 + len(args)), 0, class, 0, method}, args...)
	c.client.Write(append(b, 0xCE))
}

func (p *proxy) conn(i int) *proxied {
	p.t.Helper()
	var c *proxied
	brokertest.Eventually(p.t, "connection through the proxy", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i < len(p.conns) {
			c = p.conns[i]
		}
		return c != nil
	})
	return c
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.cut()
	}
}

func (p *proxy) setRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}
