package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// signalWriter tells when something has been written.
type signalWriter struct{ wrote chan string }

func (w signalWriter) Write(p []byte) (int, error) {
	w.wrote <- string(p)
	return len(p), nil
}

// Output reaches the writer while the container goes on, and what came in one
// packet with the header is not lost.
func TestAttachIsLive(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			next := make(chan struct{})
			c := script(t, network, func(conn net.Conn, r *bufio.Reader) {
				io.WriteString(conn, upgraded+frame(1, "with the header"))
				<-next
				io.WriteString(conn, frame(1, "later"))
				<-next
			})
			w := signalWriter{make(chan string)}
			join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdout: w})
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- join() }()
			if got := <-w.wrote; got != "with the header" {
				t.Errorf("%q", got)
			}
			next <- struct{}{}
			if got := <-w.wrote; got != "later" {
				t.Errorf("%q", got)
			}
			next <- struct{}{}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// Stdin goes out after the 101 only, ends with a half-close, and the output
// that answers it still comes.
func TestAttachStdin(t *testing.T) {
	for _, network := range networks {
		for _, status := range []string{"101 UPGRADED", "200 OK"} {
			for _, input := range []string{"", "hello", strings.Repeat("0123456789abcdef", 1<<16)} {
				t.Run(fmt.Sprintf("%s/%s/%d", network, status[:3], len(input)), func(t *testing.T) {
					c := script(t, network, func(conn net.Conn, r *bufio.Reader) {
						conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
						if n, err := r.Read(make([]byte, 1)); n != 0 {
							t.Errorf("stdin before the header: %v", err)
						}
						conn.SetReadDeadline(time.Time{})
						io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
						got, err := io.ReadAll(bufio.NewReader(conn)) // until the half-close
						if err != nil {
							t.Error(err)
						}
						io.WriteString(conn, frame(1, fmt.Sprintf("%d bytes, %v", len(got), string(got) == input)))
					})
					if network == "tls" {
						// A TLS connection's read fails for good at a deadline.
						c = script(t, network, func(conn net.Conn, r *bufio.Reader) {
							io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
							got, err := io.ReadAll(r)
							if err != nil {
								t.Error(err)
							}
							io.WriteString(conn, frame(1, fmt.Sprintf("%d bytes, %v", len(got), string(got) == input)))
						})
					}
					var out bytes.Buffer
					join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdin: struct{ io.Reader }{strings.NewReader(input)}, Stdout: &out})
					if err != nil {
						t.Fatal(err)
					}
					if err := join(); err != nil {
						t.Error(err)
					}
					if want := fmt.Sprintf("%d bytes, true", len(input)); out.String() != want {
						t.Errorf("%q, want %q", out.String(), want)
					}
				})
			}
		}
	}
}

// A container that ends without reading its input is no error, whether the
// input blocks, or its sending does.
func TestAttachStdinUnread(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			c := script(t, network, say(upgraded+frame(1, "bye")))
			pipe, pipeWriter := io.Pipe()
			defer pipeWriter.Close()
			for name, stdin := range map[string]io.Reader{
				"blocked read":  pipe,
				"blocked write": endlessReader{},
			} {
				var out bytes.Buffer
				join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdin: stdin, Stdout: &out})
				if err != nil {
					t.Fatal(err)
				}
				// The connection may be reset by what was never read; then the
				// output is not known to be whole.
				if err := join(); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }

// An input that breaks is reported, since the container took its end for EOF.
func TestAttachStdinBreaks(t *testing.T) {
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, upgraded)
		io.Copy(io.Discard, r)
	})
	failure := errors.New("input gone")
	join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdin: io.MultiReader(strings.NewReader("a"), errorReader{failure})})
	if err != nil {
		t.Fatal(err)
	}
	if err := join(); err != failure {
		t.Error(err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// How an attach can end.
func TestAttachEnds(t *testing.T) {
	for _, network := range networks {
		for _, test := range []struct {
			name, text string
			kind       string
			is         error
			says       string
		}{
			{"cleanly", upgraded + frame(1, "a"), "", nil, ""},
			{"in a header", upgraded + frame(1, "a") + "\x01\x00", "unreachable", io.ErrUnexpectedEOF, "output may be missing"},
			{"in a payload", upgraded + frame(1, "ab")[:9], "unreachable", io.ErrUnexpectedEOF, "output may be missing"},
			{"with the engine's error", upgraded + frame(3, "Log file\ngone."), "", nil, `attach to container "x": log file gone`},
			{"with rubbish", upgraded + "rubbish!", "", nil, "no stream frames"},
			{"with no stream", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", nil, "must allow connection upgrades"},
			{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + frame(1, "a") + "\r\n0\r\n\r\n", "", nil, ""},
			{"in a cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + frame(1, "a") + "\r\n", "unreachable", io.ErrUnexpectedEOF, ""},
			{"after interim answers", "HTTP/1.1 100 Continue\r\n\r\n" + upgraded + frame(1, "a"), "", nil, ""},
			{"refused in text", "HTTP/1.1 404 Not Found\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nNo such container: x\n", "no container", nil, `attach to container "x": no such container: x`},
			{"refused in text of another status", "HTTP/1.1 409 Conflict\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\ncontainer x is paused, unpause the container before attach\n", "conflict", nil, "unpause"},
		} {
			t.Run(network+"/"+test.name, func(t *testing.T) {
				c := script(t, network, say(test.text))
				var out, errOut bytes.Buffer
				join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdout: &out, Stderr: &errOut})
				_, err = joined(&out, &errOut, join, err)
				if kindsOf(err) != test.kind || (test.is != nil && !errors.Is(err, test.is)) || (err == nil) != (test.kind == "" && test.says == "") {
					t.Errorf("kind %q: %v", kindsOf(err), err)
				}
				if err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v; want %q", err, test.says)
				}
				if err == nil && out.String() != "a" {
					t.Errorf("output %q", out.String())
				}
			})
		}
	}
}

// A proxy that makes a body of the stream cannot carry stdin.
func TestAttachStdinThroughProxy(t *testing.T) {
	c := script(t, "unix", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	if _, err := c.AttachContainer(background(t), "x", AttachOptions{Stdin: strings.NewReader("x")}); err == nil || !strings.Contains(err.Error(), "cannot send stdin") {
		t.Error(err)
	}
}

// The writer's error is the caller's, and ends the attach at once.
func TestAttachWriterFails(t *testing.T) {
	gone := make(chan struct{})
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, upgraded+frame(1, "a"))
		io.Copy(io.Discard, r) // until we hang up
		gone <- struct{}{}
	})
	failure := errors.New("disk full")
	for _, stdin := range []io.Reader{nil, endlessReader{}} {
		join, err := c.AttachContainer(t.Context(), "x", AttachOptions{Stdin: stdin, Stdout: failingWriter{0, failure}})
		if err != nil {
			t.Fatal(err)
		}
		if err := join(); err != failure {
			t.Error(err)
		}
		await(t, gone)
	}
}

func TestLogsWriterFails(t *testing.T) {
	gone := make(chan struct{})
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"+frame(1, "a"))
		io.Copy(io.Discard, r)
		close(gone)
	})
	failure := errors.New("disk full")
	join, err := c.ContainerLogs(t.Context(), "x", LogsOptions{Stdout: failingWriter{0, failure}})
	if err != nil {
		t.Fatal(err)
	}
	if err := join(); err != failure {
		t.Error(err)
	}
	await(t, gone)
}

// The limit on the header is not one on what follows.
func TestLongerThanTheHeaderLimit(t *testing.T) {
	for _, network := range networks {
		c := script(t, network, func(conn net.Conn, r *bufio.Reader) {
			io.WriteString(conn, upgraded)
			time.Sleep(200 * time.Millisecond) // outlive the limit
			io.WriteString(conn, frame(1, strings.Repeat("x", 2*maxHeader)))
		})
		c.limits.header = 100 * time.Millisecond
		var out bytes.Buffer
		join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		if err := join(); err != nil || out.Len() != 2*maxHeader {
			t.Errorf("%s: %v, %d bytes", network, err, out.Len())
		}
	}
}

// Podman 4 answers a request for the log of a silent container when that says
// something.
func TestFollowSilent(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Libpod-Api-Version", "4.3.1")
		if answerPing(w, r) {
			return
		}
		if strings.Contains(r.URL.Path, "gone") {
			http.Error(w, `{"message":"no container with name or ID \"gone\" found: no such container"}`, 404)
			return
		}
		time.Sleep(200 * time.Millisecond)
		io.WriteString(w, frame(1, "out"))
	})
	c.limits.header = 50 * time.Millisecond
	var o, e bytes.Buffer
	join, err := c.ContainerLogs(background(t), "web", LogsOptions{Follow: true, Stdout: &o})
	if got, err := joined(&o, &e, join, err); got != "out|" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	join, err = c.ContainerLogs(background(t), "gone", LogsOptions{Follow: true, Stdout: &o})
	if err != nil {
		t.Fatal(err)
	}
	if err := join(); !errors.Is(err, ErrNoSuchContainer) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(background(t))
	if join, err = c.ContainerLogs(ctx, "web", LogsOptions{Follow: true, Stdout: &o}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := join(); err != context.Canceled {
		t.Error(err)
	}
}

// An HTTP body too may be longer than a header.
func TestLongLogs(t *testing.T) {
	c := script(t, "tcp", say("HTTP/1.1 200 OK\r\n\r\n"+frame(1, strings.Repeat("x", 2*maxHeader))))
	var out bytes.Buffer
	join, err := c.ContainerLogs(background(t), "x", LogsOptions{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := join(); err != nil || out.Len() != 2*maxHeader {
		t.Errorf("%v, %d bytes", err, out.Len())
	}
}

// The engine ends the output, but neither reads stdin nor hangs up.
func TestAttachStdinNeverRead(t *testing.T) {
	joined := make(chan struct{})
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, upgraded+frame(1, "a"))
		conn.(closeWriter).CloseWrite()
		<-joined
	})
	defer close(joined)
	join, err := c.AttachContainer(t.Context(), "x", AttachOptions{Stdin: endlessReader{}, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := join(); err != nil {
			t.Error(err)
		}
	}()
	await(t, done)
}

// lingeringReader blocks until it is closed, and then takes its time.
type lingeringReader struct {
	closed chan struct{}
	ended  atomic.Bool
}

func (r *lingeringReader) Read([]byte) (int, error) {
	<-r.closed
	time.Sleep(20 * time.Millisecond)
	r.ended.Store(true)
	return 0, errors.New("closed")
}

func (r *lingeringReader) Close() error {
	close(r.closed)
	return nil
}

// No goroutine outlives join.
func TestAttachStdinIsJoined(t *testing.T) {
	c := script(t, "unix", say(upgraded))
	stdin := &lingeringReader{closed: make(chan struct{})}
	join, err := c.AttachContainer(background(t), "x", AttachOptions{Stdin: stdin})
	if err != nil {
		t.Fatal(err)
	}
	if err := join(); err != nil {
		t.Error(err)
	}
	if !stdin.ended.Load() {
		t.Error("join returned before its reader")
	}
}

// oneShot is a connection whose write fails, with or without an answer to read.
type oneShot struct {
	net.Conn
	answer io.Reader
}

func (c oneShot) Write([]byte) (int, error)       { return 0, syscall.EPIPE }
func (c oneShot) Read(p []byte) (int, error)      { return c.answer.Read(p) }
func (c oneShot) SetDeadline(time.Time) error     { return nil }
func (c oneShot) SetReadDeadline(time.Time) error { return nil }
func (c oneShot) Close() error                    { return nil }

// What the engine said before it hung up counts for more than that it did.
func TestAnswerBeforeHangup(t *testing.T) {
	answer := ""
	c := newClient(t, mustHost(t, "engine"), Options{APIVersion: "1.41", Dial: func(context.Context, string, string) (net.Conn, error) {
		return oneShot{answer: strings.NewReader(answer)}, nil
	}})
	answer = "HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy"
	if _, err := c.WaitContainer(background(t), "x", NextExit); !errors.Is(err, ErrTemporary) {
		t.Error(err)
	}
	answer = ""
	if _, err := c.WaitContainer(background(t), "x", NextExit); !errors.Is(err, syscall.EPIPE) || !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

// Cancelling ends every join on a silent engine, and closes the connection also
// where nobody joins.
func TestCancel(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			var closed sync.Map // container id -> chan, closed with the connection
			c := serve(t, network, func(w http.ResponseWriter, r *http.Request) {
				if answerPing(w, r) {
					return
				}
				if done, ok := closed.Load(strings.Split(r.URL.Path, "/")[3]); ok {
					defer close(done.(chan struct{}))
				}
				if strings.HasSuffix(r.URL.Path, "/attach") {
					conn, _ := hijack(w)
					defer conn.Close()
					io.WriteString(conn, upgraded)
					io.Copy(io.Discard, conn)
				} else {
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				}
			})
			var out bytes.Buffer
			calls := map[string]func(ctx context.Context, id string) (func() error, error){
				"attach": func(ctx context.Context, id string) (func() error, error) {
					return c.AttachContainer(ctx, id, AttachOptions{Stdout: &out})
				},
				"attach with a silent stdin": func(ctx context.Context, id string) (func() error, error) {
					pipe, _ := io.Pipe() // join closes it
					return c.AttachContainer(ctx, id, AttachOptions{Stdin: pipe, Stdout: &out})
				},
				"logs": func(ctx context.Context, id string) (func() error, error) {
					return c.ContainerLogs(ctx, id, LogsOptions{Stdout: &out, Follow: true})
				},
				"wait": func(ctx context.Context, id string) (func() error, error) {
					join, err := c.WaitContainer(ctx, id, NextExit)
					return func() error { return errOf(join()) }, err
				},
			}
			n := 0
			for name, call := range calls {
				// begin makes the call, and returns its join and a function that
				// waits until the engine has seen the connection go.
				begin := func(ctx context.Context) (join func() error, gone func()) {
					n++
					id, done := fmt.Sprintf("id%d", n), make(chan struct{})
					closed.Store(id, done)
					join, err := call(ctx, id)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					return join, func() { <-done }
				}
				ctx, cancel := context.WithCancel(background(t))
				join, gone := begin(ctx)
				cancel() // before join
				if err := join(); err != context.Canceled {
					t.Errorf("%s: %v", name, err)
				}
				gone()

				ctx, cancel = context.WithCancel(background(t))
				join, gone = begin(ctx)
				time.AfterFunc(10*time.Millisecond, cancel) // most likely during join
				if err := join(); err != context.Canceled {
					t.Errorf("%s, later: %v", name, err)
				}
				gone()

				ctx, cancel = context.WithCancel(background(t))
				_, gone = begin(ctx)
				cancel() // and never join
				gone()

				ctx, cancel = context.WithTimeout(background(t), 20*time.Millisecond)
				join, err := call(ctx, "x")
				if err == nil { // on a busy machine the time may be up already
					err = join()
				}
				if err != context.DeadlineExceeded {
					t.Errorf("%s past its deadline: %v", name, err)
				}
				cancel()
			}

			ctx, cancel := context.WithCancel(background(t))
			time.AfterFunc(20*time.Millisecond, cancel)
			if err := c.PullImage(ctx, "x", PullOptions{}, nil); err != context.Canceled {
				t.Errorf("pull: %v", err)
			}
		})
	}
}

// A wait is registered when it returns, and blocks only in join.
func TestWaitReturnsEarly(t *testing.T) {
	started, gone := make(chan struct{}), make(chan struct{})
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if answerPing(w, r) {
			return
		}
		if strings.HasSuffix(r.URL.Path, "/start") {
			close(started)
			w.WriteHeader(204)
			return
		}
		w.(http.Flusher).Flush()
		<-started
		io.WriteString(w, `{"StatusCode":3,"Error":null}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done() // join does not need the end of the body, and hangs up
		close(gone)
	})
	join, err := c.WaitContainer(t.Context(), "x", NextExit)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartContainer(background(t), "x"); err != nil {
		t.Fatal(err)
	}
	if status, err := join(); err != nil || exitOf(status.Code) != 3 {
		t.Errorf("%+v, %v", status, err)
	}
	await(t, gone)
}

func TestWaitEndless(t *testing.T) {
	c := script(t, "unix", func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n{\"StatusCode\":1,\"x\":\"")
		for {
			if _, err := io.WriteString(conn, strings.Repeat("x", 32<<10)); err != nil {
				return
			}
		}
	})
	if _, err := joinWait(c.WaitContainer(background(t), "x", NextExit)); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

func TestWaitEnds(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for _, test := range []struct{ name, text, kind, says string }{
		{"engine killed", header, "unreachable", "the container may or may not have exited, and its exit code is unknown"},
		{"engine killed in the answer", header + chunk(`{"StatusCode":`), "unreachable", "unexpected EOF"},
		{"nothing", header + "0\r\n\r\n", "unreachable", "unexpected EOF"},
		{"proxy's text", header + chunk("504 Gateway Timeout") + "0\r\n\r\n", "unreachable", `"504 Gateway Timeout"`},
		{"proxy's number", header + chunk("5") + "0\r\n\r\n", "unreachable", `"5"`},
		{"proxy's JSON", header + chunk(`{"error":{"message":""}}`) + "0\r\n\r\n", "unreachable", "no exit code"},
		{"engine's error", header + chunk(`{"StatusCode":0,"Error":{"Message":"Removal failed."}}`), "", `wait for container "x": removal failed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := script(t, "tcp", say(test.text))
			join, err := c.WaitContainer(background(t), "x", "removed")
			if err != nil {
				t.Fatal(err)
			}
			_, err = join()
			if err == nil || kindsOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("kind %q: %v", kindsOf(err), err)
			}
		})
	}
}

func TestPullEnds(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	const end = "0\r\n\r\n"
	progress := chunk(`{"status":"Downloading","id":"a"}` + "\r\n")
	for _, test := range []struct{ name, text, kind, says string }{
		{"well", header + progress + end, "", ""},
		{"with an error inside", header + progress + chunk(`{"errorDetail":{"code":404,"message":"manifest for x:latest not found: manifest unknown"},"error":"old"}`) + end, "no image", "manifest unknown"},
		{"with an old error inside", header + chunk(`{"error":"toomanyrequests: slow down"}`) + end, "temporary", "slow down"},
		{"with an error of no kind", header + chunk(`{"errorDetail":{"message":"no space left on device"}}`) + end, "", "no space left"},
		{"with a status", "HTTP/1.1 404 Not Found\r\nContent-Length: 85\r\n\r\n" + fmt.Sprintf("%-85s", `{"message":"pull access denied for x, repository does not exist"}`), "no image", "pull access denied"},
		{"cut", header + progress, "unreachable", "the image may be incomplete"},
		{"cut in a line", header + chunk(`{"status":"Down`), "unreachable", "unexpected EOF"},
		{"with nothing", header + end, "unreachable", "unexpected EOF"},
		{"with HTML", header + chunk("<html>") + end, "unreachable", "invalid character"},
		{"with an endless line", header + strings.Repeat(chunk(`{"status":"`+strings.Repeat("x", 1<<20)), 3), "unreachable", "endless"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				switch {
				case answerPing(w, r):
				default:
					conn, _ := hijack(w)
					io.WriteString(conn, test.text)
					conn.Close()
				}
			})
			err := c.PullImage(background(t), "x", PullOptions{}, nil)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || kindsOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("kind %q: %v", kindsOf(err), err)
			}
		})
	}
}

// A caller that gives up while the engine is asked whether it answers gets the error of its context.
func TestPullCancelledInPing(t *testing.T) {
	ctx, cancel := context.WithCancel(background(t))
	begun := make(chan struct{}, 1)
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "POST":
			begun <- struct{}{}
			<-r.Context().Done()
		case len(begun) > 0:
			cancel()
			<-r.Context().Done()
		default:
			answerPing(w, r)
		}
	})
	c.limits.pull = time.Second
	if err := c.PullImage(ctx, "x", PullOptions{}, nil); err != context.Canceled {
		t.Error(err)
	}
}

// Everything at once on one client.
func TestConcurrentUse(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		if answerPing(w, r) {
			return
		}
		calls.Add(1)
		switch {
		case strings.HasSuffix(r.URL.Path, "/attach"):
			conn, _ := hijack(w)
			defer conn.Close()
			io.WriteString(conn, upgraded+strings.Repeat(frame(1, strings.Split(r.URL.Path, "/")[3]), 1000))
		case strings.HasSuffix(r.URL.Path, "/wait"):
			io.WriteString(w, `{"StatusCode":3}`)
		default:
			w.WriteHeader(204)
		}
	})
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			id := fmt.Sprintf("id%d", i)
			var out bytes.Buffer
			join, err := c.AttachContainer(background(t), id, AttachOptions{Stdout: &out})
			if err != nil {
				t.Error(err)
				return
			}
			if status, err := joinWait(c.WaitContainer(background(t), id, NextExit)); err != nil || exitOf(status.(ExitStatus).Code) != 3 {
				t.Error(status, err)
			}
			if err := c.StartContainer(background(t), id); err != nil {
				t.Error(err)
			}
			if err := join(); err != nil || out.String() != strings.Repeat(id, 1000) {
				t.Errorf("%v, %d bytes", err, out.Len())
			}
			if err := c.RemoveContainer(background(t), id, RemoveOptions{}); err != nil {
				t.Error(err)
			}
			if i%10 == 0 {
				c.Ping(background(t))
				c.Close()
			}
		})
	}
	all.Wait()
	if calls.Load() != 400 {
		t.Errorf("%d calls", calls.Load())
	}
}

// A pull of which nothing comes is given up and ended: by an engine that answers
// otherwise as a failure that may pass, by one that does not as unreachable.
func TestPullStalls(t *testing.T) {
	const limit = 150 * time.Millisecond
	for _, test := range []struct {
		name    string
		start   string // of the answer, before it stalls
		answers bool   // the engine, to a ping
		kind    string
		says    string
	}{
		{"before the header", "", true, "temporary", `pull image "x": no progress for 150ms, given up; check that the engine can reach the registry`},
		{"before the first step", "HTTP/1.1 200 OK\r\n\r\n", true, "temporary", "no progress for 150ms"},
		{"in a blob", "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"Downloading\"}\n", true, "temporary", "no progress for 150ms"},
		{"in a line", "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"Down", true, "temporary", "no progress for 150ms"},
		{"engine, before the header", "", false, "unreachable", "no answer within 150ms"},
		{"engine, in a blob", "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"Downloading\"}\n", false, "unreachable", "no answer within 150ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begun, gone := make(chan struct{}, 100), make(chan struct{}, 100)
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				switch {
				case len(begun) > 0 && !test.answers && r.Method != "POST":
					<-r.Context().Done()
				case answerPing(w, r):
				default:
					begun <- struct{}{}
					conn, rw := hijack(w)
					defer conn.Close()
					io.WriteString(conn, test.start)
					rw.ReadByte()
					gone <- struct{}{}
				}
			})
			c.limits.pull = limit
			if !test.answers {
				c.limits.ping = limit
			}
			for asked := false; !asked && !t.Failed(); asked = len(begun) > 0 { // on a busy machine a pull ends before it is asked for
				err := c.PullImage(background(t), "x", PullOptions{}, nil)
				if err == nil || kindsOf(err) != test.kind || !strings.Contains(err.Error(), test.says) || isDeadline(err) {
					t.Errorf("kind %q: %v", kindsOf(err), err)
				}
			}
			await(t, gone)
		})
	}
	t.Run("never for long", func(t *testing.T) {
		c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
			if answerPing(w, r) {
				return
			}
			for range 10 {
				io.WriteString(w, `{"status":"Downloading"}`)
				w.(http.Flusher).Flush()
				time.Sleep(150 * time.Millisecond)
			}
		})
		c.limits.pull = time.Second // less than all of it, and much more than a step
		if err := c.PullImage(background(t), "x", PullOptions{}, nil); err != nil {
			t.Error(err)
		}
	})
}
