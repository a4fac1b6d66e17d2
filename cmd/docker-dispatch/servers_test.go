package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// patience bounds every wait of the tests with real servers, against hanging only; none of them waits for the
// time itself.
const patience = 3 * time.Minute

// lab is what a test has of the real servers, with a queue of its own.
type lab struct {
	t          *testing.T
	dockerHost string
	amqpURL    string
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
	l := &lab{t: t, dockerHost: os.Getenv("DOCKER_HOST"), amqpURL: os.Getenv("AMQP_URL")}
	if l.dockerHost == "" || l.amqpURL == "" {
		need(t, "DOCKER_HOST and AMQP_URL")
	}
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
	l.withChannel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(l.queue, true, false, false, false, arguments)
		return err
	})
	t.Cleanup(func() {
		l.withChannel(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(l.queue, false, false, false)
			for _, further := range []string{".dead", ".control"} {
				_, e := ch.QueueDelete(l.queue+further, false, false, false)
				err = errors.Join(err, e)
			}
			return err
		})
		for _, c := range l.containers() {
			if err := l.engine.RemoveContainer(context.Background(), c.ID, dockerapi.RemoveOptions{Force: true, Volumes: true}); err != nil {
				t.Logf("container %s not removed: %v", c.Name, err)
			}
		}
		l.engine.Close()
	})
	return l
}

// need skips a test that wants servers, or fails it where they are required.
func need(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "" {
		t.Fatalf("%s not set; run scripts/test", what)
	}
	t.Skipf("%s not set; eval \"$(scripts/services env)\" sets it", what)
}

// withChannel does something on the broker, again where the connection fails: tests restart it.
func (l *lab) withChannel(do func(*amqp.Channel) error) {
	l.t.Helper()
	var last error
	l.eventually("the broker does as told", func() bool {
		last = func() error {
			conn, err := amqp.Dial(l.amqpURL)
			if err != nil {
				return err
			}
			defer conn.Close()
			ch, err := conn.Channel()
			if err != nil {
				return err
			}
			return do(ch)
		}()
		if last != nil {
			l.t.Logf("broker: %v", last)
		}
		return last == nil
	})
}

// publish puts messages on the queue, each confirmed. An empty id gives none.
func (l *lab) publish(messages ...message) {
	l.t.Helper()
	l.withChannel(func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		for len(messages) > 0 {
			m := messages[0]
			c, err := ch.PublishWithDeferredConfirm("", l.queue, true, false, amqp.Publishing{
				MessageId: m.id, Body: []byte(m.body), DeliveryMode: amqp.Persistent, ContentType: "application/json",
			})
			if err != nil {
				return err
			}
			if !c.Wait() {
				return errors.New("not confirmed")
			}
			messages = messages[1:]
		}
		return nil
	})
}

type message struct{ id, body string }

// ready counts the messages that wait in a queue.
func (l *lab) ready(queue string) (n int) {
	l.t.Helper()
	l.withChannel(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n
}

// dead takes all messages from the dead-letter queue.
func (l *lab) dead() (dead []amqp.Delivery) {
	l.t.Helper()
	l.withChannel(func(ch *amqp.Channel) error {
		for {
			d, ok, err := ch.Get(l.queue+".dead", true)
			if err != nil || !ok {
				return err
			}
			dead = append(dead, d)
		}
	})
	return dead
}

// containers lists what the queue's jobs have on the engine.
func (l *lab) containers() []dockerapi.ContainerSummary {
	l.t.Helper()
	list, err := l.engine.ListContainers(context.Background(), dockerapi.ListOptions{All: true, Labels: []string{cmd.LabelQueue + "=" + l.queue}})
	if err != nil {
		l.t.Logf("containers: %v", err)
	}
	return list
}

// deleteQueues deletes queues that the program made beside the lab's own.
func (l *lab) deleteQueues(suffixes ...string) {
	for _, s := range suffixes {
		l.withChannel(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(l.queue+s, false, false, false)
			return err
		})
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

// eventually waits until a condition holds, asking for it again and again.
func (l *lab) eventually(what string, ok func() bool) {
	l.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			l.t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// disturbs says that the test disturbs those that use the same servers. It is then to be named in scripts/test.
func disturbs(t *testing.T) {
	t.Helper()
	if os.Getenv("DISPATCH_TEST_SHARED") != "" {
		t.Fatal("this test disturbs others: it belongs to those that scripts/test runs on servers of their own")
	}
}

// server has scripts/services start, end or kill a server.
func (l *lab) server(args ...string) {
	l.t.Helper()
	disturbs(l.t)
	script := os.Getenv("DISPATCH_TEST_SERVICES")
	if script == "" {
		need(l.t, "DISPATCH_TEST_SERVICES")
	}
	if out, err := exec.Command(script, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("services %q: %v\n%s", args, err, out)
	}
}

// rabbitmqctl has the broker do something.
func (l *lab) rabbitmqctl(args ...string) {
	l.t.Helper()
	ctl := os.Getenv("DISPATCH_TEST_RABBITMQCTL")
	if ctl == "" {
		need(l.t, "DISPATCH_TEST_RABBITMQCTL")
	}
	if out, err := exec.Command(ctl, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("rabbitmqctl %q: %v\n%s", args, err, out)
	}
}

// proxied puts a proxy before the broker, until the test t ends, and returns it with the broker's address through it.
func (l *lab) proxied(t *testing.T) (*faultyProxy, string) {
	t.Helper()
	u, err := url.Parse(l.amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := newFaultyProxy("tcp", "127.0.0.1:0", "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.close)
	u.Host = proxy.ln.Addr().String()
	return proxy, u.String()
}

// limited makes a user of the broker with these permissions, until the test ends, and returns the address for it.
func (l *lab) limited(configure, write, read string) (user, amqpURL string) {
	l.t.Helper()
	user = "limited-" + l.serial
	l.rabbitmqctl("add_user", user, "secret")
	l.t.Cleanup(func() { l.rabbitmqctl("delete_user", user) })
	l.rabbitmqctl("set_permissions", user, configure, write, read)
	return user, strings.Replace(l.amqpURL, "guest:guest", user+":secret", 1)
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
	addresses := []string{l.dockerHost, l.amqpURL}
	var options []string
	for i, at := 0, 0; i < len(args); i++ {
		if a, ok := strings.CutPrefix(args[i], "="); ok {
			addresses[at] = a
			at++
			continue
		}
		options = append(options, args[i])
	}
	p := &process{l: l, exited: make(chan struct{}), grown: make(chan struct{}), cmd: c}
	c.Args = append(append(append(c.Args, "-q", l.queue), options...), addresses...)
	c.Env = append(c.Env, l.env...)
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
		if l.t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
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
		return strings.Count(stderr, `msg="job done"`) >= n && (!json || strings.Count(stdout, `{"Event":"result"`) >= n && strings.HasSuffix(stdout, "\n"))
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
func (p *process) results() (results []cmd.Result) {
	p.l.t.Helper()
	return resultsIn(p.l.t, p.out())
}

// resultsIn reads the result events in what has come of stdout so far.
func resultsIn(t *testing.T, stdout string) (results []cmd.Result) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var e struct {
			Event string
			cmd.Result
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
