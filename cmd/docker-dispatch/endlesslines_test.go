package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// counter counts the x that are written to it.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n.Add(int64(bytes.Count(p, []byte("x"))))
	return len(p), nil
}

// TestEndlessLines runs containers at once that write much and no newline. The daemon stays small in each format, and with
// output that goes to a queue, and all of the output is shown.
func TestEndlessLines(t *testing.T) {
	const containers, size = 8, 40e6
	exe := built(t)
	for _, tt := range []struct {
		name, format string
		stream       bool
	}{{"text", "text", false}, {"JSON", "json", false}, {"stream", "text", true}} {
		t.Run(tt.name, func(t *testing.T) { // one after another: each takes all processors
			l := newLab(t)
			c := exec.Command(exe, "-q", l.queue, "--format", tt.format, "--policy", trusting(t), "--drain", "0s", l.dockerHost, l.amqpURL)
			c.Env = []string{"HOME=" + t.TempDir()}
			shown, log := new(counter), brokertest.NewLogbook()
			c.Stdout, c.Stderr = shown, log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				c.Process.Kill()
				c.Wait()
				if t.Failed() {
					t.Logf("%.5000s", log)
				}
			})
			reply, sent := "", new(counter)
			if tt.stream {
				reply = l.queue + ".reply"
				l.broker.Declare(reply, "classic")
				t.Cleanup(func() { l.broker.Delete(reply) })
				deliveries, err := l.broker.Channel().Consume(reply, "", true, false, false, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					for d := range deliveries {
						var output struct{ Data, Text string }
						if d.Type == "output" && json.Unmarshal(d.Body, &output) == nil {
							sent.Write([]byte(output.Text + output.Data))
						}
					}
				}()
			}
			var messages []amqp.Publishing
			for i := range containers {
				body := runMessage(fmt.Sprintf("endless%d-%s", i, l.serial), fmt.Sprintf(`head -c %.0f /dev/zero | tr '\0' x`, size))
				if tt.stream {
					body = strings.Replace(body, "{", `{"Stream": true, `, 1)
				}
				messages = append(messages, amqp.Publishing{MessageId: fmt.Sprint(i), ReplyTo: reply, Body: []byte(body), DeliveryMode: amqp.Persistent})
			}
			l.broker.Send(l.queue, messages...)
			l.eventually("all jobs done", func() bool { return log.Count(`msg="job done"`) == containers })
			memory := residentPeak(&process{cmd: c})
			t.Logf("%d KiB of memory", memory)
			if memory == 0 || memory > mostMemory {
				t.Errorf("it took %d KiB of memory, more than %d", memory, mostMemory)
			}
			const all, others = containers * size, containers*64<<10 + 10000 // x in the results: what --capture keeps, and names
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%d of %.0f bytes shown, %d sent", shown.n.Load(), all, sent.n.Load())
				}
			})
			l.eventually("all output shown", func() bool { return shown.n.Load() >= all })
			if n := shown.n.Load(); n > all+others {
				t.Errorf("%d x shown, want %.0f", n, float64(all))
			}
			if tt.stream {
				l.eventually("all output sent", func() bool { return sent.n.Load() >= all })
			}
		})
	}
}
