package dockerapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// TestIdleCost holds what a silent container costs to a limit: one attach and
// one wait, with the goroutines that join them, and nothing of the engine's
// side, which runs as another process.
func TestIdleCost(parent *testing.T) {
	if raceEnabled {
		parent.Skip("the race detector costs memory of its own")
	}
	const count = 500
	// Nothing ends before the last is measured: goroutines that have ended
	// leave their stacks to the next, which would look cheaper for it.
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, test := range []struct {
		name, network string
		limit         uint64 // bytes of heap and stack each
		call          func(ctx context.Context, c *Client) (func() error, error)
	}{
		{"attach", "unix", 4500, idleAttach},
		{"attach", "tcp", 4500, idleAttach},
		{"attach", "tls", 15000, idleAttach},
		{"wait", "unix", 7000, idleWait},
		{"wait", "tls", 15000, idleWait},
		{"logs", "unix", 7000, idleLogs},
	} {
		parent.Run(test.name+"/"+test.network, func(t *testing.T) {
			host, o := idleEngine(parent, test.network)
			c := newClient(parent, host, o)
			open := func(n int) {
				for range n {
					join, err := test.call(ctx, c)
					if err != nil {
						t.Fatal(err)
					}
					all.Go(func() {
						if err := join(); err != context.Canceled {
							parent.Error(err)
						}
					})
				}
			}
			open(20) // fills pools and caches
			before := inUse()
			open(count)
			each := (inUse() - before) / count
			t.Logf("%d bytes per idle %s over %s", each, test.name, test.network)
			if each > test.limit {
				t.Errorf("%d bytes per idle %s over %s, limit %d", each, test.name, test.network, test.limit)
			}
		})
	}
}

func idleAttach(ctx context.Context, c *Client) (func() error, error) {
	return c.AttachContainer(ctx, "x", AttachOptions{Stdout: io.Discard, Stderr: io.Discard})
}

func idleWait(ctx context.Context, c *Client) (func() error, error) {
	join, err := c.WaitContainer(ctx, "x", NextExit)
	return func() error { return errOf(join()) }, err
}

func idleLogs(ctx context.Context, c *Client) (func() error, error) {
	return c.ContainerLogs(ctx, "x", LogsOptions{Stdout: io.Discard, Follow: true})
}

// inUse is the heap and stacks that are in use, in bytes, after two collections:
// stacks shrink in one, finalizers and pools need the second.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// idleEngine starts an engine in another process that accepts every long call
// and then says nothing. The process is this test binary again.
func idleEngine(t *testing.T, network string) (Host, Options) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), idleEngineVar+"="+network)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // tells it to end
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Split(strings.TrimSpace(line), "|")
	o := Options{APIVersion: "1.41"}
	if network == "tls" {
		if o.TLS, err = tlsconf.Config(said[1], said[2], said[3]); err != nil {
			t.Fatal(err)
		}
	}
	return mustHost(t, said[0]), o
}

// idleEngineVar, when set, makes TestMain run an idle engine on that network.
const idleEngineVar = "DOCKERAPI_TEST_IDLE_ENGINE"

func runIdleEngine(network string) {
	var l net.Listener
	var err error
	address := ""
	if network == "unix" {
		address = filepath.Join(certDir, "s")
		l, err = net.Listen("unix", address)
	} else if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
		address = l.Addr().String()
	}
	if err != nil {
		panic(err)
	}
	certs := testCerts()
	if network == "tls" {
		l = tls.NewListener(l, certs.server)
	}
	fmt.Println(strings.Join([]string{address, certs.ca, certs.clientCert, certs.clientKey}, "|"))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				if req.Header.Get("Upgrade") != "" {
					io.WriteString(conn, upgraded)
				} else {
					// The header that dockerd 20.10 sends.
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\n"+
						"Ostype: linux\r\nServer: Docker/20.10.24 (linux)\r\nDate: Mon, 23 Nov 2026 11:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n")
				}
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}
