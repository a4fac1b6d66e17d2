package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// resultOf waits for the result of a job.
func resultOf(t *testing.T, p *process, job string) event.Result {
	t.Helper()
	var found event.Result
	p.await("the result of "+job, func(stdout, _ string) bool {
		results := resultsIn(t, stdout)
		i := slices.IndexFunc(results, func(r event.Result) bool { return r.Job == job })
		if i >= 0 {
			found = results[i]
		}
		return i >= 0
	})
	return found
}

func TestEveryCommand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--format", "json")
	l.everyCommand(p)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// everyCommand leads one container through its life by messages, to a daemon that prints JSON and has no other jobs yet. It
// returns the number of messages.
func (l *lab) everyCommand(p *process) (n int) {
	t := l.t
	t.Helper()
	name := "life-" + l.serial
	do := func(body string) event.Result {
		t.Helper()
		n++
		id := fmt.Sprintf("%d-%s", n, l.serial)
		l.publish(publication{id, strings.ReplaceAll(body, "NAME", name)})
		p.done(n)
		return resultOf(t, p, id)
	}
	succeeds := func(body string) event.Result {
		t.Helper()
		r := do(body)
		if r.Status != event.Succeeded {
			t.Fatalf("%s: %+v", body, r)
		}
		return r
	}
	state := func(want string) {
		t.Helper()
		c, err := l.engine.InspectContainer(t.Context(), name)
		if err != nil || c.State.Status != want {
			t.Errorf("the container is %s, want %s: %v", c.State.Status, want, err)
		}
	}
	succeeds(`{"Dockercmd":"create","Image":"busybox","Cmd":["sh","-c","echo began; trap 'exit 5' TERM; trap 'echo hup' HUP; while :; do sleep 0.1; done"],"Options":{"Name":"NAME","Env":{"WHO":"me"}}}`)
	state("created")
	succeeds(`{"Dockercmd":"start","Container":"NAME"}`)
	state("running")
	if r := succeeds(`{"Dockercmd":"exec","Container":"NAME","Cmd":["sh","-c","echo $WHO $HERE; pwd; id -u; cat; echo err >&2"],"Options":{"Env":["HERE=there"],"Workdir":"/tmp","User":"65534","Stdin":"from stdin\n"}}`); r.Stdout != "me there\n/tmp\n65534\nfrom stdin\n" || r.Stderr != "err\n" || *r.ExitCode != 0 {
		t.Errorf("exec: %+v", r)
	}
	if r := do(`{"Dockercmd":"exec","Container":"NAME","Cmd":["sh","-c","exit 9"]}`); r.Status != event.Failed || r.Reason != event.ReasonExit || *r.ExitCode != 9 {
		t.Errorf("exec: %+v", r)
	}
	if r := do(`{"Dockercmd":"exec","Container":"NAME","Cmd":["nosuch"]}`); r.Status == event.Succeeded || r.ExitCode == nil || *r.ExitCode != 126 && *r.ExitCode != 127 {
		t.Errorf("exec of what is not there: %+v", r)
	}
	succeeds(`{"Dockercmd":"exec","Container":"NAME","Cmd":["touch","/tmp/detached"],"Options":{"Detach":true}}`)
	l.eventually("the detached program has run", func() bool {
		return l.dockerCommand("exec", name, "test", "-e", "/tmp/detached").Run() == nil
	})
	succeeds(`{"Dockercmd":"kill","Container":"NAME","Options":{"Signal":"HUP"}}`)
	succeeds(`{"Dockercmd":"pause","Container":"NAME"}`)
	state("paused")
	if r := do(`{"Dockercmd":"pause","Container":"NAME"}`); r.Reason != event.ReasonConflict {
		t.Errorf("paused twice: %+v", r)
	}
	succeeds(`{"Dockercmd":"unpause","Container":"NAME"}`)
	state("running")
	if r := succeeds(`{"Dockercmd":"logs","Container":"NAME","Options":{"Tail":1,"Since":"1h"}}`); r.Stdout != "hup\n" {
		t.Errorf("logs: %+v", r)
	}
	var inspected []struct{ Name string }
	if r := succeeds(`{"Dockercmd":"inspect","Container":"NAME"}`); json.Unmarshal([]byte(r.Stdout), &inspected) != nil || len(inspected) != 1 || inspected[0].Name != "/"+name {
		t.Errorf("inspect: %+v", r)
	}
	succeeds(`{"Dockercmd":"rename","Container":"NAME","NewName":"NAME-other"}`)
	succeeds(`{"Dockercmd":"rename","Container":"NAME-other","NewName":"NAME"}`)
	succeeds(`{"Dockercmd":"restart","Container":"NAME","Options":{"Time":5}}`)
	state("running")
	n++
	l.publish(publication{"wait-" + l.serial, fmt.Sprintf(`{"Dockercmd":"wait","Container":%q}`, name)})
	succeeds(fmt.Sprintf(`{"Dockercmd":"stop","Container":%q}`, name))
	if r := resultOf(t, p, "wait-"+l.serial); r.Status != event.Succeeded || *r.ExitCode != 5 {
		t.Errorf("wait: %+v", r)
	}
	state("exited")
	succeeds(`{"Dockercmd":"remove","Container":"NAME"}`)
	return n
}

// TestInput gives programs their standard input: text, bytes, much, and nothing.
func TestInput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	much := make([]byte, 600_000)
	rand.Read(much)
	messages := map[string]string{
		"text":  `"Cmd":["sort"],"Options":{"Attach":["STDIN","STDOUT"],"Remove":true,"Stdin":"b\na\n"}`,
		"empty": `"Cmd":["cat"],"Options":{"Attach":["STDIN","STDOUT"],"Remove":true}`,
		"much":  `"Cmd":["sha256sum"],"Options":{"Attach":["STDIN","STDOUT"],"Remove":true,"StdinBase64":"` + base64.StdEncoding.EncodeToString(much) + `"}`,
		"tty":   `"Cmd":["sh","-c","test -t 1 && echo a terminal; echo err >&2"],"Options":{"Attach":["STDOUT","STDERR"],"Remove":true,"Tty":true}`,
		"early": `"Cmd":["true"],"Options":{"Attach":["STDIN","STDOUT"],"Remove":true,"StdinBase64":"` + base64.StdEncoding.EncodeToString(much) + `"}`, // ends before its input
	}
	sum := exec.Command("sha256sum")
	sum.Stdin = bytes.NewReader(much)
	digest, err := sum.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"text": "a\nb\n", "empty": "", "much": string(digest), "tty": "a terminal\r\nerr\r\n", "early": ""}
	addresses := map[string][]string{"socket": nil}
	if tcp := os.Getenv("DISPATCH_TEST_TCP"); tcp != "" {
		certs := os.Getenv("DISPATCH_TEST_CERTS")
		addresses["tcp"] = []string{"=" + tcp}
		addresses["tls"] = []string{"--tlsverify", "--tlscacert", certs + "/ca.pem", "--tlscert", certs + "/cert.pem", "--tlskey", certs + "/key.pem", "=" + os.Getenv("DISPATCH_TEST_TLS")}
	}
	for kind, args := range addresses {
		t.Run(kind, func(t *testing.T) {
			p := l.start(append(args, "--format", "json")...)
			messages := messages
			if kind != "socket" { // which differ in the bytes' way only
				messages = map[string]string{"much": messages["much"]}
			}
			for id, m := range messages {
				l.publish(publication{id + kind + l.serial, `{"Dockercmd":"run","Image":"busybox",` + m + `}`})
			}
			p.done(len(messages))
			for id := range messages {
				if r := resultOf(t, p, id+kind+l.serial); r.Status != event.Succeeded || r.Stdout != want[id] {
					t.Errorf("%s: %+v, want %q", id, r, want[id])
				}
			}
			p.stop()
		})
	}
}

// TestTimeLimit: a program gets TERM when its time is over, and KILL when its container's stop timeout is.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--format", "json")
	l.publish(publication{"id", `{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","trap 'echo term' TERM; while :; do sleep 0.1; done"],"Options":{"Attach":"STDOUT","Remove":true,"Timeout":"1s","StopTimeout":1}}`})
	began := time.Now()
	p.done(1)
	took := time.Since(began)
	if r := resultOf(t, p, "id"); r.Reason != event.ReasonTimeout || r.Stdout != "term\n" || *r.ExitCode != 137 || took < 2*time.Second {
		t.Errorf("after %v: %+v", took, r)
	}
	p.stop()
}

// TestRestartPolicy: a container that the engine starts again is done when it is not any more, with the output of
// all its starts.
func TestRestartPolicy(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--format", "json")
	l.publish(publication{"id", `{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","date +%s.%N; sleep 0.2; exit 3"],"Options":{"Attach":"STDOUT","Restart":"on-failure:3"}}`})
	p.done(1)
	if r := resultOf(t, p, "id"); r.Status != event.Failed || *r.ExitCode != 3 || r.Incomplete || strings.Count(r.Stdout, "\n") != 4 {
		t.Errorf("result %+v", r)
	}
	p.stop()
}

// TestRetries: what fails is tried again after its delay, from the broker and from stdin, until it succeeds or
// its attempts are used up.
func TestRetries(t *testing.T) {
	t.Parallel()
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","echo $DISPATCH_ATTEMPT; test $DISPATCH_ATTEMPT -ge %d"],"Options":{"Attach":"STDOUT","Remove":true,"Retry":{"Max":2,"Delay":"1s"}}}`
	check := func(t *testing.T, results []event.Result, attempts int) {
		t.Helper()
		if len(results) != attempts {
			t.Fatalf("%d results, want %d: %+v", len(results), attempts, results)
		}
		for i, r := range results {
			last := i == attempts-1
			if r.Attempt != i+1 || r.Retrying == last || r.Stdout != fmt.Sprintf("%d\n", i+1) || r.Job != results[0].Job {
				t.Errorf("attempt %d: %+v", i+1, r)
			}
			if i > 0 && r.StartedAt.Sub(*results[i-1].FinishedAt) < time.Second {
				t.Errorf("attempt %d: began %v after the end of the one before", i+1, r.StartedAt.Sub(*results[i-1].FinishedAt))
			}
		}
	}
	for _, kind := range []string{"quorum"} { // TestAgain has both
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, kind)
			p := l.start("--format", "json")
			l.publish(publication{"ends", fmt.Sprintf(body, 9)})
			p.done(3)
			check(t, p.results(), 3)
			l.eventually("the message is a dead letter", func() bool { return l.broker.Ready(l.queue+".dead") == 1 })
			dead := l.broker.Take(l.queue + ".dead")
			if len(dead) != 1 || dead[0].MessageId != "ends" || dead[0].Headers["x-dispatch-reason"] != "exit" {
				t.Errorf("dead letters %+v", dead)
			}
			l.publish(publication{"", fmt.Sprintf(body, 2)})
			p.done(5)
			check(t, p.results()[3:], 2)
			p.stop()
			l.deleteQueues(".retry.1", ".retry.2")
		})
	}
	t.Run("stdin", func(t *testing.T) {
		t.Parallel()
		l := newLab(t)
		c := program(t, "--format", "json", l.dockerHost, "-")
		c.Stdin = strings.NewReader(fmt.Sprintf(body, 2))
		out, err := c.Output()
		if err != nil {
			t.Errorf("%v", err)
		}
		check(t, resultsIn(t, string(out)), 2)
	})
}
