// Package brokertest gives tests a real broker: its address, a connection of a publisher and consumer, users, and the
// rights of the operator. The command scripts/services starts the broker and prints its address. Without a broker a
// test is skipped, or fails if servers are required.
package brokertest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Patience bounds every wait of a test, only against hanging: nothing that works takes so long.
const Patience = 3 * time.Minute

// Run runs a package's tests. It fails if a goroutine outlives them whose stack contains the package's name of, such as
// "internal/amqpsrc.".
func Run(m *testing.M, of string) {
	code := m.Run()
	if code == 0 {
		buf := make([]byte, 1<<20)
		for s := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(s, of) && !strings.Contains(s, of+"TestMain") {
				fmt.Fprintf(os.Stderr, "a goroutine is left behind:\n%s\n", s)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// Required returns the value of an environment variable set by scripts/services env. If unset, it skips or fails the test.
func Required(t testing.TB, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	switch {
	case value != "":
	case os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "":
		t.Fatalf("%s is not set; run scripts/test", variable)
	default:
		t.Skipf("%s is not set; eval \"$(scripts/services env)\" sets it", variable)
	}
	return value
}

// URL returns the address of the broker.
func URL(t testing.TB) string {
	t.Helper()
	return Required(t, "AMQP_URL")
}

// Disturbs marks a test that disturbs others on the same servers; name it in scripts/test. It fails on shared servers.
func Disturbs(t testing.TB) {
	t.Helper()
	if os.Getenv("DISPATCH_TEST_SHARED") != "" {
		t.Fatal("this test disturbs others: it belongs to those that scripts/test runs on servers of their own")
	}
}

// Eventually calls ok until it returns true, and fails the test after Patience.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	next := time.NewTimer(0)
	defer next.Stop()
	for !ok() {
		passed := time.Since(began)
		if passed > Patience {
			t.Fatalf("not within %v: %s", Patience, what)
		}
		next.Reset(min(10*time.Millisecond+passed/10, 300*time.Millisecond)) // the longer the wait, the less often ok is called
		<-next.C
	}
}

// A Peer is a test's connection to the broker, which acts as publishers and consumers.
type Peer struct {
	t testing.TB

	mu   sync.Mutex
	conn *amqp.Connection
	ch   *amqp.Channel // confirms
}

// New returns a connected Peer, which is closed when the test ends.
func New(t testing.TB) *Peer {
	t.Helper()
	URL(t)
	p := &Peer{t: t}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.conn != nil {
			p.conn.Close()
		}
	})
	p.Channel()
	return p
}

// Conn returns the connection, a new one if the last was closed: tests restart the broker.
func (p *Peer) Conn() *amqp.Connection {
	p.t.Helper()
	conn, _ := p.both()
	return conn
}

// Channel returns a channel with confirms, always the same while it lives.
func (p *Peer) Channel() *amqp.Channel {
	p.t.Helper()
	_, ch := p.both()
	return ch
}

func (p *Peer) both() (conn *amqp.Connection, ch *amqp.Channel) {
	p.t.Helper()
	p.again(func(c *amqp.Connection, kept *amqp.Channel) error {
		conn, ch = c, kept
		return nil
	})
	return conn, ch
}

func (p *Peer) connect() (*amqp.Connection, *amqp.Channel, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || p.conn.IsClosed() {
		conn, err := amqp.Dial(URL(p.t))
		if err != nil {
			return nil, nil, err
		}
		p.conn, p.ch = conn, nil
	}
	if p.ch == nil || p.ch.IsClosed() {
		ch, err := p.conn.Channel()
		if err != nil {
			return nil, nil, err
		}
		if err := ch.Confirm(false); err != nil {
			return nil, nil, err
		}
		p.ch = ch
	}
	return p.conn, p.ch, nil
}

// Do calls do on a separate channel, and again after a failure: tests restart the broker.
func (p *Peer) Do(do func(*amqp.Channel) error) {
	p.t.Helper()
	p.again(func(conn *amqp.Connection, _ *amqp.Channel) error {
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		defer ch.Close()
		if err := ch.Confirm(false); err != nil {
			return err
		}
		return do(ch)
	})
}

func (p *Peer) again(do func(*amqp.Connection, *amqp.Channel) error) {
	p.t.Helper()
	var last error
	Eventually(p.t, "the broker does as told", func() bool {
		conn, ch, err := p.connect()
		if err == nil {
			err = do(conn, ch)
		}
		if err != nil && (last == nil || err.Error() != last.Error()) {
			p.t.Logf("broker: %v", err)
		}
		last = err
		return err == nil
	})
}

// Queue creates a queue for the test; it and its dead-letter queue are deleted at the end.
func (p *Peer) Queue(kind string) string {
	p.t.Helper()
	name := p.Name()
	p.Declare(name, kind)
	return name
}

// Name returns a name for a queue of the test; it and its dead-letter queue are deleted at the end.
func (p *Peer) Name() string {
	name := "test-amqpsrc-" + strings.ToLower(rand.Text()[:12])
	p.t.Cleanup(func() { p.Delete(name, name+".dead") })
	return name
}

// Declare declares a durable queue of type kind.
func (p *Peer) Declare(name, kind string) {
	p.t.Helper()
	p.DeclareWith(name, amqp.Table{amqp.QueueTypeArg: kind})
}

// DeclareWith declares a durable queue with these arguments.
func (p *Peer) DeclareWith(name string, args amqp.Table) {
	p.t.Helper()
	p.Do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, true, false, false, false, args)
		return err
	})
}

// Delete deletes queues, which may be missing.
func (p *Peer) Delete(names ...string) {
	p.t.Helper()
	p.Do(func(ch *amqp.Channel) (err error) {
		for _, name := range names {
			_, e := ch.QueueDelete(name, false, false, false)
			err = errors.Join(err, e)
		}
		return err
	})
}

// Send publishes messages to a queue on the channel of Channel, and waits until each is stored.
func (p *Peer) Send(queue string, messages ...amqp.Publishing) {
	p.t.Helper()
	p.again(func(_ *amqp.Connection, ch *amqp.Channel) error {
		for len(messages) > 0 {
			confirmed, err := ch.PublishWithDeferredConfirm("", queue, true, false, messages[0])
			if err != nil {
				return err
			}
			if !confirmed.Wait() {
				return errors.New("not confirmed")
			}
			messages = messages[1:]
		}
		return nil
	})
}

// Fill sends messages with the bodies first to last.
func (p *Peer) Fill(queue string, first, last int) {
	p.t.Helper()
	var messages []amqp.Publishing
	for i := first; i <= last; i++ {
		messages = append(messages, amqp.Publishing{Body: fmt.Append(nil, i), DeliveryMode: amqp.Persistent})
	}
	p.Send(queue, messages...)
}

// ExpectAny takes n messages out of a queue, in any order, and fails the test if there are more.
func (p *Peer) ExpectAny(queue string, n int) []amqp.Delivery {
	p.t.Helper()
	var all []amqp.Delivery
	Eventually(p.t, fmt.Sprintf("%d messages in queue %s", n, queue), func() bool {
		all = append(all, p.Take(queue)...)
		return len(all) >= n
	})
	if len(all) > n {
		p.t.Fatalf("queue %s holds also %q", queue, all[n].Body)
	}
	return all
}

// Ready returns how many messages of a queue are ready.
func (p *Peer) Ready(queue string) (n int) {
	p.t.Helper()
	p.again(func(_ *amqp.Connection, ch *amqp.Channel) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		n = q.Messages
		return err
	})
	return n
}

// Take receives all ready messages of a queue, acked by the broker at once.
func (p *Peer) Take(queue string) (all []amqp.Delivery) {
	p.t.Helper()
	p.Do(func(ch *amqp.Channel) error {
		for {
			d, ok, err := ch.Get(queue, true)
			if err != nil || !ok {
				return err
			}
			all = append(all, d)
		}
	})
	return all
}

// Expect takes messages out of a queue. It fails the test unless they have these bodies, in this order, and there are no
// more.
func (p *Peer) Expect(queue string, bodies ...string) []amqp.Delivery {
	p.t.Helper()
	all := p.ExpectAny(queue, len(bodies))
	for i, d := range all {
		if string(d.Body) != bodies[i] {
			p.t.Fatalf("message %d of queue %s is %q, want %q", i, queue, d.Body, bodies)
		}
	}
	return all
}
