package dockerapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// These tests talk to a real engine: `eval "$(scripts/services env)"` names one
// that has the image busybox:latest. They remove what they create, and touch
// nothing else.

const testImage = "busybox:latest"

// realEngines are clients of the engine by each way that leads to it.
func realEngines(t *testing.T) map[string]*Client {
	t.Helper()
	engines := map[string]*Client{}
	add := func(name, addr string, o Options) {
		host, err := ParseHost(addr)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(host, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		engines[name] = c
	}
	if addr := os.Getenv("DOCKER_HOST"); addr != "" {
		add("DOCKER_HOST", addr, Options{})
	}
	if addr := os.Getenv("DISPATCH_TEST_TCP"); addr != "" {
		add("tcp", addr, Options{})
	}
	if addr, certs := os.Getenv("DISPATCH_TEST_TLS"), os.Getenv("DISPATCH_TEST_CERTS"); addr != "" && certs != "" {
		config, err := tlsconf.Config(filepath.Join(certs, "ca.pem"), filepath.Join(certs, "cert.pem"), filepath.Join(certs, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		add("tls", addr, Options{TLS: config})
	}
	if len(engines) == 0 {
		if os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") == "1" {
			t.Fatal("no engine: DOCKER_HOST and DISPATCH_TEST_TCP are not set")
		}
		t.Skip("no engine: DOCKER_HOST and DISPATCH_TEST_TCP are not set; see scripts/services")
	}
	return engines
}

// eachEngine runs a test by each way. The context ends what hangs.
func eachEngine(t *testing.T, test func(t *testing.T, ctx context.Context, c *Client)) {
	t.Parallel()
	for name, c := range realEngines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			test(t, ctx, c)
		})
	}
}

// anyEngine runs a test by one of the ways, where they do not matter.
func anyEngine(t *testing.T, test func(t *testing.T, ctx context.Context, c *Client)) {
	t.Parallel()
	engines := realEngines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, way := range []string{"DOCKER_HOST", "tcp", "tls"} {
		if c := engines[way]; c != nil {
			test(t, ctx, c)
			return
		}
	}
}

func testName() string { return "dockerapi-test-" + strings.ToLower(rand.Text()[:12]) }

// createReal creates a container, and removes it after the test.
func createReal(t *testing.T, ctx context.Context, c *Client, name string, cfg ContainerConfig) string {
	t.Helper()
	if cfg.Image == "" {
		cfg.Image = testImage
	}
	if cfg.HostConfig == nil {
		cfg.HostConfig = &HostConfig{}
	}
	cfg.HostConfig.NetworkMode = cmp.Or(cfg.HostConfig.NetworkMode, "host") // quickest to start
	created, err := c.CreateContainer(ctx, name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := c.RemoveContainer(ctx, created.ID, RemoveOptions{Volumes: true, Force: true})
		if err != nil && !errors.Is(err, ErrNoSuchContainer) && !errors.Is(err, ErrRemovalInProgress) {
			t.Error(err)
		}
	})
	return created.ID
}

// writerFunc is an io.Writer of a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// shell is a container that runs a script.
func shell(script string) ContainerConfig { return ContainerConfig{Cmd: []string{"sh", "-c", script}} }

func TestRealPing(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		v, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if v.API == "" || v.MaxAPI == "" || v.Server == "" {
			t.Errorf("Ping = %+v", v)
		}
		t.Logf("%v: %+v", c.Host(), v)
	})
}

// The whole of a run, with stdin of more than any buffer on the way.
func TestRealRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		name := testName()
		// It ends when all of its output has come: an engine drops what is not taken two seconds behind the exit.
		cfg := shell("trap 'exit 7' TERM; cat; echo done >&2; while :; do sleep 0.1; done")
		cfg.OpenStdin, cfg.StdinOnce, cfg.AttachStdin, cfg.AttachStdout, cfg.AttachStderr = true, true, true, true, true
		cfg.Labels = map[string]string{"dockerapi-test": name}
		cfg.Env = []string{"A=b"}
		id := createReal(t, ctx, c, name, cfg)

		input := bytes.Repeat([]byte("0123456789abcde\n"), 256<<10) // 4 MiB
		var stdout, stderr bytes.Buffer
		var came atomic.Int64
		all := make(chan struct{})
		count := writerFunc(func(p []byte) (int, error) {
			if came.Add(int64(len(p))) == int64(len(input)+len("done\n")) {
				close(all)
			}
			return len(p), nil
		})
		output, err := c.AttachContainer(ctx, id, AttachOptions{
			Stdin: bytes.NewReader(input), Stdout: io.MultiWriter(&stdout, count), Stderr: io.MultiWriter(&stderr, count),
		})
		if err != nil {
			t.Fatal(err)
		}
		exit, err := c.WaitContainer(ctx, id, NextExit)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Errorf("start of a running container: %v", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- output() }()
		select {
		case <-all:
		case err := <-ended:
			t.Fatalf("the output ended at %d bytes: %v", came.Load(), err)
		}
		if err := c.KillContainer(ctx, id, "TERM"); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		status, err := exit()
		if err != nil || exitOf(status.Code) != 7 {
			t.Errorf("exit = %+v, %v; want 7", status, err)
		}
		if !bytes.Equal(stdout.Bytes(), input) {
			t.Errorf("stdout has %d bytes, want %d", stdout.Len(), len(input))
		}
		if got := stderr.String(); got != "done\n" {
			t.Errorf("stderr = %q", got)
		}

		got, err := c.InspectContainer(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		image := testImage
		if v, err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		} else if v.Podman {
			image = "docker.io/library/" + testImage
		}
		if got.ID != id || got.Name != name || got.Image != image || got.Tty || got.LogDriver == "" ||
			got.Labels["dockerapi-test"] != name || got.State.Status != "exited" || !got.State.Ended() ||
			exitOf(got.State.ExitCode) != 7 || got.State.StartedAt.IsZero() || got.State.FinishedAt.Before(got.State.StartedAt) ||
			time.Since(got.Created) > time.Hour {
			t.Errorf("inspect = %+v", got)
		}
		raw, err := c.InspectContainerRaw(ctx, name)
		if err != nil || !json.Valid(raw) || !bytes.Contains(raw, []byte(id)) {
			t.Errorf("raw inspect = %s, %v", raw, err)
		}
		list, err := c.ListContainers(ctx, ListOptions{All: true, Name: name, Labels: []string{"dockerapi-test=" + name}, Statuses: []string{"exited", "dead"}})
		if err != nil || len(list) != 1 || list[0].ID != id || list[0].Name != name || list[0].Status != "exited" || time.Since(list[0].Created) > time.Hour {
			t.Errorf("list = %+v, %v", list, err)
		}
		if err := c.StopContainer(ctx, id, StopOptions{}); err != nil {
			t.Errorf("stop of a stopped container: %v", err)
		}
		if err := c.RemoveContainer(ctx, id, RemoveOptions{Volumes: true}); err != nil {
			t.Error(err)
		}
		for what, err := range map[string]error{
			"inspect": errOf(c.InspectContainer(ctx, id)),
			"start":   c.StartContainer(ctx, id),
			"stop":    c.StopContainer(ctx, id, StopOptions{}),
			"remove":  c.RemoveContainer(ctx, id, RemoveOptions{Force: true}),
			"wait":    errOf(c.WaitContainer(ctx, id, NextExit)),
			"attach":  errOf(c.AttachContainer(ctx, id, AttachOptions{Stdout: &stdout})),
			"logs":    errOf(c.ContainerLogs(ctx, id, LogsOptions{Stdout: &stdout})),
		} {
			if !errors.Is(err, ErrNoSuchContainer) {
				t.Errorf("%s of a removed container: %v", what, err)
			}
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

// An empty stdin is EOF, not no stdin.
func TestRealEmptyStdin(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		cfg := shell("cat; echo eof")
		cfg.OpenStdin, cfg.StdinOnce = true, true
		id := createReal(t, ctx, c, testName(), cfg)
		var stdout bytes.Buffer
		output, err := c.AttachContainer(ctx, id, AttachOptions{Stdin: strings.NewReader(""), Stdout: &stdout})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := output(); err != nil || stdout.String() != "eof\n" {
			t.Errorf("join = %v, stdout %q", err, stdout.String())
		}
	})
}

func TestRealTty(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		cfg := shell("seq 1 2000; echo err >&2")
		cfg.Tty = true
		id := createReal(t, ctx, c, testName(), cfg)
		var stdout, log bytes.Buffer
		output, err := c.AttachContainer(ctx, id, AttachOptions{Stdout: &stdout, Stderr: &stdout, Tty: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := output(); err != nil {
			t.Error(err)
		}
		if s := stdout.String(); !strings.HasPrefix(s, "1\r\n2\r\n") || !strings.HasSuffix(s, "2000\r\nerr\r\n") {
			t.Errorf("stdout = %d bytes, %.20q", len(s), s)
		}
		logs, err := c.ContainerLogs(ctx, id, LogsOptions{Stdout: &log, Tty: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := logs(); err != nil || log.String() != stdout.String() {
			t.Errorf("logs: %v, %d bytes, attach had %d", err, log.Len(), stdout.Len())
		}
	})
}

func TestRealLogs(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		v, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		nap := "0.3"
		if v.Podman {
			nap = "1.1" // for Since has whole seconds there
		}
		id := createReal(t, ctx, c, testName(), shell("echo one; echo two >&2; sleep "+nap+"; echo three"))
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		read := func(o LogsOptions) (string, string) {
			t.Helper()
			var stdout, stderr bytes.Buffer
			o.Stdout, o.Stderr = &stdout, &stderr
			join, err := c.ContainerLogs(ctx, id, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := join(); err != nil {
				t.Fatal(err)
			}
			return stdout.String(), stderr.String()
		}
		if o, e := read(LogsOptions{Follow: true}); o != "one\nthree\n" || e != "two\n" {
			t.Errorf("followed: %q and %q", o, e)
		}
		if o, _ := read(LogsOptions{Tail: "1"}); o != "three\n" {
			t.Errorf("tail: %q", o)
		}
		o, _ := read(LogsOptions{Timestamps: true, Tail: "1"})
		stamp, line, _ := strings.Cut(o, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || line != "three\n" {
			t.Fatalf("timestamps: %q", o)
		}
		if o, e := read(LogsOptions{Since: at}); o != "three\n" || e != "" {
			t.Errorf("since: %q and %q", o, e)
		}

		none := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{"true"}, HostConfig: &HostConfig{LogConfig: &LogConfig{Type: "none"}}})
		if err := c.StartContainer(ctx, none); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ContainerLogs(ctx, none, LogsOptions{Stdout: &bytes.Buffer{}}); !errors.Is(err, ErrLogsUnreadable) {
			t.Errorf("logs of driver none: %v", err)
		} else {
			t.Log(err)
		}
	})
}

func TestRealRefusals(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		expect := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", what, err, want)
			} else {
				t.Logf("%s: %v", what, err)
			}
		}
		expect("missing image", errOf(c.CreateContainer(ctx, testName(), ContainerConfig{Image: "dockerapi-test/no-such:image"})), ErrNoSuchImage)
		expect("bad name", errOf(c.CreateContainer(ctx, "!", ContainerConfig{Image: testImage})), ErrInvalid)
		v, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// Not UPPER/case: newer engines take the part before the slash for a registry.
		expect("bad image", errOf(c.CreateContainer(ctx, testName(), ContainerConfig{Image: "lower/CASE"})), ErrInvalid)
		expect("pull of a bad image", c.PullImage(ctx, "lower/CASE", PullOptions{}, nil), ErrInvalid)

		name := testName()
		id := createReal(t, ctx, c, name, ContainerConfig{Cmd: []string{"sleep", "60"}})
		_, err = c.CreateContainer(ctx, name, ContainerConfig{Image: testImage})
		expect("name in use", err, ErrNameInUse)
		var answer *Error
		if !errors.As(err, &answer) || answer.HolderID() != id {
			t.Errorf("holder = %q, want %q", answer.HolderID(), id)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		expect("remove of a running container", c.RemoveContainer(ctx, id, RemoveOptions{}), ErrConflict)
		begin, zero := time.Now(), 0
		if err := c.StopContainer(ctx, id, StopOptions{Time: &zero}); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > 8*time.Second { // its own grace period is 10 s
			t.Errorf("stop with time 0 took %v", d)
		}
		if got, err := c.InspectContainer(ctx, id); err != nil || exitOf(got.State.ExitCode) != 137 {
			t.Errorf("after the kill: %+v, %v", got.State, err)
		}

		for script, want := range map[string]error{"nope": ErrCommandNotFound, "/no/such": ErrCommandNotFound, "/etc": ErrNotExecutable} {
			id := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{script}})
			exitCtx, cancel := context.WithCancel(ctx)
			exit, err := c.WaitContainer(exitCtx, id, NextExit)
			if err != nil {
				t.Fatal(err)
			}
			expect("start of "+script, c.StartContainer(ctx, id), want)
			cancel()
			if _, err := exit(); err != context.Canceled {
				t.Errorf("wait after a failed start: %v", err)
			}

			// Podman looks for the command at an attach before the start.
			id = createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{script}})
			_, err = c.AttachContainer(ctx, id, AttachOptions{Stdout: &bytes.Buffer{}})
			if v.Podman {
				expect("attach of "+script, err, want)
			} else {
				expect("attach of "+script, err, nil)
				expect("start of the attached "+script, c.StartContainer(ctx, id), want)
			}
		}

		// No registry listens there, so that this fails alike with and without
		// a network.
		expect("pull", c.PullImage(ctx, "localhost:1/no/such:image", PullOptions{}, nil), ErrTemporary)
	})
}

// A forced removal kills at once; and while someone else stops or removes a
// container, it is one that runs, has ended, or is not there.
func TestRealForcedRemoval(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		sleeper := func() string { // as the init of its container it ignores SIGTERM
			t.Helper()
			id := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{"sleep", "60"}})
			if err := c.StartContainer(ctx, id); err != nil {
				t.Fatal(err)
			}
			return id
		}
		watch := func(id string, change func() error) {
			t.Helper()
			changed := make(chan error, 1)
			go func() { changed <- change() }()
			for {
				got, err := c.InspectContainer(ctx, id)
				switch s := got.State; {
				case errors.Is(err, ErrNoSuchContainer):
				case err != nil:
					t.Errorf("inspect meanwhile: %v", err)
				case s.Status == "running" && s.Running, s.Ended() && exitOf(s.ExitCode) == 137 && !s.FinishedAt.IsZero(), s.Status == "removing":
				default:
					t.Errorf("meanwhile: %+v", s)
				}
				select {
				case err := <-changed:
					if err != nil {
						t.Error(err)
					}
					return
				default:
				}
			}
		}
		one, id := 1, sleeper()
		watch(id, func() error { return c.StopContainer(ctx, id, StopOptions{Time: &one}) })
		id = sleeper()
		begin := time.Now()
		watch(id, func() error { return c.RemoveContainer(ctx, id, RemoveOptions{Force: true}) })
		if d := time.Since(begin); d > 8*time.Second { // its grace period is 10 s
			t.Errorf("forced removal took %v", d)
		}
	})
}

// Cancelling ends what blocks on a container that does nothing.
func TestRealCancel(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		id := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{"sleep", "60"}})
		callCtx, cancel := context.WithCancel(ctx)
		output, err := c.AttachContainer(callCtx, id, AttachOptions{Stdout: &bytes.Buffer{}})
		if err != nil {
			t.Fatal(err)
		}
		exit, err := c.WaitContainer(callCtx, id, NextExit)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.StartContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		logs, err := c.ContainerLogs(callCtx, id, LogsOptions{Stdout: &bytes.Buffer{}, Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 3)
		go func() { results <- output() }()
		go func() { results <- errOf(exit()) }()
		go func() { results <- logs() }()
		cancel()
		for range 3 {
			if err := <-results; err != context.Canceled {
				t.Error(err)
			}
		}
	})
}

// Many containers at once, each line where it belongs.
func TestRealConcurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 s")
	}
	for _, c := range realEngines(t) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		slots := make(chan struct{}, 4)
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				id := createReal(t, ctx, c, testName(), shell(fmt.Sprintf("for n in 1 2 3; do echo %d $n; done; exit %d", i, i)))
				var stdout bytes.Buffer
				output, err := c.AttachContainer(ctx, id, AttachOptions{Stdout: &stdout})
				if err != nil {
					t.Error(err)
					return
				}
				exit, err := c.WaitContainer(ctx, id, NextExit)
				if err == nil {
					err = c.StartContainer(ctx, id)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := output(); err != nil {
					t.Error(err)
				}
				if want := fmt.Sprintf("%[1]d 1\n%[1]d 2\n%[1]d 3\n", i); stdout.String() != want {
					t.Errorf("stdout = %q, want %q", stdout.String(), want)
				}
				if status, err := exit(); err != nil || exitOf(status.Code) != i {
					t.Errorf("exit = %+v, %v; want %d", status, err, i)
				}
			})
		}
		all.Wait()
		break // one way is enough: the others are the same code
	}
}

// Kill, pause, unpause and restart, and what they answer in the wrong state.
func TestRealSignals(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		expect := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", what, err, want)
			} else {
				t.Logf("%s: %v", what, err)
			}
		}
		v, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		id := createReal(t, ctx, c, testName(), shell("trap 'echo hup' HUP; echo up; while :; do sleep 0.1; done"))
		starts := 0
		started := func() { // behind its trap, and so often
			t.Helper()
			starts++
			want := strings.Repeat("up\n", starts)
			awaitLog(t, ctx, c, id, func(log string) bool { return strings.ReplaceAll(log, "hup\n", "") == want })
		}
		expect("kill of a created one", c.KillContainer(ctx, id, ""), ErrConflict)
		expect("pause of a created one", c.PauseContainer(ctx, id), ErrConflict)
		expect("unpause of a created one", c.UnpauseContainer(ctx, id), ErrConflict)
		zero := 0
		expect("restart of a created one", c.RestartContainer(ctx, id, StopOptions{Time: &zero}), nil)
		started()
		expect("unknown signal", c.KillContainer(ctx, id, "FOO"), ErrInvalid)
		expect("signal", c.KillContainer(ctx, id, "HUP"), nil)
		awaitLog(t, ctx, c, id, func(log string) bool { return strings.Contains(log, "hup\n") })

		expect("unpause", c.UnpauseContainer(ctx, id), ErrConflict)
		expect("pause", c.PauseContainer(ctx, id), nil)
		expect("pause of a paused one", c.PauseContainer(ctx, id), ErrConflict)
		if got, err := c.InspectContainer(ctx, id); err != nil || got.State.Status != "paused" || !got.State.Paused || !got.State.Running {
			t.Errorf("paused: %+v, %v", got.State, err)
		}
		expect("unpause of a paused one", c.UnpauseContainer(ctx, id), nil)

		before, err := c.InspectContainer(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		expect("restart", c.RestartContainer(ctx, id, StopOptions{Time: &zero}), nil)
		started()
		after, err := c.InspectContainer(ctx, id)
		if err != nil || after.State.Status != "running" || !after.State.StartedAt.After(before.State.StartedAt) {
			t.Errorf("restarted: %+v, %v; was %+v", after.State, err, before.State)
		}

		// An older engine would stop it with its own signal.
		if older(v.API, "1.42") {
			expect("signal of stop", c.StopContainer(ctx, id, StopOptions{Signal: "KILL"}), ErrInvalid)
		} else if v.Podman {
			t.Log("Podman does not heed the signal of stop")
		} else {
			expect("unknown signal of stop", c.StopContainer(ctx, id, StopOptions{Signal: "FOO"}), ErrInvalid)
			expect("unknown signal of restart", c.RestartContainer(ctx, id, StopOptions{Signal: "FOO"}), ErrInvalid)
			begin := time.Now()
			expect("signal of stop", c.StopContainer(ctx, id, StopOptions{Signal: "KILL"}), nil)
			if d := time.Since(begin); d > 8*time.Second {
				t.Errorf("stop with KILL took %v", d)
			}
			expect("restart of a stopped one", c.RestartContainer(ctx, id, StopOptions{Signal: "KILL"}), nil)
			started()
		}

		expect("kill", c.KillContainer(ctx, id, ""), nil)
		exit, err := c.WaitContainer(ctx, id, NotRunning)
		if status, err := joinWait(exit, err); err != nil || exitOf(status.(ExitStatus).Code) != 137 {
			t.Errorf("killed: %+v, %v", status, err)
		}
		expect("kill of an ended one", c.KillContainer(ctx, id, "TERM"), ErrConflict)
		expect("pause of an ended one", c.PauseContainer(ctx, id), ErrConflict)

		nope := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{"nope"}})
		expect("restart of nope", c.RestartContainer(ctx, nope, StopOptions{}), ErrCommandNotFound)
		gone := testName()
		expect("kill of nothing", c.KillContainer(ctx, gone, ""), ErrNoSuchContainer)
		expect("pause of nothing", c.PauseContainer(ctx, gone), ErrNoSuchContainer)
		expect("unpause of nothing", c.UnpauseContainer(ctx, gone), ErrNoSuchContainer)
		expect("restart of nothing", c.RestartContainer(ctx, gone, StopOptions{}), ErrNoSuchContainer)
	})
}

// awaitLog reads a container's log until it is as wanted.
func awaitLog(t *testing.T, ctx context.Context, c *Client, id string, ok func(log string) bool) {
	t.Helper()
	for {
		var stdout bytes.Buffer
		join, err := c.ContainerLogs(ctx, id, LogsOptions{Stdout: &stdout})
		if err == nil {
			err = join()
		}
		if err != nil {
			t.Fatalf("%v; the log is %q", err, stdout.String())
		}
		if ok(stdout.String()) {
			return
		}
	}
}

// startReal is a container that sleeps until it is killed.
func startReal(t *testing.T, ctx context.Context, c *Client) string {
	t.Helper()
	id := createReal(t, ctx, c, testName(), ContainerConfig{Cmd: []string{"sleep", "600"}})
	if err := c.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRealExec(t *testing.T) {
	eachEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		v, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		id := startReal(t, ctx, c)
		create := func(cfg ExecConfig) string {
			t.Helper()
			exec, err := c.CreateExec(ctx, id, cfg)
			if err != nil {
				t.Fatal(err)
			}
			return exec
		}
		run := func(cfg ExecConfig, stdin io.Reader) (e Exec, stdout, stderr string) {
			t.Helper()
			cfg.AttachStdin, cfg.AttachStdout, cfg.AttachStderr = stdin != nil, true, true
			exec := create(cfg)
			if before, err := c.InspectExec(ctx, exec); err != nil || before != (Exec{}) {
				t.Errorf("before the start: %+v, %v", before, err)
			}
			var o, w bytes.Buffer
			join, err := c.StartExec(ctx, exec, AttachOptions{Stdin: stdin, Stdout: &o, Stderr: &w, Tty: cfg.Tty})
			if err == nil {
				err = join()
			}
			if err != nil {
				t.Errorf("%q: %v", cfg.Cmd, err)
			}
			return awaitExec(t, ctx, c, exec), o.String(), w.String()
		}

		input := bytes.Repeat([]byte("0123456789abcde\n"), 64<<10) // 1 MiB
		e, stdout, stderr := run(ExecConfig{Cmd: []string{"sh", "-c", "cat; echo done >&2; exit 7"}}, bytes.NewReader(input))
		if exitOf(e.ExitCode) != 7 || stdout != string(input) || stderr != "done\n" || !v.Podman && e.Pid == 0 {
			t.Errorf("cat: %+v, %d bytes, %q", e, len(stdout), stderr)
		}
		e, stdout, stderr = run(ExecConfig{Cmd: []string{"sh", "-c", "cat; echo eof"}}, strings.NewReader(""))
		if exitOf(e.ExitCode) != 0 || stdout != "eof\n" || stderr != "" {
			t.Errorf("empty stdin: %+v, %q, %q", e, stdout, stderr)
		}
		e, stdout, stderr = run(ExecConfig{Cmd: []string{"sh", "-c", "echo $A; pwd; id -u; id -g"}, Env: []string{"A=<&> b"}, User: "1:2", WorkingDir: "/etc"}, nil)
		if exitOf(e.ExitCode) != 0 || stdout != "<&> b\n/etc\n1\n2\n" || stderr != "" {
			t.Errorf("options: %+v, %q, %q", e, stdout, stderr)
		}
		e, stdout, stderr = run(ExecConfig{Cmd: []string{"sh", "-c", "echo out; echo err >&2; test -t 1"}, Tty: true}, nil)
		if exitOf(e.ExitCode) != 0 || stdout != "out\r\nerr\r\n" || stderr != "" {
			t.Errorf("tty: %+v, %q, %q", e, stdout, stderr)
		}
		if !strings.HasSuffix(t.Name(), "/DOCKER_HOST") { // the ways differ in how bytes go, and in how a start is refused
			if e, stdout, stderr = run(ExecConfig{Cmd: []string{"nope"}}, nil); e.NeverRan == v.Podman || !strings.Contains(stdout+stderr, "nope") {
				t.Errorf("nope: %+v, %q, %q", e, stdout, stderr)
			}
			return
		}
		e, _, stderr = run(ExecConfig{Cmd: []string{"sh", "-c", "nope"}}, nil)
		if exitOf(e.ExitCode) != 127 || !strings.Contains(stderr, "not found") {
			t.Errorf("127: %+v, %q", e, stderr)
		}
		e, _, _ = run(ExecConfig{Cmd: []string{"sh", "-c", "kill -TERM $$"}}, nil)
		if exitOf(e.ExitCode) != 143 {
			t.Errorf("143: %+v", e)
		}

		// What cannot be run: a line of output and an exit code, or an error.
		for command, want := range map[string]error{"nope": ErrCommandNotFound, "/no/such": ErrCommandNotFound, "/etc": ErrNotExecutable} {
			e, stdout, stderr := run(ExecConfig{Cmd: []string{command}}, nil)
			if e.Running || e.NeverRan == v.Podman || e.Pid != 0 || exitOf(e.ExitCode) != 126 && exitOf(e.ExitCode) != 127 || !strings.Contains(stdout+stderr, command) {
				t.Errorf("%s: %+v, %q, %q", command, e, stdout, stderr)
			}
			t.Logf("%s: exit code %d, stdout %q, stderr %q", command, e.ExitCode, stdout, stderr)
			exec := create(ExecConfig{Cmd: []string{command}})
			if err := c.StartExecDetached(ctx, exec); !errors.Is(err, want) {
				t.Errorf("%s, detached: %v; want %v", command, err, want)
			} else {
				t.Logf("%s, detached: %v", command, err)
			}
		}

		detached := create(ExecConfig{Cmd: []string{"sh", "-c", "exit 3"}})
		if err := c.StartExecDetached(ctx, detached); err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(v.Server, "Libpod/4.") {
			t.Log("Podman 4 tells minutes later that a detached exec has ended")
		} else if e := awaitExec(t, ctx, c, detached); exitOf(e.ExitCode) != 3 {
			t.Errorf("detached: %+v", e)
		}
		long := create(ExecConfig{Cmd: []string{"sleep", "600"}})
		if err := c.StartExecDetached(ctx, long); err != nil {
			t.Error(err)
		}
		if e, err := c.InspectExec(ctx, long); err != nil || !e.Running || e.Pid == 0 || e.ExitCode != nil {
			t.Errorf("running: %+v, %v", e, err)
		}
		fresh := create(ExecConfig{Cmd: []string{"true"}, AttachStdout: true})

		expect := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v; want %v", what, err, want)
			} else {
				t.Logf("%s: %v", what, err)
			}
		}
		streams := AttachOptions{Stdout: io.Discard}
		expect("start of a running exec", c.StartExecDetached(ctx, long), ErrConflict)
		expect("start of an ended exec", c.StartExecDetached(ctx, detached), ErrConflict)
		if v.Podman {
			expect("attached start of an ended exec", errOf(c.StartExec(ctx, detached, streams)), ErrConflict)
		} else {
			var o, w bytes.Buffer
			join, err := c.StartExec(ctx, detached, AttachOptions{Stdout: &o, Stderr: &w})
			if text, err := joined(&o, &w, join, err); err != nil || !strings.Contains(text.(string), "has already run") {
				t.Errorf("attached start of an ended exec: %v, %q", err, text)
			}
		}
		none := strings.Repeat("0", 64)
		expect("start of no exec", c.StartExecDetached(ctx, none), ErrNoSuchExec)
		expect("attached start of no exec", errOf(c.StartExec(ctx, none, streams)), ErrNoSuchExec)
		expect("inspect of no exec", errOf(c.InspectExec(ctx, none)), ErrNoSuchExec)
		expect("exec in no container", errOf(c.CreateExec(ctx, testName(), ExecConfig{Cmd: []string{"true"}})), ErrNoSuchContainer)

		if err := c.PauseContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		expect("exec in a paused container", errOf(c.CreateExec(ctx, id, ExecConfig{Cmd: []string{"true"}})), ErrConflict)
		expect("start in a paused container", c.StartExecDetached(ctx, fresh), ErrConflict)
		expect("attached start in a paused container", errOf(c.StartExec(ctx, fresh, streams)), ErrConflict)
		if err := c.UnpauseContainer(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := c.StopContainer(ctx, id, StopOptions{Time: new(int)}); err != nil {
			t.Fatal(err)
		}
		expect("exec in an ended container", errOf(c.CreateExec(ctx, id, ExecConfig{Cmd: []string{"true"}})), ErrConflict)
		ended := ErrNoSuchExec
		if v.Podman {
			ended = ErrConflict
		}
		expect("start in an ended container", c.StartExecDetached(ctx, fresh), ended)
		expect("attached start in an ended container", errOf(c.StartExec(ctx, fresh, streams)), ended)
	})
}

// awaitExec waits until a command has ended: its exit code may come behind its
// output.
func awaitExec(t *testing.T, ctx context.Context, c *Client, id string) Exec {
	t.Helper()
	for {
		e, err := c.InspectExec(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Running {
			return e
		}
		time.Sleep(20 * time.Millisecond) // nothing announces it
	}
}

// Cancelling ends our part of an exec, whatever it does.
func TestRealExecCancel(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		id := startReal(t, ctx, c)
		exec, err := c.CreateExec(ctx, id, ExecConfig{Cmd: []string{"sleep", "600"}, AttachStdin: true, AttachStdout: true})
		if err != nil {
			t.Fatal(err)
		}
		callCtx, cancel := context.WithCancel(ctx)
		stdin, _ := io.Pipe() // nothing comes, and it does not end
		join, err := c.StartExec(callCtx, exec, AttachOptions{Stdin: stdin, Stdout: &bytes.Buffer{}})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := join(); err != context.Canceled {
			t.Error(err)
		}
	})
}
