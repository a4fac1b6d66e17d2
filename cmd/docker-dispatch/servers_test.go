package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = brokertest.Patience

// lab is what a test has of the real servers, with a queue of its own.
type lab struct {
	t          *testing.T
	dockerHost string
	amqpURL    string
	broker     *brokertest.Peer
	engine     *dockerapi.Client
	queue      string
	serial     string   // tells this lab from all others
	env        []string // of the programs to come, besides what they always have
	killed     bool     // the test killed the engine
}

// newLab finds the servers that scripts/services started. Without them the test is skipped, and
// fails where they are required. The queue is a classic one unless kind is given.
func newLab(t *testing.T, kind ...string) *lab {
	t.Helper()
	l := &lab{t: t, dockerHost: brokertest.Required(t, "DOCKER_HOST"), amqpURL: brokertest.URL(t), broker: brokertest.New(t)}
	host, err := dockerapi.ParseHost(l.dockerHost)
	if err != nil {
		t.Fatal(err)
	}
	if l.engine, err = dockerapi.New(host, dockerapi.Options{}); err != nil {
		t.Fatal(err)
	}
	l.serial = fmt.Sprint(time.Now().UnixNano())
	l.queue = fmt.Sprintf("test-%s-%s", l.serial, strings.ReplaceAll(t.Name(), "/", "-"))
	if len(l.queue) > 200 {
		l.queue = l.queue[:200]
	}
	arguments := amqp.Table{}
	if len(kind) > 0 {
		arguments[amqp.QueueTypeArg] = kind[0]
	}
	l.broker.DeclareWith(l.queue, arguments)
	t.Cleanup(func() {
		l.broker.Delete(l.queue, l.queue+".dead", l.queue+".control")
		for _, c := range l.containers() {
			if err := l.engine.RemoveContainer(context.Background(), c.ID, dockerapi.RemoveOptions{Force: true, Volumes: true}); err != nil {
				t.Logf("container %s not removed: %v", c.Name, err)
			}
		}
		l.engine.Close()
	})
	return l
}

// sharedDir makes a folder that the engine sees under the same path: beside its socket, as scripts/services has it.
func (l *lab) sharedDir() string {
	l.t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(strings.TrimPrefix(l.dockerHost, "unix://")), "shared")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// publish puts messages on the queue, each confirmed. An empty id gives none.
func (l *lab) publish(messages ...publication) {
	l.t.Helper()
	var all []amqp.Publishing
	for _, m := range messages {
		all = append(all, amqp.Publishing{MessageId: m.id, Body: []byte(m.body), DeliveryMode: amqp.Persistent, ContentType: "application/json"})
	}
	l.broker.Send(l.queue, all...)
}

type publication struct{ id, body string }

// containers lists what the queue's jobs have on the engine.
func (l *lab) containers() []dockerapi.ContainerSummary {
	l.t.Helper()
	list, err := l.engine.ListContainers(context.Background(), dockerapi.ListOptions{All: true, Labels: []string{identity.LabelQueue + "=" + l.queue}})
	if err != nil {
		l.t.Logf("containers: %v", err)
	}
	return list
}

// deleteQueues deletes queues that the program made beside the lab's own.
func (l *lab) deleteQueues(suffixes ...string) {
	for _, s := range suffixes {
		l.broker.Delete(l.queue + s)
	}
}

// engineCall asks the engine for what the program does not, and returns its answer.
func (l *lab) engineCall(method, path string) []byte {
	l.t.Helper()
	socket := strings.TrimPrefix(l.dockerHost, "unix://")
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(method, "http://docker"+path, http.NoBody)
	if err != nil {
		l.t.Fatal(err)
	}
	answer, err := client.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		l.t.Fatalf("%s %s: %s %s %v", method, path, answer.Status, body, err)
	}
	return body
}

func (l *lab) eventually(what string, ok func() bool) {
	l.t.Helper()
	brokertest.Eventually(l.t, what, ok)
}

// server has scripts/services start, end or kill a server.
func (l *lab) server(args ...string) {
	l.t.Helper()
	brokertest.Disturbs(l.t)
	script := brokertest.Required(l.t, "DISPATCH_TEST_SERVICES")
	if out, err := exec.Command(script, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("services %q: %v\n%s", args, err, out)
	}
}

// proxied puts a proxy before the broker, until the test t ends, and returns it with the broker's address through it.
func (l *lab) proxied(t *testing.T) (*brokertest.Proxy, string) {
	t.Helper()
	u, err := url.Parse(l.amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := brokertest.ProxyTo(t, "tcp", "127.0.0.1:0", "tcp", u.Host)
	u.Host = proxy.Addr
	return proxy, u.String()
}

// process is the program at work in a process of its own.
type process struct {
	l      *lab
	cmd    *exec.Cmd
	exited chan struct{}
	code   int            // written before exited is closed
	piped  sync.WaitGroup // the readers of its output

	mu     sync.Mutex
	stdout strings.Builder
	stderr strings.Builder
	grown  chan struct{} // closed when either has grown
}

// start starts the program on the lab's servers and queue. Arguments that begin with = replace the
// addresses.
func (l *lab) start(args ...string) *process {
	l.t.Helper()
	return l.startCommand(program(l.t), args...)
}

// startCommand is start with a program of the caller's, which gets the arguments and the environment.
func (l *lab) startCommand(c *exec.Cmd, args ...string) *process {
	l.t.Helper()
	if !slices.Contains(args, "--policy") {
		args = append(args, "--policy", trusting(l.t)) // see quickNetwork
	}
	addresses := []string{l.dockerHost, l.amqpURL}
	options := []string{"-v"} // else the lines of many jobs are summed
	for i, at := 0, 0; i < len(args); i++ {
		if a, ok := strings.CutPrefix(args[i], "="); ok {
			addresses[at] = a
			at++
			continue
		}
		options = append(options, args[i])
	}
	c.Args = append(append(append(c.Args, "-q", l.queue), options...), addresses...)
	c.Env = append(c.Env, l.env...)
	return l.startExactly(c)
}

// startExactly starts a daemon that has all its arguments.
func (l *lab) startExactly(c *exec.Cmd) *process {
	l.t.Helper()
	p := &process{l: l, exited: make(chan struct{}), grown: make(chan struct{}), cmd: c}
	p.pipe(p.cmd.StdoutPipe, &p.stdout)
	p.pipe(p.cmd.StderrPipe, &p.stderr)
	if err := p.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		state, err := p.cmd.Process.Wait()
		if err == nil {
			p.code = state.ExitCode()
		}
		close(p.exited)
	}()
	l.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		p.mu.Lock()
		defer p.mu.Unlock()
		if strings.Contains(p.stdout.String()+p.stderr.String(), brokertest.Password) {
			l.t.Error("the program has printed a secret")
			return
		}
		if l.t.Failed() {
			l.t.Logf("stdout:\n%.5000s\nstderr:\n%.10000s", p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

func (p *process) pipe(open func() (io.ReadCloser, error), to *strings.Builder) {
	r, err := open()
	if err != nil {
		p.l.t.Fatal(err)
	}
	p.piped.Go(func() {
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadBytes('\n')
			p.mu.Lock()
			to.Write(line)
			close(p.grown)
			p.grown = make(chan struct{})
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}

// await waits until what the program has printed so far, on stdout and stderr, satisfies ok.
func (p *process) await(what string, ok func(stdout, stderr string) bool) {
	p.l.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		done, grown := ok(p.stdout.String(), p.stderr.String()), p.grown
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-grown:
		case <-p.exited:
			p.piped.Wait()
			if p.mu.Lock(); !ok(p.stdout.String(), p.stderr.String()) {
				p.mu.Unlock()
				p.l.t.Fatalf("it ended, with exit code %d, before: %s", p.code, what)
			}
			p.mu.Unlock()
			return
		case <-deadline.C:
			p.l.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func (p *process) awaitLine(line string) {
	p.l.t.Helper()
	p.await("stdout line "+line, func(stdout, _ string) bool { return strings.Contains(stdout, line+"\n") })
}

func (p *process) awaitText(text string) {
	p.l.t.Helper()
	p.await("on stdout "+text, func(stdout, _ string) bool { return strings.Contains(stdout, text) })
}

func (p *process) awaitLog(text string) {
	p.l.t.Helper()
	p.await("log "+text, func(_, stderr string) bool { return strings.Contains(stderr, text) })
}

// done waits until n jobs have ended, as the log has it, and their results where they are printed.
func (p *process) done(n int) {
	p.l.t.Helper()
	json := slices.Contains(p.cmd.Args, "json")
	p.await(fmt.Sprintf("%d jobs done", n), func(stdout, stderr string) bool {
		return strings.Count(stderr, `msg="job done"`)+strings.Count(stderr, `msg="attempt failed"`) >= n && (!json || strings.Count(stdout, `{"Event":"result"`) >= n && strings.HasSuffix(stdout, "\n"))
	})
}

func (p *process) out() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// stop sends SIGTERM, and returns the exit code.
func (p *process) stop() int {
	p.l.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait()
}

func (p *process) wait() int {
	p.l.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.l.t.Fatal("the program does not end")
	}
	p.piped.Wait()
	return p.code
}

// results reads the result events of a program that runs with --format json.
func (p *process) results() (results []event.Result) {
	p.l.t.Helper()
	return resultsIn(p.l.t, p.out())
}

// resultsIn reads the result events in what has come of stdout so far.
func resultsIn(t *testing.T, stdout string) (results []event.Result) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var e struct {
			Event string
			event.Result
		}
		if !strings.HasSuffix(line, "\n") {
			break
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("stdout line is no JSON: %v: %.200q", err, line)
		}
		if e.Event == "result" {
			results = append(results, e.Result)
		}
	}
	return results
}

// password returns the broker's address with another password.
func (l *lab) password(p string) string {
	u, err := url.Parse(l.amqpURL)
	if err != nil {
		l.t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), p)
	return u.String()
}
