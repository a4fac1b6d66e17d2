package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestMutatedMessages sends messages, as many as DISPATCH_TEST_MUTATED says, whose bodies, properties and headers a stranger has mangled. The daemon must
// account for each of them once, stay small, and stop in order.
func TestMutatedMessages(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	p := l.startBinary("--format", "json", "--pull", "never", "--drain", "1s")
	many, err := strconv.Atoi(cmp.Or(os.Getenv("DISPATCH_TEST_MUTATED"), "2000"))
	if err != nil {
		t.Fatal(err)
	}
	ids := l.publishMutated(rand.New(rand.NewPCG(seed, 1)), many)
	l.eventually("a result of each message", func() bool { // at each line would be long
		stdout := p.out()
		return strings.Count(stdout, `{"Event":"result"`) >= len(ids) && strings.HasSuffix(stdout, "\n")
	})
	if most, resident := 64<<10, peakMemory(t, p); resident > most {
		t.Errorf("the daemon took %d KiB of memory, more than %d", resident, most)
	}
	dead := 0
	for _, r := range p.results() {
		if !ids[r.Job] {
			t.Errorf("a second result, or one of no message: %+v", r)
		}
		delete(ids, r.Job)
		if r.Status == event.Refused || r.Status == event.Errored {
			dead++
		}
	}
	if len(ids) > 0 {
		t.Errorf("%d messages without a result", len(ids))
	}
	if code := p.stop(); code != ui.ExitClean {
		t.Errorf("exit %d", code)
	}
	if n := l.broker.Ready(l.queue); n != 0 {
		t.Errorf("%d messages are back in the queue", n)
	}
	if n := l.broker.Ready(l.queue + ".dead"); n != dead {
		t.Errorf("%d dead letters for %d results that say so", n, dead)
	}
}

// startBinary is start with a binary as users have it: the race detector takes ten times the memory.
func (l *lab) startBinary(args ...string) *process {
	l.t.Helper()
	if os.Getenv("DISPATCH_TEST_PROGRAM") != "" {
		return l.start(args...)
	}
	binary := filepath.Join(l.t.TempDir(), "docker-dispatch")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		l.t.Fatalf("go build: %v\n%s", err, out)
	}
	return l.startCommand(exec.Command(binary), args...)
}

// peakMemory is the most resident memory that a process has had, in KiB.
func peakMemory(t *testing.T, p *process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// publishMutated puts mangled messages on the queue, and returns their ids.
func (l *lab) publishMutated(r *rand.Rand, many int) map[string]bool {
	l.t.Helper()
	bodies := [][]byte{
		[]byte(`{"Dockercmd": "run", "Image": "nosuch:1", "Cmd": ["echo", "h\u00e9"], "Options": {"Attach": ["STDOUT"], "Remove": true, "Env": {"A": "b"}, "Publish": ["127.0.0.1:8080-8090:80-90/tcp"], "Memory": "64m", "Ulimit": "nofile=1:2", "Label": ["a=b"], "Mount": "type=tmpfs,dst=/t"}}`),
		[]byte(`{"Dockercmd": "run", "Image": "nosuch:1", "Options": {"Name": "NAME", "Timeout": "90s", "Retry": {"Max": 2, "On": ["timeout", 75]}, "Remove": true, "Expose": ["7000-7010"], "LogDriver": "json-file", "LogOpt": {"max-size": "1m"}}}`),
		[]byte(`{"Dockercmd": "create", "Image": "nosuch:1", "Options": {"Network": ["none"], "Health-Cmd": "true"}}`),
		[]byte(`{"Dockercmd": "stop", "Container": "NAME", "Options": {"Time": 1}}`),
		[]byte(`{"Dockercmd": "remove", "Container": "NAME", "Options": {"Volumes": true, "Force": true}}`),
		[]byte(`{"Dockercmd": "logs", "Container": "NAME", "Options": {"Tail": "10", "Since": "42m"}}`),
		[]byte(`{"Dockercmd": "exec", "Container": "NAME", "Cmd": ["ls"], "Options": {"Stdin": "x"}}`),
		[]byte(`{"Dockercmd": "kill", "Container": "NAME", "Options": {"Signal": "HUP"}}`),
	}
	ids := make(map[string]bool, many)
	l.broker.Do(func(ch *amqp.Channel) error {
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		var last *amqp.DeferredConfirmation
		for n := len(ids); n < many; n++ {
			id := fmt.Sprintf("m%d-%s", n, strings.Repeat("x", r.IntN(200)))
			c, err := ch.PublishWithDeferredConfirm("", l.queue, true, false, amqp.Publishing{
				MessageId: id, DeliveryMode: amqp.Persistent, Priority: uint8(r.IntN(256)),
				ContentType: mangledText(r), ContentEncoding: mangledText(r), CorrelationId: mangledText(r), Type: mangledText(r),
				ReplyTo: mangledReply(r), Headers: mangledTable(r, 0), Body: mangledBody(r, bytes.ReplaceAll(bodies[r.IntN(len(bodies))], []byte("NAME"), fmt.Appendf(nil, "nosuch-%d", n))),
			})
			if err != nil {
				return errors.Join(err, <-closed)
			}
			ids[id] = true
			last = c
		}
		if !last.Wait() {
			l.t.Fatalf("the broker has not stored the messages: %v", <-closed)
		}
		return nil
	})
	return ids
}

// mangledBody changes a few bytes of a message, or a number in it, or cuts it, or has parts of it several times.
func mangledBody(r *rand.Rand, body []byte) []byte {
	body = bytes.Clone(body)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(body) + 1)
		switch r.IntN(8) {
		case 0:
			body = body[:at]
		case 1:
			body = bytes.Repeat(body[at:], 1+r.IntN(4))
		case 2:
			body = append(body[:at:at], append([]byte(fmt.Sprint(r.Int64())), body[at:]...)...)
		case 3:
			body = append(body[:at:at], append(bytes.Repeat([]byte("["), r.IntN(2000)), body[at:]...)...)
		case 4: // as it was
		default:
			if at < len(body) {
				body[at] = byte(r.Uint32())
			}
		}
	}
	return body
}

func mangledText(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return ""
	case 1:
		return "application/json"
	}
	text := make([]byte, r.IntN(100))
	for i := range text {
		text[i] = byte(r.Uint32())
	}
	return string(text)
}

// mangledReply is a reply_to that is no queue, and mostly none: each costs the test a wait.
func mangledReply(r *rand.Rand) string {
	switch r.IntN(200) {
	case 0:
		return "nosuch-" + strconv.Itoa(r.IntN(1000))
	case 1:
		return mangledText(r)
	}
	return ""
}

// mangledTable has headers of ours and of the broker's with values of any type and size.
func mangledTable(r *rand.Rand, depth int) amqp.Table {
	t := make(amqp.Table)
	names := []string{"x-dispatch-attempt", "x-dispatch-copy", "x-dispatch-job", "x-dispatch-reason", "x-dispatch-queue", "x-dispatch-time",
		"x-dispatch-user-id", "x-dispatch-reply-to", "x-death", "x-delivery-count", "x-first-death-reason", "x-acquired-count", "a"}
	for range r.IntN(4) {
		t[names[r.IntN(len(names))]] = mangledValue(r, depth)
	}
	return t
}

func mangledValue(r *rand.Rand, depth int) any {
	switch r.IntN(14) {
	case 0:
		return int64(1) << 40
	case 1:
		return int64(r.Uint64())
	case 2:
		return int32(r.Uint32())
	case 3:
		return int16(r.Uint32())
	case 4:
		return int8(r.Uint32())
	case 5:
		return byte(r.Uint32())
	case 6:
		return -math.MaxFloat64 // what is no number the broker itself refuses
	case 7:
		return float32(r.Float64() * 1e30)
	case 8:
		return r.IntN(2) == 0
	case 9:
		return time.Unix(r.Int64N(1<<40)-1<<39, 0)
	case 10:
		return []byte(mangledText(r))
	case 11:
		if depth < 5 {
			return mangledTable(r, depth+1)
		}
	case 12:
		if depth < 5 {
			return []any{mangledValue(r, depth+1), mangledValue(r, depth+1)}
		}
	}
	return mangledText(r)
}
