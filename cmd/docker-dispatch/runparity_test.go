package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// A commandRow is a command line that is given to docker run and to docker-dispatch run.
type commandRow struct {
	args  []string
	stdin string // without it standard input is empty
	newer bool   // the docker CLI has had these words since version 28
}

// allBytes writes each byte once.
const allBytes = `printf "$(printf '\\%03o' $(seq 0 255))"`

// commandRows are the commands. OTHER stands for a container's name, DIR for a folder with the files that they name.
var commandRows = []commandRow{
	{args: []string{"--rm", "busybox", "sh", "-c", allBytes + "; cat /bin/busybox; yes $(seq 100) | head -c 5242880"}},
	{args: []string{"--rm", "busybox", "sh", "-c", "cat; echo out; echo err >&2; printf more; printf e >&2; exit 7"}, stdin: "without -i"},
	{args: []string{"--rm", "busybox", "sh", "-c", "echo only err >&2; exit 125"}},
	{args: []string{"--rm", "busybox", "/etc/passwd"}},
	{args: []string{"--rm", "busybox", "nosuch"}},
	{args: []string{"--rm", "--init", "busybox", "sh", "-c", "echo before; kill -9 $$"}},
	{args: []string{"--rm", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", "echo before; exec tail /dev/zero"}},
	{args: []string{"--rm", "-i", "busybox", "cat"}, stdin: "from standard input\n\x00\xff" + strings.Repeat("0123456789", 50000) + "no newline"},
	{args: []string{"--rm", "-i", "busybox", "true"}, stdin: "nobody reads it"},
	{args: []string{"127.0.0.1:1/no/such:image", "true"}},
	{args: []string{"--pull", "never", "no/such", "true"}},
	{args: []string{"--quiet", "--pull", "always", "127.0.0.1:1/no/such"}, newer: true},
	{args: []string{"--rm", "--no-such-option", "busybox"}},
	{args: []string{"--rm", "-Z", "busybox"}},
	{args: []string{"--rm", "--memory"}},
	{args: []string{"--rm", "--rm=perhaps", "busybox"}},
	{args: []string{}, newer: true},
	{args: []string{"Not/An Image"}, newer: true},
	{args: []string{"-it", "busybox"}},
	{args: []string{"--cidfile", "DIR/vars", "busybox"}},
	{args: []string{"--env-file", "DIR/nosuch", "busybox"}},
	{args: []string{"--name", "OTHER", "busybox"}},
	{args: []string{"--name", "not a name", "busybox"}},
	{args: []string{"-m", "1m", "busybox"}},
	{args: []string{"--rm", "--network", "host", "-p", "80:80", "--oom-kill-disable", "--blkio-weight", "100", "busybox", "sh", "-c", "echo err >&2"}},
	{args: []string{"--network", "host", "-p", "80:80", "busybox", "nosuch"}},
	{args: []string{"--rm", "--network", "nosuch", "busybox"}},
	{args: []string{"--rm", "-u", "nosuch", "busybox"}},
	{args: []string{"--rm", "--device", "/dev/nosuch", "busybox"}},
	{args: []string{"--rm", "-t", "busybox", "sh", "-c", "tty; echo err >&2"}},
	{args: []string{"--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2"}},
	{args: []string{"--rm", "-eA=b", "--env-file", "DIR/vars", "-e", "PASSED", "-w/tmp", "-u1000", "-h", "web", "--cap-drop=ALL", "--tmpfs", "/x:size=1m", "-m64m",
		"--dns", "10.0.0.1", "--dns", "127.0.0.1", "--dns", "::1", "--", "busybox", "sh", "-c",
		"pwd; id; hostname; env | sort; grep CapBnd /proc/self/status; df -k /x; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"}},
	{args: []string{"--rm", "--entrypoint", "sh", "--entrypoint", "/bin/echo", "--read-only", "--network=none", "busybox", "-n", "--rm"}},
}

// said is what a command did.
type said struct {
	stdout, stderr string
	code           int
}

func (s said) String() string {
	return fmt.Sprintf("exit %d, %d bytes of stdout %.300q, stderr %.1000q", s.code, len(s.stdout), s.stdout, s.stderr)
}

// sayings runs a command to its end.
func sayings(t *testing.T, c *exec.Cmd, stdin string) said {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	err := c.Run()
	if c.ProcessState == nil {
		t.Error(err)
		return said{}
	}
	return said{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// asDocker is what docker would have printed in the place of what docker-dispatch has.
func asDocker(stderr string) string { return strings.ReplaceAll(stderr, "docker-dispatch", "docker") }

// firstWords is what versions of the docker CLI before 28 say in the same words: the first line of an error, but
// for its period.
func firstWords(stderr string) string {
	if !strings.HasPrefix(stderr, "docker: ") && !strings.Contains(stderr, "'docker run --help'") {
		return stderr
	}
	line, _, _ := strings.Cut(stderr, "\n")
	return strings.TrimRight(line, ".")
}

// twins is docker run and docker-dispatch run side by side, and a daemon for the latter.
type twins struct {
	*lab
	fill   *strings.Replacer
	unfill *strings.Replacer
	old    bool // the docker CLI
}

func newTwins(t *testing.T) *twins {
	w := &twins{lab: newLab(t)}
	if v, err := w.engine.Ping(t.Context()); err != nil || v.Podman {
		t.Skipf("the docker CLI does not get exit codes from Podman (%v)", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vars"), []byte("# vars\nB=c d\nPASSED\nUNSET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := "other-" + w.serial
	id := strings.TrimSpace(w.docker(t, "create", "--name", other, "busybox"))
	t.Cleanup(func() { w.docker(t, "rm", "-f", other) })
	w.fill, w.unfill = strings.NewReplacer("DIR", dir, "OTHER", other), strings.NewReplacer(dir, "DIR", other, "OTHER", id, "ID")
	major, _, _ := strings.Cut(w.docker(t, "version", "--format", "{{.Client.Version}}"), ".")
	n, err := strconv.Atoi(major)
	w.old = err == nil && n < 28
	w.env = nil
	t.Cleanup(func() { w.deleteQueues(".control") })
	return w
}

// arguments are those of a row.
func (w *twins) arguments(row commandRow) (args []string) {
	if !slices.ContainsFunc(row.args, func(a string) bool { return strings.HasPrefix(a, "--network") }) {
		args = []string{"--network", quickNetwork}
	}
	for _, a := range row.args {
		args = append(args, w.fill.Replace(a))
	}
	return args
}

// ours is what docker-dispatch run does with a row.
func (w *twins) ours(t *testing.T, row commandRow) said {
	t.Helper()
	c := program(t, append([]string{"run", "-q", w.queue}, w.arguments(row)...)...)
	c.Env = append(c.Env, "AMQP_URL="+w.amqpURL, "PASSED=on")
	return sayings(t, c, row.stdin)
}

// judge compares what docker-dispatch run did with a row with what docker run does.
func (w *twins) judge(t *testing.T, row commandRow, dispatch said) {
	t.Helper()
	key, records := fmt.Sprintf("%q", row.args), os.Getenv("DISPATCH_TEST_RECORD") != ""
	matrix := os.Getenv("SERVICES_SUITE") != "" // the record is of another engine: docker is to say it
	dispatch.stderr = asDocker(dispatch.stderr)
	switch recorded, ok := readRecord(t)[key]; {
	case records && w.old:
		t.Fatal("what docker says is recorded of version 28.2.2 or newer")
	case !records && !matrix && ok && recorded == w.record(dispatch):
		return
	case row.newer && w.old && matrix: // nobody can say
		return
	case row.newer && w.old:
		t.Errorf("docker-dispatch %v\non record %+v", dispatch, recorded)
		return
	}
	c := w.dockerCommand(append([]string{"run"}, w.arguments(row)...)...)
	c.Env = append(c.Env, "PASSED=on")
	docker := sayings(t, c, row.stdin)
	w.compare(t, docker, dispatch)
	if records {
		writeRecord(t, key, w.record(docker))
	}
}

// compare holds the two against each other.
func (w *twins) compare(t *testing.T, docker, dispatch said) {
	t.Helper()
	want, got := docker.stderr, dispatch.stderr
	if w.old {
		want, got = firstWords(want), firstWords(got)
	}
	if docker.stdout != dispatch.stdout || want != got || docker.code != dispatch.code {
		t.Errorf("they differ\ndocker          %v\ndocker-dispatch %v", docker, dispatch)
	}
}

// TestRunIsDockerRun gives command lines to docker run and to docker-dispatch run: standard output, standard
// error and exit code are the same, byte for byte, but for the program's name. What docker 28.2.2 did stands in
// testdata/run.json; where we do something else, docker itself is asked.
func TestRunIsDockerRun(t *testing.T) {
	t.Parallel()
	w := newTwins(t)
	w.start()
	for _, row := range commandRows {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			t.Parallel() // some wait for a registry that does not answer
			w.judge(t, row, w.ours(t, row))
		})
	}
}

// slowly are commands that write for some seconds.
var slowly = []commandRow{
	{args: []string{"--rm", "--init", "busybox", "sh", "-c", "for i in $(seq 20); do echo out $i; echo err $i >&2; yes $i $(seq 100) | head -c 131072; sleep 0.1; done; printf end; kill -9 $$"}},
	{args: []string{"--rm", "-i", "--log-driver", "local", "busybox", "sh", "-c", "read a; echo $a; " + allBytes + " >/all; cat /all; sleep 1; cat; sleep 2; cat /all; cat; echo end >&2; exit 7"}, stdin: "first\nsecond\n\xff"},
	{args: []string{"--rm", "-t", "busybox", "sh", "-c", "for i in $(seq 20); do echo $i; sleep 0.1; done"}},
}

// TestRunIsDockerRunWhileTheDaemonDies does the same while the daemon is killed in the middle of the output, and started again,
// twice.
func TestRunIsDockerRunWhileTheDaemonDies(t *testing.T) {
	t.Parallel()
	for _, row := range slowly {
		t.Run(strings.Join(row.args, " "), func(t *testing.T) {
			t.Parallel()
			w := newTwins(t)
			daemon := w.start("--sweep-after", "0s")
			o := w.run(t, strings.NewReader(row.stdin), w.arguments(row)...)
			for range 2 {
				o.grows()
				daemon.cmd.Process.Kill()
				daemon.wait()
				daemon = w.start("--sweep-after", "0s")
			}
			stdout, stderr, code := o.end()
			w.judge(t, row, said{stdout, stderr, code})
			daemon.stop()
		})
	}
}

// TestRunIsDockerRunWhileTheBrokerDies does the same while the broker is killed in the middle of the output, and started
// again; then it is stopped, while other jobs run, too.
func TestRunIsDockerRunWhileTheBrokerDies(t *testing.T) {
	w := newTwins(t)
	w.start()
	names := []string{"theirs-" + w.serial, "ours-" + w.serial}
	args := func(name string) []string {
		return []string{"--rm", "--name", name, "--network", quickNetwork, "busybox", "sh", "-c", `for i in $(seq 60); do
			echo $i $(seq 1000); echo err $i >&2; sleep 0.1; [ $i != 50 ] || while [ ! -e /go ]; do sleep 0.1; done
		done; printf end; exit 7`}
	}
	docker := make(chan said, 1)
	go func() { docker <- sayings(t, w.dockerCommand(append([]string{"run"}, args(names[0])...)...), "") }()
	o := w.run(t, nil, args(names[1])...)
	o.grows()
	brokertest.Eval(t, "mnesia:sync_log()") // else it can forget a queue that was made within the last seconds
	w.server("kill", "broker")
	w.server("up", "broker")
	underLoad(t, func(l *lab) {
		l.server("down", "broker")
		l.server("up", "broker")
	})
	for _, name := range names {
		w.touch(name, "/go")
	}
	stdout, stderr, code := o.end()
	w.compare(t, <-docker, said{stdout, asDocker(stderr), code})
}

// TestRunStopsItsJob: a signal stops the container, and takes a job back that waits for its turn.
func TestRunStopsItsJob(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	t.Cleanup(func() { l.deleteQueues(".control") })
	l.start("-c", "1")
	long := l.run(t, nil, "--rm", "busybox", "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done")
	l.eventually("up", func() bool { return long.out.String() == "up\n" })
	next, tty := l.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "--rm", "busybox", "echo", "never")
	tty.await("queued", func(s string) bool { return strings.Contains(s, "queued on") })
	next.Process.Signal(os.Interrupt)
	next.expect("", "", 130)
	tty.shows("docker-dispatch: cancelled before it started: a message asked to stop or remove the job\n")
	long.Process.Signal(syscall.SIGTERM)
	long.expect("up\nbye\n", "", 5)
	if n := l.broker.Ready(l.queue) + l.broker.Ready(l.queue+".control"); n != 0 {
		t.Errorf("%d messages left", n)
	}
}

// TestRunSaysWhatALogHasLost: the log json-file cannot hold what is not UTF-8. Where it had to be read, that is said.
func TestRunSaysWhatALogHasLost(t *testing.T) {
	t.Parallel()
	w := newTwins(t)
	daemon := w.start()
	o := w.run(t, nil, "--rm", "--log-driver", "json-file", "busybox", "sh", "-c", `echo begin; sleep 2; printf '\377\n'; exit 0`)
	w.eventually("output", func() bool { return o.out.String() != "" })
	daemon.cmd.Process.Kill()
	daemon.wait()
	daemon = w.start()
	o.expect("begin\n\ufffd\n", "docker-dispatch: output is missing; the container has exited with code 0\n", 125)
	daemon.stop()
}
