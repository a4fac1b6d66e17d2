package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// quickNetwork is the network of most containers: with any other the engine starts itself once more for each, to hand
// the network over.
const quickNetwork = "host"

// runMessage is a foreground run of a shell script. An empty name gives none.
func runMessage(name, script string) string {
	options := map[string]any{"Attach": []string{"STDOUT", "STDERR"}, "Remove": true, "Network": quickNetwork}
	if name != "" {
		options["Name"] = name
	}
	body, err := json.Marshal(map[string]any{
		"Dockercmd": "run", "Image": "busybox", "Cmd": []string{"sh", "-c", script}, "Options": options,
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// pages are README and the pages of the manual, by their file names.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("help", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := make(map[string]string)
	for _, f := range append(files, filepath.Join("..", "..", "README.md")) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(f)] = string(text)
	}
	return pages
}

// messagesIn returns the messages that a page shows.
func messagesIn(page string) (messages []string) {
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1) {
		messages = append(messages, m[1])
	}
	return messages
}

func TestManualMessagesAreValid(t *testing.T) {
	n := 0
	for name, page := range pages(t) {
		if name == "policy.md" {
			continue // it shows policies
		}
		for _, m := range messagesIn(page) {
			n++
			if _, err := message.Decode([]byte(m), 1<<20, false); err != nil {
				t.Errorf("%s: %v:\n%s", name, err, m)
			}
		}
	}
	if n < 8 {
		t.Errorf("%d messages", n)
	}
}

// TestManualListsEveryOption compares the page options with -h.
func TestManualListsEveryOption(t *testing.T) {
	page := pages(t)["options.md"]
	for _, option := range regexp.MustCompile(`--[a-z-]+`).FindAllString(usage, -1) {
		if !strings.Contains(page, "`"+option) {
			t.Errorf("options.md does not explain %s", option)
		}
	}
}

// TestManualNamesTests: the tests that the manual says show a promise exist.
func TestManualNamesTests(t *testing.T) {
	var source []byte
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := os.ReadFile(path)
		source = append(source, file...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for page, text := range pages(t) {
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(text, -1) {
			n++
			if name != "TestName" && !bytes.Contains(source, []byte("func "+name+"(")) {
				t.Errorf("%s names %s, which is no test", page, name)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d names of tests", n)
	}
}

// TestREADMEExamples carries out README's first three messages, over each kind of address.
func TestREADMEExamples(t *testing.T) {
	t.Parallel()
	addresses := map[string][]string{"socket": nil}
	if tcp := os.Getenv("DISPATCH_TEST_TCP"); tcp != "" {
		addresses["tcp"] = []string{"=" + tcp}
		certs := os.Getenv("DISPATCH_TEST_CERTS")
		addresses["tls"] = []string{"--tlsverify", "--tlscacert", certs + "/ca.pem", "--tlscert", certs + "/cert.pem", "--tlskey", certs + "/key.pem", "=" + os.Getenv("DISPATCH_TEST_TLS")}
	} else if os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") != "" {
		t.Fatal("DISPATCH_TEST_TCP not set; run scripts/test")
	}
	for kind, args := range addresses {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			p := l.start(append(args, "--format", "json")...)
			for i, m := range messagesIn(pages(t)["README.md"])[:3] {
				if i == 1 { // a stop that comes before the program has begun ends what is to start it
					p.awaitText("hello")
				}
				l.publish(publication{"", m})
			}
			p.done(3)
			if code := p.stop(); code != 0 {
				t.Errorf("exit %d", code)
			}
			var verbs, statuses []string
			for _, r := range p.results() {
				verbs, statuses = append(verbs, r.Command), append(statuses, string(r.Status))
			}
			slices.Sort(verbs)
			if !slices.Equal(verbs, []string{"remove", "run", "stop"}) || slices.Contains(statuses, "error") {
				t.Errorf("results %q %q", verbs, statuses)
			}
			if !strings.Contains(p.out(), `"Stream":"stdout","Offset":0,"Data":"hello\n"`) {
				t.Error("no output")
			}
			if n := l.broker.Ready(l.queue) + l.broker.Ready(l.queue+".dead") + len(l.containers()); n != 0 {
				t.Errorf("%d messages or containers left", n)
			}
		})
	}
}

// TestManyJobs runs many containers at once; each line must come once, and nothing may be left.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const jobs, lines = 8, 20
	p := l.start("-c", fmt.Sprint(jobs))
	var messages []publication
	for i := range jobs {
		name := fmt.Sprintf("many-%d-%d", os.Getpid(), i)
		id := ""
		if i%2 == 0 {
			id = name // half of them have a message_id, and are settled in the other order
		}
		messages = append(messages, publication{id, runMessage(name, fmt.Sprintf("for n in $(seq %d); do echo %s line $n; echo %s err $n >&2; done", lines, name, name))})
	}
	l.publish(messages...)
	p.done(jobs)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	count := map[string]int{}
	for line := range strings.Lines(p.out()) {
		prefix, text, ok := strings.Cut(line, " | ")
		if !ok || !strings.HasPrefix(text, strings.TrimRight(prefix, " ")+" ") {
			t.Fatalf("lines are mixed: %q", line)
		}
		count[text]++
	}
	if len(count) != jobs*lines*2 {
		t.Errorf("%d different lines, want %d", len(count), jobs*lines*2)
	}
	for text, n := range count {
		if n != 1 {
			t.Errorf("%d times: %s", n, text)
		}
	}
	if n := l.broker.Ready(l.queue) + l.broker.Ready(l.queue+".dead"); n != 0 {
		t.Errorf("%d messages left", n)
	}
	if left := l.containers(); len(left) != 0 {
		t.Errorf("containers left: %v", left)
	}
}

func TestOrderOnOneNameReal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("-c", "2", "--format", "json")
	var messages []publication
	name := fmt.Sprintf("order-%d", os.Getpid())
	for range 3 {
		messages = append(messages,
			publication{"", `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep","600"],"Options":{"Name":"` + name + `"}}`},
			publication{"", `{"Dockercmd":"stop","Container":"` + name + `","Options":{"Time":0}}`},
			publication{"", `{"Dockercmd":"remove","Container":"` + name + `"}`})
	}
	l.publish(messages...)
	p.done(len(messages))
	p.stop()
	for i, r := range p.results() {
		if want := []string{"run", "stop", "remove"}[i%3]; r.Command != want || r.Status != event.Succeeded {
			t.Errorf("result %d: %s %s %s; want %s succeeded", i, r.Command, r.Status, r.Error, want)
		}
	}
}

func TestStopOvertakesWaitingRuns(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("-c", "1", "--ahead", "4")
	long, next := fmt.Sprintf("long-%d", os.Getpid()), fmt.Sprintf("next-%d", os.Getpid())
	l.publish(publication{"", runMessage(long, "exec sleep 600")}, publication{"", runMessage(next, "echo my turn")},
		publication{"", `{"Dockercmd":"stop","Container":"` + long + `","Options":{"Time":0}}`})
	p.awaitLine(fmt.Sprintf("%-20s | my turn", next))
	p.stop()
}

// TestBadMessages: whatever is wrong with a message, it is kept with its reason, and the daemon goes on.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--max-message", "300", "--pull", "never")
	other := fmt.Sprintf("taken-%d", os.Getpid())
	id, err := l.engine.CreateContainer(context.Background(), other, dockerapi.ContainerConfig{Image: "busybox", Labels: map[string]string{identity.LabelQueue: l.queue}})
	if err != nil {
		t.Fatal(err)
	}
	_ = id
	bad := []struct{ body, reason, text string }{
		{"", "invalid-message", "empty"},
		{"rubbish", "invalid-message", "not JSON: line 1, column 1"},
		{"\x00\xff\xfe", "invalid-message", "not UTF-8"},
		{`{"Dockercmd":"run"`, "invalid-message", "unexpected end"},
		{`[1]`, "invalid-message", "expected an object"},
		{`{"Dockercmd":"dance"}`, "invalid-message", `unknown command "dance"`},
		{`{"Dockercmd":"run","Image":"busybox","Options":{"Nmae":"x"}}`, "invalid-message", `Options: unknown key "Nmae"; did you mean "Name"?`},
		{`{"Dockercmd":"stop","Container":"x y"}`, "invalid-message", "Container"},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["` + strings.Repeat("x", 300) + `"]}`, "invalid-message", "--max-message"},
		{`{"Dockercmd":"run","Image":"Not An Image"}`, "bad-request", "reference"},
		{`{"Dockercmd":"run","Image":"no/such:image"}`, "no-such-image", "no/such:image"},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["/no/such/program"]}`, "command-not-found", "/no/such/program"},
		{`{"Dockercmd":"run","Image":"busybox","Cmd":["/etc/passwd"]}`, "command-not-executable", "/etc/passwd"},
		{`{"Dockercmd":"run","Image":"busybox","Options":{"Name":"` + other + `"}}`, "name-conflict", other},
	}
	for i, b := range bad {
		l.publish(publication{fmt.Sprintf("bad-%d", i), b.body})
	}
	l.publish(publication{"", runMessage("", "echo still alive")})
	p.await("the good message", func(stdout, _ string) bool { return strings.Contains(stdout, "| still alive\n") })
	p.done(len(bad) + 1)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	kept := l.broker.Take(l.queue + ".dead")
	if len(kept) != len(bad) || l.broker.Ready(l.queue) != 0 {
		t.Errorf("%d dead letters, want %d; %d left in the queue", len(kept), len(bad), l.broker.Ready(l.queue))
	}
	for _, d := range kept {
		var i int
		if _, err := fmt.Sscanf(d.MessageId, "bad-%d", &i); err != nil {
			t.Fatalf("message_id %q", d.MessageId)
		}
		want := bad[i]
		reason, _ := d.Headers["x-dispatch-reason"].(string)
		text, _ := d.Headers["x-dispatch-error"].(string)
		if string(d.Body) != want.body || reason != want.reason || !strings.Contains(text, want.text) || d.Headers["x-dispatch-time"] == nil || d.Headers["x-dispatch-host"] == nil {
			t.Errorf("%.100q: kept as %.100q, reason %q, error %q; want reason %q, error with %q", want.body, d.Body, reason, text, want.reason, want.text)
		}
	}
	if left := l.containers(); len(left) != 1 {
		t.Errorf("containers left besides ours: %v", left)
	}
}

func TestMissingImageIsPulled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start()
	l.publish(publication{"m", `{"Dockercmd":"run","Image":"127.0.0.1:1/no/such:image","Cmd":["true"],"Options":{"Remove":true}}`})
	p.done(1)
	p.stop()
	kept := l.broker.Take(l.queue + ".dead")
	if len(kept) != 1 || kept[0].Headers["x-dispatch-reason"] != "engine" || !strings.Contains(fmt.Sprint(kept[0].Headers["x-dispatch-error"]), "127.0.0.1:1") {
		t.Errorf("dead letters %v", kept)
	}
}

// TestOutput: binary bytes, a line of 10 MB, a last line without newline, both streams; in both formats.
func TestOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := fmt.Sprintf("output-%d", os.Getpid())
	script := `printf 'a\000b\377\n'; head -c 2000000 /dev/zero | tr '\0' x; echo; echo oops >&2; printf 'no newline'`
	want := "a\x00b\xff\n" + strings.Repeat("x", 2000000) + "\nno newline"

	p := l.start()
	l.publish(publication{"", runMessage(name, script)})
	p.done(1)
	p.stop()
	var text strings.Builder
	prefix := fmt.Sprintf("%-20s | ", name)
	lines := 0
	for line := range strings.Lines(p.out()) {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			t.Fatalf("line without prefix: %.50q", line)
		}
		if rest != "oops\n" {
			text.WriteString(rest)
		}
		lines++
	}
	if shown := strings.Replace(want, "a\x00b\xff", `a\x00b\xff`, 1); text.String() != shown+"\n" || lines != 4 {
		t.Errorf("text: %d bytes in %d lines, want %d in 4", text.Len(), lines, len(want)+1)
	}

	p = l.start("--format", "json", "--capture", "4")
	l.publish(publication{"", runMessage(name, script)})
	p.done(1)
	p.stop()
	var got bytes.Buffer
	var kinds []string
	for line := range strings.Lines(p.out()) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatalf("%v: %.100q", err, line)
		}
		kind := "result"
		switch {
		case e.Started != nil:
			kind = "started"
		case e.Output != nil:
			kind = "output"
		}
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
		if o := e.Output; o != nil && o.Stream == "stdout" {
			if int(o.Offset) != got.Len() {
				t.Fatalf("offset %d after %d bytes", o.Offset, got.Len())
			}
			got.Write(o.Data)
		}
	}
	if got.String() != want {
		t.Errorf("json: %d bytes, want %d", got.Len(), len(want))
	}
	if !slices.Equal(kinds, []string{"started", "output", "result"}) {
		t.Errorf("events come as %q", kinds)
	}
	r := p.results()[0]
	if r.Stdout != "line" || r.Stderr != "oops\n"[1:] || r.StdoutBytes != int64(len(want)) || r.StderrBytes != 5 || r.Incomplete {
		t.Errorf("result %+v", r)
	}
}

func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := filepath.Join(t.TempDir(), "docker.sock")
	for _, tt := range []struct {
		name              string
		args              []string
		publication, hint string
	}{
		{"wrong password", []string{"=" + l.dockerHost, "=" + l.password("wr0ng")}, "login refused", "check user and password"},
		{"missing queue", []string{"-q", "no-such-queue"}, `no such queue: "no-such-queue"`, "--declare"},
		{"missing vhost", []string{"=" + l.dockerHost, "=" + strings.TrimSuffix(l.amqpURL, "/") + "/nosuch"}, "virtual host", "virtual host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := l.start(tt.args...)
			if code := p.wait(); code != ui.ExitUsage {
				t.Errorf("exit %d", code)
			}
			lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
			if len(lines) < 2 {
				t.Fatalf("stderr %q", lines)
			}
			message, hint := lines[len(lines)-2], lines[len(lines)-1]
			if !strings.HasPrefix(message, "docker-dispatch: error: ") || !strings.Contains(message, tt.publication) || !strings.HasPrefix(hint, "hint: ") || !strings.Contains(hint, tt.hint) {
				t.Errorf("%s\n%s", message, hint)
			}
			if strings.Contains(p.stderr.String(), "wr0ng") {
				t.Error("the password shows")
			}
		})
	}
	t.Run("no permission on the socket", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("only root can become somebody else")
		}
		ln, err := net.Listen("unix", sock)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if err := os.Chmod(sock, 0o600); err != nil {
			t.Fatal(err)
		}
		for dir := filepath.Dir(sock); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o755)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(filepath.Dir(sock), "docker-dispatch")
		// By another process: a child that a test beside this one starts would hold the file open for writing.
		if out, err := exec.Command("cp", exe, copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		c := exec.Command(copied, "-q", "x", sock, l.amqpURL)
		c.Env = []string{asProgram + "=1", "GORACE=atexit_sleep_ms=0"}
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		_, stderr, code := outcome(t, c)
		if code != ui.ExitUsage || !strings.Contains(stderr, "permission denied") || !strings.Contains(stderr, "\nhint: ") {
			t.Errorf("exit %d\n%s", code, stderr)
		}
	})
}

// TestWaitsForServers starts the program before its servers are there.
func TestWaitsForServers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := filepath.Join(t.TempDir(), "docker.sock")
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := port.Addr().String()
	port.Close() // nobody listens there now
	broker := regexp.MustCompile(`@[^/]+`).ReplaceAllString(l.amqpURL, "@"+at)
	p := l.start("="+sock, "="+broker)
	l.publish(publication{"", runMessage("", "echo at last")})
	p.awaitLog("engine does not answer")
	p.awaitLog("broker unreachable")
	host, err := dockerapi.ParseHost(l.dockerHost)
	if err != nil || !host.IsUnix() {
		t.Skip("needs an engine on a socket")
	}
	brokertest.ProxyTo(t, "unix", sock, "unix", strings.TrimPrefix(l.dockerHost, "unix://"))
	brokertest.ProxyTo(t, "tcp", at, "tcp", regexp.MustCompile(`@([^/]+)`).FindStringSubmatch(l.amqpURL)[1])
	p.await("the job", func(stdout, _ string) bool { return strings.Contains(stdout, "| at last\n") })
	p.done(1)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if n := strings.Count(p.stderr.String(), "engine does not answer"); n != 1 {
		t.Errorf("the engine's absence was logged %d times", n)
	}
	if n := strings.Count(p.stderr.String(), "broker unreachable"); n != 1 {
		t.Errorf("the broker's absence was logged %d times", n)
	}
}

// TestStopLeavesContainers stops the program while a job runs and another waits; the next start
// goes on with both, and the container has run once.
func TestStopLeavesContainers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := fmt.Sprintf("stays-%d", os.Getpid())
	p := l.start("-c", "1", "--drain", "0s")
	l.publish(
		publication{"first", runMessage(name, `echo started; while ! [ -e /go ]; do sleep 0.1; done; echo ended`)},
		publication{"second", runMessage("", "echo second")})
	p.awaitLine(fmt.Sprintf("%-20s | started", name))
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	c, err := l.engine.InspectContainer(context.Background(), name)
	if err != nil || !c.State.Running {
		t.Fatalf("the container does not run on: %+v, %v", c.State, err)
	}
	l.eventually("both messages are back in the queue", func() bool { return l.broker.Ready(l.queue) == 2 })

	p = l.start("-c", "1", "--format", "json")
	p.await("the adoption", func(stdout, _ string) bool { return strings.Contains(stdout, `"Data":"started\n"`) })
	l.touch(name, "/go")
	p.done(2)
	p.stop()
	first := p.results()[0]
	if first.Job != "first" || !first.Adopted || first.Status != event.Succeeded || first.Stdout != "started\nended\n" || first.ContainerID != c.ID {
		t.Errorf("result %+v", first)
	}
	if n := l.broker.Ready(l.queue) + l.broker.Ready(l.queue+".dead") + len(l.containers()); n != 0 {
		t.Errorf("%d messages or containers left", n)
	}
}

// touch makes a file in a running container. One that waits for the file may end, and touch with it, before that has
// exited.
func (l *lab) touch(container, file string) {
	l.t.Helper()
	c := exec.Command("docker", "exec", container, "touch", file)
	c.Env = append(os.Environ(), "DOCKER_HOST="+l.dockerHost)
	if out, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != 137 {
		l.t.Fatalf("%v: %s", err, out)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--drain", "1h")
	l.publish(publication{"", runMessage("", "echo started; exec sleep 600")})
	p.await("start", func(stdout, _ string) bool { return strings.Contains(stdout, "| started\n") })
	p.cmd.Process.Signal(os.Interrupt)
	p.awaitLog("stopping")
	l.eventually("the second signal ends it", func() bool {
		p.cmd.Process.Signal(os.Interrupt) // those that come with the first count as one with it
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	})
	if code := p.wait(); code != ui.ExitFailed {
		t.Errorf("exit %d", code)
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, tt := range []struct {
		name, in string
		code     int
		want     []string
	}{
		{"two messages", runMessage("", "echo one") + runMessage("", "echo two") + "\n", 0, []string{"| one\n", "| two\n"}},
		{"a failure", runMessage("", "exit 3"), 1, []string{"| Error: exited with code 3\n"}},
		{"rubbish between", runMessage("", "echo one") + "\nrubbish\n" + runMessage("", "echo two"), 1, []string{"| one\n", "| two\n", "| Error: not JSON"}},
		{"stopped by another", fmt.Sprintf(`{"Dockercmd":"run","Image":"busybox","Cmd":["sleep","1d"],"Options":{"Name":"%[1]s","Attach":["STDOUT"],"Remove":true}}
			{"Dockercmd":"kill","Container":"%[1]s"}`, "stopped-"+l.serial), 0, []string{"| stopped as a message asked (exit code 137)\n"}},
		{"cut short", `{"Dockercmd":"run","Image":"busy`, 1, []string{"| Error: not JSON"}},
		{"too long", `{"Dockercmd":"` + strings.Repeat("x", 2<<20) + `"}`, 1, []string{"--max-message"}},
		{"nothing", "", 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := program(t, "--policy", trusting(t), l.dockerHost, "-")
			c.Stdin = strings.NewReader(tt.in)
			stdout, stderr, code := outcome(t, c)
			if code != tt.code {
				t.Errorf("exit %d, want %d\n%s", code, tt.code, stderr)
			}
			for _, w := range tt.want {
				if !strings.Contains(stdout, w) {
					t.Errorf("stdout lacks %q:\n%s", w, stdout)
				}
			}
		})
	}
}

// underLoad keeps jobs running while fault is done to a server, and expects every job to end once,
// with its whole output, and nothing left.
func underLoad(t *testing.T, fault func(l *lab)) {
	l := newLab(t)
	brokertest.Required(t, "DISPATCH_TEST_SERVICES")
	p := l.start("-c", "3", "--format", "json")
	const jobs = 6
	send := func(from, to int) {
		for i := from; i < to; i++ {
			name := fmt.Sprintf("load-%d-%d", os.Getpid(), i)
			l.publish(publication{name, runMessage(name, "echo begin; sleep 1; echo end")})
		}
	}
	send(0, jobs/2)
	p.await("some jobs run", func(stdout, _ string) bool { return strings.Count(stdout, `"begin\n"`) >= 3 })
	fault(l)
	send(jobs/2, jobs)
	p.done(jobs)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	seen, unknown := map[string]int{}, 0
	for _, r := range p.results() {
		seen[r.Job]++
		switch {
		case r.Status == event.Succeeded && r.Stdout == "begin\nend\n" && !r.Incomplete:
		case r.Status == event.Succeeded && r.Incomplete && l.killed: // what it wrote while the engine was down
		case r.Status == event.Failed && r.ExitCode != nil && *r.ExitCode == 137 && l.killed: // with its engine
		case r.Status == event.Errored && r.Reason == event.ReasonEngine && l.killed: // nobody knows its exit
			unknown++
		default:
			t.Errorf("result %+v", r)
		}
	}
	if len(seen) != jobs {
		t.Errorf("%d jobs ended, want %d", len(seen), jobs)
	}
	for job, n := range seen {
		if n != 1 {
			t.Errorf("%s ended %d times", job, n)
		}
	}
	started := map[string]int{}
	for line := range strings.Lines(p.out()) {
		var e struct{ Event, Job string }
		json.Unmarshal([]byte(line), &e)
		if e.Event == "started" {
			started[e.Job]++
		}
	}
	for job, n := range started {
		if n != 1 {
			t.Errorf("%s started %d times", job, n)
		}
	}
	if n, dead := l.broker.Ready(l.queue), l.broker.Ready(l.queue+".dead"); n != 0 || dead != unknown {
		t.Errorf("%d messages left, %d dead letters, want 0 and %d", n, dead, unknown)
	}
	left := l.containers()
	if len(left) == 0 {
		return
	}
	// A job may have ended right before the fault, and its ack be lost with the broker: the next start knows more.
	if !strings.Contains(p.log(), "containers of finished jobs were not removed") {
		t.Errorf("containers left: %v\n%s", left, p.log())
	}
	next := l.start("--sweep-after", "1s")
	l.eventually("the next start removes what was left", func() bool { return len(l.containers()) == 0 })
	next.stop()
}

func TestEngineRestartUnderLoad(t *testing.T) {
	underLoad(t, func(l *lab) {
		l.server("down", "engine")
		l.server("up", "engine")
	})
}

func TestEngineKilledUnderLoad(t *testing.T) {
	underLoad(t, func(l *lab) {
		l.killed = true
		l.server("kill", "engine")
		l.server("up", "engine")
	})
}

// TestSplitsStdin feeds streams to the splitter of stdin.
func TestSplitsStdin(t *testing.T) {
	for in, want := range map[string][]string{
		`{"a":1}{"b":"}"} {"c":"\"}"}`: {`{"a":1}`, `{"b":"}"}`, `{"c":"\"}"}`},
		"{\n\"a\": [1, {}]\n}\n":       {"{\n\"a\": [1, {}]\n}"},
		"rubbish\n{}":                  {"rubbish", "{}"},
		"[1]\n{}":                      {"[1]", "{}"},
		"{} trailing\n{}":              {"{}", "trailing", "{}"},
		`{"a":`:                        {`{"a":`},
		" \r\n\t":                      nil,
		"\ufeff{}\n\ufeff{}":           {"{}", "{}"},
		"{\"a\n{\"b\":{}}":             {"{\"a", `{"b":{}}`},
	} {
		s := newStdinSource(strings.NewReader(in), nil, 1, 100)
		messages := make(chan []byte, 10)
		s.read(t.Context(), messages)
		var got []string
		for m := range messages {
			got = append(got, string(m))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestTextForgesNothing(t *testing.T) {
	var b bytes.Buffer
	r := &textReporter{out: &out{w: &b}}
	r.Result(event.Result{Job: "a\nfake | line\x1b[31m", Error: "bad\r\nthing\x1b[0m\u202e"})
	if got, want := b.String(), "a?fake | line?[31m   | Error: bad thing?[0m?\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReaderGoes closes the program's stdout: it stops in order, and leaves the containers and messages, also
// of a job that ends by then: nobody has seen that.
func TestReaderGoes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := fmt.Sprintf("reader-%d", os.Getpid())
	c := program(t, "--policy", trusting(t), "-q", l.queue, l.dockerHost, l.amqpURL)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	l.publish(publication{"m", runMessage(name, "echo one; while :; do echo more; sleep 0.1; done")})
	l.publish(publication{"ends", runMessage(name+"-ends", "echo one; sleep 1; echo two; exit 3")})
	buf := make([]byte, 100)
	if _, err := stdout.Read(buf); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != ui.ExitFailed || !strings.Contains(stderr.String(), "standard output was closed") {
		t.Errorf("exit %d\n%s", code, &stderr)
	}
	if c, err := l.engine.InspectContainer(context.Background(), name); err != nil || !c.State.Running {
		t.Errorf("the container does not run on: %v", err)
	}
	l.eventually("both messages are back", func() bool { return l.broker.Ready(l.queue) == 2 })
	next := l.start("--format", "json", "--drain", "0s")
	next.done(1)
	if r := next.results()[0]; r.Job != "ends" || !r.Adopted || r.ExitCode == nil || *r.ExitCode != 3 || r.Stdout != "one\ntwo\n" {
		t.Errorf("result %+v", r)
	}
	next.stop()
}

// TestStopWithStuckReader stops the program while nobody reads its output.
func TestStopWithStuckReader(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := program(t, "--policy", trusting(t), "-q", l.queue, "--drain", "0s", l.dockerHost, l.amqpURL)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Stdout = w
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer c.Process.Kill()
	l.publish(publication{"m", runMessage("", "yes many many words | head -c 8000000; sleep 600")})
	last := 0
	l.eventually("the pipe is full, and the program waits for its reader", func() bool {
		before := last
		last = unread(t, r)
		return last > 1<<15 && last == before
	})
	c.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { c.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	if code := c.ProcessState.ExitCode(); code != ui.ExitFailed || !strings.Contains(stderr.String(), "the reader of standard output does not read") {
		t.Errorf("exit %d\n%s", code, &stderr)
	}
}

// unread is how many bytes stand in a pipe.
func unread(t *testing.T, r *os.File) int {
	t.Helper()
	var n int32
	if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, r.Fd(), syscall.TIOCINQ, uintptr(unsafe.Pointer(&n))); err != 0 {
		t.Fatal(err)
	}
	return int(n)
}

// TestStdinKeepsOrder gives messages back to stdin's source; they must come again in their order.
func TestStdinKeepsOrder(t *testing.T) {
	gate := new(intake.Gate)
	gate.Set(true)
	s := newStdinSource(strings.NewReader(`{"n":1}{"n":2}{"n":3}{"n":4}`), gate, 4, 100)
	jobs := make(chan intake.Job)
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context(), jobs, make(chan intake.Job)) }()
	var first []intake.Job
	for range 3 {
		first = append(first, <-jobs)
	}
	gate.Set(false)
	for _, i := range []int{1, 0, 2} {
		first[i].Settle(t.Context(), intake.Requeue, event.Result{})
	}
	gate.Set(true)
	var got []string
	for j := range jobs {
		got = append(got, string(j.Body))
		j.Settle(t.Context(), intake.Ack, event.Result{Status: event.Succeeded})
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
