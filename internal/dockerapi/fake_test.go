package dockerapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
	"github.com/mutaphore/docker-dispatch/internal/tlsconf/tlstest"
)

// The tests' engines are real listeners with made-up answers: unix, TCP and
// TLS, so that addresses, connections and half-closes are the real thing.

// TestMain fails when a goroutine of this package, or of a connection that it
// opened, is left over.
func TestMain(m *testing.M) {
	var err error
	if certDir, err = os.MkdirTemp("", "dockerapi-certs"); err != nil {
		panic(err)
	}
	if network := os.Getenv(idleEngineVar); network != "" {
		runIdleEngine(network)
		os.RemoveAll(certDir)
		return
	}
	code := m.Run()
	os.RemoveAll(certDir)
	if code == 0 {
		if left := leftover(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left over:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftover returns the stacks that should not be there, once they have had time
// to end.
func leftover() string {
	var left string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		buffer := make([]byte, 1<<20)
		buffer = buffer[:runtime.Stack(buffer, true)]
		left = ""
		for stack := range strings.SplitSeq(string(buffer), "\n\n") {
			if strings.Contains(stack, "TestMain") {
				continue
			}
			if strings.Contains(stack, "dockerapi") || strings.Contains(stack, "net/http") || strings.Contains(stack, "net.(*conn)") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			break
		}
	}
	return left
}

// networks are the ways to an engine.
var networks = []string{"unix", "tcp", "tls"}

// listen opens a listener, and returns the address and options of a client of
// it.
func listen(t testing.TB, network string) (net.Listener, Host, Options) {
	t.Helper()
	if network == "unix" {
		// Not t.TempDir, whose path may be too long for a socket.
		dir, err := os.MkdirTemp("", "dd")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return l, mustHost(t, path), Options{}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := mustHost(t, l.Addr().String())
	if network == "tcp" {
		return l, host, Options{}
	}
	certs := testCerts()
	config, err := tlsconf.Config(certs.ca, certs.clientCert, certs.clientKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.NewListener(l, certs.server), host, Options{TLS: config}
}

func mustHost(t testing.TB, addr string) Host {
	t.Helper()
	h, err := ParseHost(addr)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newClient(t testing.TB, h Host, o Options) *Client {
	t.Helper()
	c, err := New(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve runs an HTTP engine, and returns a client of it.
func serve(t testing.TB, network string, handler http.HandlerFunc) *Client {
	t.Helper()
	l, host, o := listen(t, network)
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	var running sync.WaitGroup
	running.Go(func() { server.Serve(l) })
	t.Cleanup(func() { server.Close(); running.Wait() })
	return newClient(t, host, o)
}

// script runs an engine that is no HTTP server: talk gets each connection, with
// the request's header read. The client's version is pinned, so that there is
// no ping.
func script(t testing.TB, network string, talk func(conn net.Conn, r *bufio.Reader)) *Client {
	t.Helper()
	l, host, o := listen(t, network)
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				talk(conn, r)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	o.APIVersion = "1.41"
	return newClient(t, host, o)
}

// say is a talk that sends text and closes.
func say(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, _ *bufio.Reader) { io.WriteString(conn, text) }
}

// answerPing answers a ping of API 1.41, and reports whether it was one.
func answerPing(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Api-Version", "1.41")
	return r.URL.Path == "/_ping"
}

// hijack takes the connection of a request over.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, rw
}

const upgraded = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

func frame(stream byte, payload string) string {
	n := len(payload)
	return string([]byte{stream, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
}

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // against hanging only
	t.Cleanup(cancel)
	return ctx
}

// await waits for something that has to happen by itself: not because the
// context of a call has ended, as it would with background.
func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatal("it did not happen")
	}
}

// certificates are files for TLS on 127.0.0.1.
type certificates struct {
	ca, clientCert, clientKey string
	otherCA                   string // of nobody
	strayCert, strayKey       string // signed by nobody
	server                    *tls.Config
}

var certDir string // set by TestMain

var testCerts = sync.OnceValue(func() certificates {
	ca, other := tlstest.New(certDir, "test CA"), tlstest.New(certDir, "another CA")
	client, stray, server := ca.Issue("client", nil), other.Issue("stray", nil), ca.Issue("server", nil)
	return certificates{
		ca: ca.CertFile, clientCert: client.CertFile, clientKey: client.KeyFile,
		otherCA: other.CertFile, strayCert: stray.CertFile, strayKey: stray.KeyFile,
		server: &tls.Config{
			Certificates: []tls.Certificate{server.Certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
			NextProtos: []string{"h2", "http/1.1"}, // as engines from 29.2 offer
		},
	}
})
