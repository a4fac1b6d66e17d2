package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A stand is what one measurement has: a queue, a null engine, and a folder for sockets. It ends all that it starts.
type stand struct {
	*lab
	ctx  context.Context
	dir  string
	null *nullEngine
}

// stand has do measure on a stand of its own. Each container of the null engine writes so many frames, and then exits unless hold.
func (b *bench) stand(frames int, hold bool, do func(s *stand)) {
	b.Helper()
	ok := b.Run("measure", func(t *testing.T) {
		dir, err := os.MkdirTemp("", "bench") // t.TempDir is too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		s := &stand{lab: newLab(t), ctx: b.ctx, dir: dir, null: newNullEngine(t, dir, frames, hold)}
		do(s)
	})
	if !ok {
		b.FailNow()
	}
}

// pass returns after d.
func (s *stand) pass(d time.Duration) { await(s, time.After(d)) }

// await returns the next value of a channel. It fails the test if the time for all measurements is over.
func await[T any](s *stand, c <-chan T) (v T) {
	s.t.Helper()
	select {
	case v = <-c:
	case <-s.ctx.Done():
		s.t.Fatal(context.Cause(s.ctx))
	}
	return v
}

// until returns when done returns true. It asks each 20 ms.
func (s *stand) until(done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		await(s, tick.C)
	}
}

// publishRuns stores n runs, with a message_id each or without.
func (s *stand) publishRuns(n int, ids bool) {
	s.t.Helper()
	var last *amqp.DeferredConfirmation
	for i := range n {
		p := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(`{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hello world!"],"Options":{"Attach":["STDOUT","STDERR"],"Remove":true}}`)}
		if ids {
			p.MessageId = fmt.Sprint("job", i)
		}
		var err error
		if last, err = s.broker.Channel().PublishWithDeferredConfirm("", s.queue, false, false, p); err != nil {
			s.t.Fatal(err)
		}
	}
	await(s, last.Done())
}

// jobs returns how many jobs the daemon does a second, and the processor time of each. It counts results, from the first
// tenth on: a container with a message_id stays for some seconds after its ack, on purpose.
func (s *stand) jobs(host string, n, parallel int, ids bool) []float64 {
	s.t.Helper()
	s.publishRuns(n, ids)
	d := s.daemon(host, "-c", strconv.Itoa(parallel))
	s.until(func() bool { return d.succeeded() >= n/10 })
	from, processor, began := d.succeeded(), d.processor(), time.Now()
	s.until(func() bool { return d.succeeded() == n })
	done := float64(max(n-from, 1))
	return []float64{done / time.Since(began).Seconds(), (d.processor() - processor) / done}
}

// rawJobs returns the same of the raw loop.
func (s *stand) rawJobs(host string, n, parallel int) []float64 {
	s.t.Helper()
	text, err := s.rawLoop(host, n, parallel).Output()
	var seconds, processor float64
	if _, scan := fmt.Sscan(string(text), &seconds, &processor); err != nil || scan != nil {
		s.t.Fatalf("the raw loop: %v, %v, %v: %s", context.Cause(s.ctx), err, scan, text)
	}
	return []float64{float64(n) / seconds, processor / float64(n)}
}

// A benched is a process that is measured.
type benched struct {
	*exec.Cmd
	s     *stand
	ready time.Duration // from the start until a daemon consumed both queues
}

func (s *stand) started(c *exec.Cmd) *benched {
	s.t.Helper()
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return &benched{Cmd: c, s: s}
}

// daemon starts the program, and returns when it consumes its queue and its control queue. Its output is thrown away.
func (s *stand) daemon(host string, options ...string) *benched {
	s.t.Helper()
	c := program(s.t, append(options, "-q", s.queue, "--listen", s.dir+"/listen.sock", host, s.amqpURL)...)
	stderr, err := c.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	d := s.started(c)
	defer context.AfterFunc(s.ctx, func() { c.Process.Kill() })() // ends the scan
	lines, log := bufio.NewScanner(stderr), ""
	for strings.Count(log, "taking messages") < 2 {
		if !lines.Scan() {
			s.t.Fatalf("the daemon ended before it took messages, %v:\n%s", context.Cause(s.ctx), log)
		}
		log += lines.Text() + "\n"
	}
	d.ready = time.Since(began)
	go io.Copy(io.Discard, stderr)
	return d
}

// succeeded returns how many jobs the daemon has done. None may fail.
func (d *benched) succeeded() int {
	d.s.t.Helper()
	_, text := get(d.s.t, d.s.dir+"/listen.sock", "/metrics")
	var ended, failed int
	for line := range strings.Lines(text) {
		fmt.Sscanf(line, "docker_dispatch_ended_total %d", &ended)
		fmt.Sscanf(line, "docker_dispatch_failed_total %d", &failed)
	}
	if failed > 0 {
		d.s.t.Fatalf("%d jobs have failed", failed)
	}
	return ended
}

// status returns the sum of a number in /proc/PID/status over all threads.
func (d *benched) status(name string) (sum float64) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.Process.Pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		_, value, _ := strings.Cut(string(text), "\n"+name+":")
		var n float64
		fmt.Sscan(value, &n)
		sum += n
	}
	return sum
}

// memory returns how many bytes of the process are in memory.
func (d *benched) memory() float64 {
	var size, resident float64
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", d.Process.Pid))
	fmt.Sscan(string(text), &size, &resident)
	return resident * float64(os.Getpagesize())
}

// processor returns the processor time that the process has used, in seconds.
func (d *benched) processor() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.Process.Pid))
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // clock ticks of Linux
}
