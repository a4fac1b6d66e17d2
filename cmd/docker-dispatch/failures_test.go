package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ticking is a script that writes its program's number, then n numbered lines, ten a second.
func ticking(n int) string {
	return fmt.Sprintf("cat /proc/sys/kernel/random/uuid; i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; sleep 0.1; done", n)
}

// checkTicking checks the output of ticking, as the events of one or more processes have it: put
// together by their offsets it is whole, and comes from one program.
func checkTicking(t *testing.T, n int, events string) {
	t.Helper()
	checkPrograms(t, 1, events)
	var whole []byte
	for line := range strings.Lines(events) {
		var e struct {
			Event, Stream, Data string
			Offset              int
		}
		if json.Unmarshal([]byte(line), &e) != nil || e.Event != "output" || e.Stream != "stdout" {
			continue
		}
		if e.Offset > len(whole) {
			t.Fatalf("a gap in the output: %d bytes, then offset %d", len(whole), e.Offset)
		}
		if e.Offset+len(e.Data) > len(whole) {
			whole = append(whole[:e.Offset], e.Data...)
		}
	}
	_, lines, _ := strings.Cut(string(whole), "\n")
	var want strings.Builder
	for i := range n {
		fmt.Fprintf(&want, "line %d\n", i+1)
	}
	if lines != want.String() {
		t.Errorf("output %q, want %d lines", lines, n)
	}
}

// one returns the only result of a process, and checks that nothing is left.
func (p *process) one() event.Result {
	p.l.t.Helper()
	if code := p.stop(); code != 0 {
		p.l.t.Errorf("exit %d", code)
	}
	if n, dead, left := p.l.broker.Ready(p.l.queue), p.l.broker.Ready(p.l.queue+".dead"), p.l.containers(); n+dead+len(left) != 0 {
		p.l.t.Errorf("%d messages, %d dead letters, containers %+v left", n, dead, left)
	}
	results := p.results()
	if len(results) != 1 {
		p.l.t.Fatalf("results %+v, want one", results)
	}
	return results[0]
}

// TestUpgrade replaces the program under a running job, once politely and once not.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const lines = 40
	l.publish(publication{"id", runMessage("upgrade-"+l.serial, ticking(lines))})
	first := l.start("--format", "json", "--drain", "0s")
	first.await("some output", func(stdout, _ string) bool { return strings.Contains(stdout, `"line 5\n"`) })
	if code := first.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	second := l.start("--format", "json")
	second.await("some output", func(stdout, _ string) bool { return strings.Contains(stdout, `"line 15\n"`) })
	second.cmd.Process.Kill()
	second.wait()
	third := l.start("--format", "json")
	third.done(1)
	if r := third.one(); r.Status != event.Succeeded || !r.Adopted || r.Incomplete || r.StdoutBytes == 0 {
		t.Errorf("result %+v", r)
	}
	checkTicking(t, lines, first.out()+second.out()+third.out())
}

// TestAckTimeout has the broker take the message of a running job back, again and again.
func TestAckTimeout(t *testing.T) {
	const timeout = "application:set_env(rabbit, consumer_timeout, %d)"
	// It is looked at every 2 s, see scripts/services.
	brokertest.Change(t, fmt.Sprintf(timeout, 1000), fmt.Sprintf(timeout, usualAckTimeout))
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, kind)
			const lines = 70
			l.publish(publication{"id", runMessage("timeout-"+l.serial, ticking(lines))},
				publication{"", runMessage("timeout2-"+l.serial, "sleep 7; exit 2")})
			p := l.start("--format", "json")
			p.await("the message comes again", func(_, stderr string) bool {
				return strings.Count(stderr, "message redelivered; joined to its job") >= 4
			})
			p.done(2)
			l.eventually("both are settled", func() bool { return len(l.containers()) == 0 })
			if code := p.stop(); code != 0 {
				t.Errorf("exit %d", code)
			}
			if n, dead, left := l.broker.Ready(l.queue), l.broker.Ready(l.queue+".dead"), l.containers(); n+dead+len(left) != 0 {
				t.Errorf("%d messages, %d dead letters, containers %+v left", n, dead, left)
			}
			results := p.results()
			if len(results) != 2 {
				t.Errorf("results %+v, want two", results)
			}
			var events strings.Builder // of the first job
			for line := range strings.Lines(p.out()) {
				if strings.Contains(line, "timeout-") {
					events.WriteString(line)
				}
			}
			checkTicking(t, lines, events.String())
		})
	}
}

// TestLiveRestore stops, and kills, an engine that leaves its containers running: jobs go on, and are
// followed when it is back.
func TestLiveRestore(t *testing.T) {
	l := newLab(t)
	t.Setenv("SERVICES_LIVE_RESTORE", "1")
	l.server("up", "engine")
	defer func() {
		os.Unsetenv("SERVICES_LIVE_RESTORE")
		l.server("up", "engine")
	}()
	for _, how := range []string{"down", "kill"} {
		name := how + "-" + l.serial
		p := l.start("--format", "json")
		// It is silent while the engine ends, which loses a line that it has read and not yet logged.
		script := strings.Replace(ticking(0), "[ $i -lt 0 ]", "[ ! -e /go ]", 1)
		script = strings.Replace(script, "sleep 0.1", "sleep 0.1; while [ $i = 5 ] && [ ! -e /away ]; do sleep 0.1; done", 1)
		l.publish(publication{name, runMessage(name, script)})
		p.await("some output", func(stdout, _ string) bool { return strings.Contains(stdout, `"line 5\n"`) })
		root := "/proc/" + strings.TrimSpace(l.docker(t, "inspect", "-f", "{{.State.Pid}}", name)) + "/root"
		l.server(how, "engine")
		if err := os.WriteFile(root+"/away", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		l.server("up", "engine")
		p.await("the engine again", func(_, stderr string) bool { return strings.Count(stderr, "engine answers") == 2 })
		l.touch(name, "/go")
		p.done(1)
		r := p.one()
		if r.Status != event.Succeeded || r.Incomplete || r.Adopted {
			t.Errorf("%s: result %+v", how, r)
		}
		checkTicking(t, strings.Count(r.Stdout, "\n")-1, p.out())
	}
}

// leave creates a container as an earlier process of the program would have left it for the message.
func (l *lab) leave(m publication, name string, change func(*dockerapi.ContainerConfig)) (id string) {
	l.t.Helper()
	var body struct{ Cmd []string }
	if err := json.Unmarshal([]byte(m.body), &body); err != nil {
		l.t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(m.body))
	cfg := dockerapi.ContainerConfig{
		Image: "busybox", Cmd: body.Cmd, AttachStdout: true, AttachStderr: true,
		Labels: map[string]string{
			identity.LabelJob: m.id, identity.LabelQueue: l.queue, identity.LabelDigest: hex.EncodeToString(digest[:]), identity.LabelRemove: "true",
		},
	}
	if change != nil {
		change(&cfg)
	}
	created, err := l.engine.CreateContainer(context.Background(), name, cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return created.ID
}

func (l *lab) startContainer(id string) {
	l.t.Helper()
	if err := l.engine.StartContainer(context.Background(), id); err != nil {
		l.t.Fatal(err)
	}
}

// TestIncompleteLog adopts containers whose earlier output cannot be had, or not for sure.
func TestIncompleteLog(t *testing.T) {
	t.Parallel()
	const seen, much = 100, 3000
	for _, tt := range []struct {
		name       string
		log        dockerapi.LogConfig
		lines      int
		rotates    bool
		incomplete bool
	}{
		{"unreadable", dockerapi.LogConfig{Type: "none"}, seen, false, true},
		{"cut by rotation", dockerapi.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "20k", "max-file": "2"}}, much, true, true},
		{"not yet rotated", dockerapi.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"}}, seen, false, false},
		{"rotated within its files", dockerapi.LogConfig{Type: "local", Config: map[string]string{"max-size": "1m", "max-file": "5"}}, much, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if v, err := l.engine.Ping(t.Context()); err != nil {
				t.Fatal(err)
			} else if v.Podman && tt.rotates {
				return // has no driver local, and does not tell how it rotates
			}
			name := "log-" + l.serial
			m := publication{"id", runMessage(name, fmt.Sprintf("seq -w 10001 %d; sleep 1; echo end; exit 5", 10000+tt.lines))}
			id := l.leave(m, name, func(c *dockerapi.ContainerConfig) { c.HostConfig = &dockerapi.HostConfig{LogConfig: &tt.log} })
			early := new(lockedBuffer)
			join, err := l.engine.AttachContainer(t.Context(), id, dockerapi.AttachOptions{Stdout: early})
			if err != nil {
				t.Fatal(err)
			}
			var reading sync.WaitGroup
			reading.Go(func() { join() })
			defer reading.Wait()
			l.startContainer(id)
			l.eventually("what is written before the job is adopted", func() bool { return strings.Contains(early.String(), fmt.Sprint(10000+tt.lines)) })
			l.publish(m)
			p := l.start("--format", "json")
			p.done(1)
			r := p.one()
			if r.ContainerID != id || !r.Adopted || r.ExitCode == nil || *r.ExitCode != 5 || r.Incomplete != tt.incomplete {
				t.Errorf("result %+v; want incomplete %v", r, tt.incomplete)
			}
			if want := int64(tt.lines*6 + 4); (r.StdoutBytes == want) == tt.incomplete {
				t.Errorf("%d bytes of output, of %d; incomplete: %v", r.StdoutBytes, want, r.Incomplete)
			}
		})
	}
}

// TestPausedContainer adopts a container that somebody has paused, and follows it when that is over.
func TestPausedContainer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := "paused-" + l.serial
	m := publication{"id", runMessage(name, ticking(20))}
	id := l.leave(m, name, nil)
	l.startContainer(id)
	l.engineCall(http.MethodPost, "/containers/"+id+"/pause")
	l.publish(m)
	p := l.start("--format", "json")
	p.awaitLog("container of an earlier process adopted")
	l.engineCall(http.MethodPost, "/containers/"+id+"/unpause")
	p.done(1)
	if r := p.one(); r.Status != event.Succeeded || !r.Adopted || r.ContainerID != id {
		t.Errorf("result %+v", r)
	}
	checkTicking(t, 20, p.out())
}

// TestKilled ends a container from outside.
func TestKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := "killed-" + l.serial
	p := l.start("--format", "json")
	l.publish(publication{"id", runMessage(name, "echo begun; sleep 600")})
	p.await("it runs", func(stdout, _ string) bool { return strings.Contains(stdout, "begun") })
	l.engineCall(http.MethodPost, "/containers/"+name+"/kill?signal=KILL")
	p.done(1)
	if r := p.one(); r.Status != event.Failed || r.Reason != event.ReasonKilled || *r.ExitCode != 137 {
		t.Errorf("result %+v", r)
	}
}

// TestFullDisk has no room for a container's log: what it writes comes to us all the same.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	brokertest.Required(t, "DISPATCH_TEST_SERVICES")
	l := newLab(t)
	name := "disk-" + l.serial
	const lines = 20000
	m := publication{"id", runMessage(name, fmt.Sprintf("seq -w 10001 %d; exit 5", 10000+lines))}
	id := l.leave(m, name, nil)
	var info struct{ DockerRootDir string }
	if err := json.Unmarshal(l.engineCall(http.MethodGet, "/info"), &info); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(info.DockerRootDir, "containers", id)
	files := os.DirFS(folder)
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "c"), files); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=48k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) }) // the engine does, when it removes the container
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(copied, "c"))); err != nil {
		t.Fatal(err)
	}
	l.publish(m)
	p := l.start("--format", "json")
	p.done(1)
	r := p.one()
	if r.ContainerID != id || r.ExitCode == nil || *r.ExitCode != 5 || r.StdoutBytes != lines*6 || r.Incomplete {
		t.Errorf("result %+v", r)
	}
}

// TestFullLog has the program's own log on a full disk: jobs do not depend on it.
func TestFullLog(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	c := program(t, "-q", l.queue, "-v", "--format", "json", l.dockerHost, l.amqpURL)
	c.Stderr = full
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	l.publish(publication{"id", runMessage("full-"+l.serial, "echo hi")})
	l.eventually("the job is done", func() bool { return l.broker.Ready(l.queue) == 0 && len(l.containers()) == 0 })
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
}

// TestStopWithStalledBroker stops the program while the broker's side of the network says nothing: it
// ends in order all the same, and leaves what runs to the next one.
func TestStopWithStalledBroker(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	proxy, through := l.proxied(t)
	l.publish(publication{"id", runMessage("stalled-"+l.serial, ticking(20))})
	p := l.start("--format", "json", "--drain", "0s", "="+l.dockerHost, "="+through)
	p.await("some output", func(stdout, _ string) bool { return strings.Contains(stdout, `"line 2\n"`) })
	proxy.Stall(1)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	proxy.Cut() // else the broker holds the message until it misses heartbeats
	next := l.start("--format", "json")
	next.done(1)
	if r := next.one(); r.Status != event.Succeeded || !r.Adopted {
		t.Errorf("result %+v", r)
	}
	checkTicking(t, 20, p.out()+next.out())
}
