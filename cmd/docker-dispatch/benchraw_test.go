package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A rawLoop does to containers what a job does, with plain net/http: no queue, no check, no record, no second attempt.
// So its cost is the least that a Go program has for the engine's part of a job.
type rawLoop struct {
	client http.Client
	dial   func() (net.Conn, error)
	queue  string
}

// newRawLoop returns a loop whose containers have the label of the queue.
func newRawLoop(t *testing.T, host, queue string) *rawLoop {
	h, err := dockerapi.ParseHost(host)
	if err != nil {
		t.Fatal(err)
	}
	network, address, _ := strings.Cut(h.String(), "://")
	l := &rawLoop{queue: queue, dial: func() (net.Conn, error) { return net.Dial(network, address) }}
	l.client.Transport = &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64, DialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial() }}
	t.Cleanup(l.client.CloseIdleConnections)
	return l
}

func (l *rawLoop) call(method, path, body string, answer any) error {
	r, err := http.NewRequest(method, "http://engine"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(data, answer)
}

// job creates a container, attaches, starts it, copies its output, waits for its exit, and removes it.
func (l *rawLoop) job(output io.Writer) error {
	var c struct{ ID string }
	body := fmt.Sprintf(`{"Image":"busybox","Cmd":["echo","hello world!"],"AttachStdout":true,"AttachStderr":true,"Labels":{%q:%q}}`, identity.LabelQueue, l.queue)
	if err := l.call("POST", "/containers/create", body, &c); err != nil {
		return err
	}
	conn, err := l.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /containers/%s/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n", c.ID)
	stream := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(stream, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("attach: %v, %w", resp, err)
	}
	if err := l.call("POST", "/containers/"+c.ID+"/start", "", nil); err != nil {
		return err
	}
	if err := copyFrames(output, stream); err != nil {
		return err
	}
	var exit struct{ StatusCode int }
	if err := l.call("POST", "/containers/"+c.ID+"/wait", "", &exit); err != nil {
		return err
	}
	return l.call("DELETE", "/containers/"+c.ID, "", nil)
}

// copyFrames copies the payload of all frames. Both streams of the container go to dst.
func copyFrames(dst io.Writer, src io.Reader) error {
	var header [8]byte
	for {
		if _, err := io.ReadFull(src, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := io.CopyN(dst, src, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			return err
		}
	}
}

// rawLoop is a raw loop in a process of its own, which prints the seconds that n jobs take, and those of its processor time.
func (s *stand) rawLoop(host string, n, parallel int) *exec.Cmd {
	c := exec.CommandContext(s.ctx, os.Args[0], "-test.run=^TestBench$")
	c.Env = append(os.Environ(), fmt.Sprintf("DISPATCH_BENCH_RAW=%s %s %d %d", host, s.queue, n, parallel))
	return c
}

// rawLoopAsked is what that process does. In others it returns false.
func rawLoopAsked(t *testing.T) bool {
	var host, queue string
	var n, parallel int
	if _, err := fmt.Sscan(os.Getenv("DISPATCH_BENCH_RAW"), &host, &queue, &n, &parallel); err != nil {
		return false
	}
	l := newRawLoop(t, host, queue)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	began, before := time.Now(), processorTime()
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			output := bufio.NewWriter(null)
			for range turns {
				if err := l.job(output); err != nil {
					t.Error(err)
					return
				}
				output.Flush()
			}
		})
	}
	all.Wait()
	fmt.Println(time.Since(began).Seconds(), (processorTime() - before).Seconds())
	return true
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
