package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/help"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// asProgram makes the test binary be the program.
const asProgram = "DISPATCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(execute(deathAt(os.Getenv(dieAt))))
	}
	os.Exit(m.Run())
}

// program is the program, with an environment that says nothing of servers: the one that DISPATCH_TEST_PROGRAM names, or the
// test binary. The race detector costs four times the processor time.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := itself(t, args...)
	if exe := os.Getenv("DISPATCH_TEST_PROGRAM"); exe != "" {
		c.Path, c.Args[0] = exe, exe
	}
	return c
}

// itself is the test binary as the program.
func itself(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, args...)
	// At its exit the race detector waits a second for reports of other goroutines, unless told otherwise.
	c.Env = []string{asProgram + "=1", "HOME=" + t.TempDir(), "GORACE=atexit_sleep_ms=0"}
	return c
}

// outcome runs the program to its end.
func outcome(t *testing.T, c *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}

// call is the program in this process, where neither a signal nor a terminal is wanted. env is as of exec.Cmd.
func call(stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(args, env, strings.NewReader(stdin), &out, &errs, nil, seams{})
	return out.String(), errs.String(), code
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-h"}, {"--help"}, {"-q", "x", "-h"}} {
		stdout, stderr, code := call("", nil, args...)
		if stdout != usage || stderr != "" || code != 0 {
			t.Errorf("%q: exit %d, stderr %q, stdout %q", args, code, stderr, stdout)
		}
	}
	for line := range strings.Lines(usage) {
		if len(line) > 96 {
			t.Errorf("usage: line of %d characters: %s", len(line), line)
		}
	}
	stdout, stderr, code := call("", nil, "--version")
	if !strings.HasPrefix(stdout, "docker-dispatch ") || strings.Count(stdout, "\n") != 1 || stderr != "" || code != 0 {
		t.Errorf("--version: exit %d, stderr %q, stdout %q", code, stderr, stdout)
	}
}

// TestHelp: help shows the index, a page, the man page, or the options of a subcommand.
func TestHelp(t *testing.T) {
	t.Parallel()
	deadUsage, _, _ := call("", nil, "dead", "-h")
	healthUsage, _, _ := call("", nil, "health", "-h")
	for args, want := range map[string]string{
		"": help.Index(), "-h": help.Index(), "policy": help.Text("policy"), "run": help.Text("run"), "dead": deadUsage, "health": healthUsage, "--man": help.Man(ui.VersionString()),
	} {
		stdout, stderr, code := call("", nil, append([]string{"help"}, strings.Fields(args)...)...)
		if stdout != want || stderr != "" || code != 0 {
			t.Errorf("help %s: exit %d, stderr %q, stdout %q", args, code, stderr, stdout)
		}
	}
	for args, want := range map[string]string{
		"polic":      `the manual has no page "polic"; did you mean "policy"?`,
		"zzz":        `the manual has no page "zzz"`,
		"run policy": "help takes one topic",
	} {
		stdout, stderr, code := call("", nil, append([]string{"help"}, strings.Fields(args)...)...)
		if want = "docker-dispatch: error: " + want + "\nhint: " + topicsHint + "\n"; stdout != "" || stderr != want || code != 2 {
			t.Errorf("help %s: exit %d, stderr %q, stdout %q", args, code, stderr, stdout)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	const list = "docker-dispatch -h lists the options"
	const bare = "the commands are check, completion, dead, health, help, hosts, policy, ps, run and send; the address of a host with such a name is tcp://"
	noQueue := func(option string) string {
		return option + ": this is RabbitMQ's direct reply-to, not a queue; messages sent to it would be lost"
	}
	const hostName = "1 to 63 letters, digits, _, . and -, the first a letter or digit, and no .control, .lock or .seen at the end; the engine's address is an argument, or DOCKER_HOST"
	const hostLabel = "expected KEY=VALUE: a key of letters, digits, _, . and -, a value of at most 255 bytes without a comma"
	const hostNeeded = "they are for a queue that several hosts share: give --host NAME too"
	long := strings.Repeat("x", 256)
	const amqpHint = "a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password; - reads messages from stdin"
	const dockerHint = "a Docker address is ip:port, the path of a socket, or tcp://, unix://, http:// or https://"
	for _, tt := range []struct {
		args              string
		publication, hint string
	}{
		{"", "no queue given", "name the queue to take messages from: docker-dispatch -q NAME ..., or DOCKER_DISPATCH_QUEUE=NAME (the service reads /etc/default/docker-dispatch); or give - as the broker address to read messages from stdin"},
		{"--nosuch", "unknown option --nosuch", list},
		{"-q", "option -q needs a value", list},
		{"-q x -c many", `invalid value "many" for option -c: expected a whole number`, list},
		{"-q x --results amq.rabbitmq.reply-to", noQueue("--results amq.rabbitmq.reply-to"), "name a queue"},
		{"-q x --control amq.rabbitmq.reply-to.a", noQueue("--control amq.rabbitmq.reply-to.a"), "name a queue"},
		{"-q x --dead-letter amq.rabbitmq.reply-to", noQueue("--dead-letter amq.rabbitmq.reply-to"), "name a queue"},
		{"-q amq.rabbitmq.reply-to", noQueue("--queue amq.rabbitmq.reply-to"), "name a queue"},
		{"-q x --sweep-after -1s", "--sweep-after -1s: it cannot be negative", "0s sweeps nothing"},
		{"-q x --sweep-after 1", `invalid value "1" for option --sweep-after: expected a time such as 10s or 1h30m`, list},
		{"-q x --drain 10", `invalid value "10" for option --drain: expected a time such as 10s or 1h30m`, list},
		{"-q x --capture 10q", `invalid value "10q" for option --capture: expected a size such as 512, 64k or 1m, below 2g`, list},
		{"-q x --max-message 9g", `invalid value "9g" for option --max-message: expected a size such as 512, 64k or 1m, below 2g`, list},
		{"-q x --max-message 0", "--max-message must be at least 1 byte", "leave it out for 1m"},
		{"-q x -c 0", "--concurrency 0: at least one container must be allowed to run", "leave it out for 16"},
		{"-q x --ahead -1", "--ahead -1: it cannot be negative", "0 takes no message before it can run"},
		{"-q x -c 65535 --ahead 1", "--concurrency 65535 and --ahead 1 together are over 65535, the most that a broker delivers at a time", "give smaller ones"},
		{"-q x --ahead 9223372036854775807", "--concurrency 16 and --ahead 9223372036854775807 together are over 65535, the most that a broker delivers at a time", "give smaller ones"},
		{"-q x --min-free 8191p", `invalid value "8191p" for option --min-free: expected a size such as 512m or 10g, below 1024p`, list},
		{"-q x -c 9223372036854775807 --ahead 9223372036854775807", "--concurrency 9223372036854775807 and --ahead 9223372036854775807 together are over 65535, the most that a broker delivers at a time", "give smaller ones"},
		{"-q x --drain -1s", "--drain -1s: it cannot be negative", "0s leaves running containers at once"},
		{"-q x --timeout -1s", "--timeout -1s: it cannot be negative", "leave it out for no limit"},
		{"-q x --format yaml", `invalid value "yaml" for option --format: expected "text" or "json"`, list},
		{"-q x --log-format yaml", `invalid value "yaml" for option --log-format: expected "text" or "json"`, list},
		{"-q x --pull maybe", `invalid value "maybe" for option --pull: expected "missing", "always" or "never"`, list},
		{"-q x --declare stream", `invalid value "stream" for option --declare: expected "quorum" or "classic"`, list},
		{"-q x --dead-letter x", "--dead-letter x is the queue itself; what cannot be carried out would go round for ever", "name another queue, or none"},
		{"-q x --control x.retry.5", "--control x.retry.5 is a queue in which messages of x may wait for their next attempt", "name another queue"},
		{"-q x --host .a", `--host ".a" is no name of a host`, hostName},
		{"-q x --host a/b", `--host "a/b" is no name of a host`, hostName},
		{"-q x --host é", `--host "é" is no name of a host`, hostName},
		{"-q x --host " + long[:64], `--host "` + long[:64] + `" is no name of a host`, hostName},
		{"-q " + long[:187] + " --host " + long[:63], "--queue and --host have 250 bytes together; their further queues have names that are too long", "name a shorter queue, or a shorter host"},
		{"-q x --host a --dead-letter none", "--host a with --dead-letter none: a message that is rejected from the queue of a host goes back to x", "leave out --dead-letter, or name a queue"},
		{"--host a /run/docker.sock -", "--host a: no other host reads messages from this stdin", "leave it out"},
		{"-q x --host-label a=b", "--host-label without --host", hostNeeded},
		{"-q x --remove-stale", "--remove-stale without --host", hostNeeded},
		{"-q x --host a --results x.host.a", "--results x.host.a is a queue that the hosts of x use", "name another queue"},
		{"-q x --host a --dead-letter x.hosts", "--dead-letter x.hosts is a queue that the hosts of x use", "name another queue"},
		{"-q x --host a --host-label gpu", `invalid value "gpu" for option --host-label: ` + hostLabel, list},
		{"-q x --host a --host-label =b", `invalid value "=b" for option --host-label: ` + hostLabel, list},
		{"-q x --host a --host-label a:b=c", `invalid value "a:b=c" for option --host-label: ` + hostLabel, list},
		{"-q x --host a --host-label a=b,c", `invalid value "a=b,c" for option --host-label: ` + hostLabel, list},
		{"-q x --host a --host-label a=" + long, `invalid value "a=` + long + `" for option --host-label: ` + hostLabel, list},
		{"-q x --host a --host-label a=\x1b[2J", "", list},
		{"-q x --decl quorum", "unknown option --decl; did you mean --declare?", list},
		{"-q x --raw=maybe", `invalid value "maybe" for option --raw: it takes none, or true or false`, list},
		{"-q x --concurency 3", "unknown option --concurency; did you mean --concurrency?", list},
		{"-q x -verbos", "unknown option --verbos; did you mean --verbose?", list},
		{"-q x --dead-lettre none", "unknown option --dead-lettre; did you mean --dead-letter?", list},
		{"-q x -", "- is the first address, and stands for no engine", `messages from stdin are the second one: docker-dispatch "$DOCKER_HOST" -`},
		{"status", `"status" is no command, and no address`, bare + "status"},
		{"chekc -q x", `"chekc" is no command, and no address`, "did you mean docker-dispatch check? " + bare + "chekc"},
		{"-q x sedn", `"sedn" is no command, and no address`, "did you mean docker-dispatch send? " + bare + "sedn"},
		{"-q x engine", `"engine" is no command, and no address`, bare + "engine"},
		{"-q x send", "the command send stands behind an option or an address", "a command comes first: docker-dispatch send ..."},
		{"-q x help", "the command help stands behind an option or an address", "a command comes first: docker-dispatch help ..."},
		{"-q x --results x.control", "--results x.control is a queue that has another use here; the results would be taken for messages", "name another queue"},
		{"-q x a b c", "3 addresses given; at most two are taken: dockerHostAddr amqpAddr", "options may stand anywhere, but each value belongs right behind its option"},
		{"amqp://u:secret@h /run/docker.sock -q x", "the first address is the broker's; the Docker Engine's comes first",
			"docker-dispatch [options] dockerHostAddr amqpAddr, for example /var/run/docker.sock amqp://u:xxxxx@h"},
		{"-q x /run/docker.sock http://h", "", amqpHint},
		{"-q x /run/docker.sock amqp://u:secret%zz@h", "", amqpHint},
		{"-q x fd://", "", dockerHint},
		{"-q x tcp://h:1 --tlsverify --tlscacert nosuch.pem", "", "--tlscacert, --tlscert and --tlskey name PEM files; DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem"},
	} {
		stdout, stderr, code := call("", nil, strings.Fields(tt.args)...)
		message, hint, _ := strings.Cut(strings.TrimSuffix(stderr, "\n"), "\n")
		if code != ui.ExitUsage || stdout != "" || hint != "hint: "+tt.hint || !strings.HasPrefix(message, "docker-dispatch: error: ") ||
			tt.publication != "" && message != "docker-dispatch: error: "+tt.publication {
			t.Errorf("%s: exit %d, stdout %q, stderr:\n%s\nwant %q and hint %q", tt.args, code, stdout, stderr, tt.publication, tt.hint)
		}
		if strings.Contains(stderr, "secret") {
			t.Errorf("%s: the password shows: %s", tt.args, stderr)
		}
	}
}

func TestSettingsFromEnvironment(t *testing.T) {
	env := map[string]string{"DOCKER_HOST": "tcp://engine:2375", "AMQP_URL": "amqp://broker"}
	getenv := func(k string) string { return env[k] }
	for _, tt := range []struct {
		args         []string
		docker, amqp string
	}{
		{nil, "tcp://engine:2375", "amqp://broker"},
		{[]string{"/run/d.sock"}, "unix:///run/d.sock", "amqp://broker"},
		{[]string{"/run/d.sock", "-v", "amqp://other", "--ahead=0"}, "unix:///run/d.sock", "amqp://other"},
	} {
		s, err := parseSettings(append([]string{"-q", "x"}, tt.args...), getenv)
		if err != nil {
			t.Fatal(err)
		}
		if s.dockerHost.String() != tt.docker || s.amqpURL != tt.amqp || s.deadLetter != "x.dead" || s.concurrency != 16 {
			t.Errorf("%q: %+v", tt.args, s)
		}
	}
	clear(env)
	s, err := parseSettings([]string{"-q", "x", "--dead-letter", "none"}, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if s.dockerHost.String() != "unix:///var/run/docker.sock" || s.amqpURL != "amqp://guest:guest@localhost:5672/" || s.deadLetter != "" {
		t.Errorf("defaults: %+v", s)
	}
}
