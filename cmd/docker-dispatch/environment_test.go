package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// The options of all commands that are on the command line only.
var commandLineOnly = []string{"all", "amqp", "api-calls", "failed", "message-id", "no-check", "print-config", "version", "watch", "yes"}

// TestEnvironment: each option of each command is taken from its variable.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	commands := map[string]*ui.Options{"docker-dispatch": newSettings().options}
	for _, name := range client.Names() {
		commands[name] = client.Options(name)
	}
	for command, o := range commands {
		for _, f := range o.Flags() {
			variable := "DOCKER_DISPATCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			own := slices.Contains(commandLineOnly, f.Name) || command == "run" && f.Name == "timeout"
			values := append(f.Values, "true", "33", "33s", "a=b") // one of them is no default, and fits
			if f.Values != nil {
				values = f.Values[1:]
			}
			var value string
			for _, v := range values {
				err := o.FromEnvironment(func(name string) string { return map[string]string{variable: v}[name] })
				if value = o.Lookup(f.Name).Value.String(); err == nil && value == v {
					break
				}
				value = ""
			}
			if from := o.From(f.Name); own && (value != "" && command != "run" || from != "default") || !own && (value == "" || from != variable) {
				t.Errorf("%s --%s: %s gives %q, from %s", command, f.Name, variable, value, from)
			}
		}
	}
}

// TestEnvironmentOrder: the command line comes first, then our variable, then docker's, then the default.
func TestEnvironmentOrder(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, env, option, value, from string }{
		{"--secrets /a", "DOCKER_DISPATCH_SECRETS=/b CREDENTIALS_DIRECTORY=/c", "secrets", "/a", "command line"},
		{"", "DOCKER_DISPATCH_SECRETS=/b CREDENTIALS_DIRECTORY=/c", "secrets", "/b", "DOCKER_DISPATCH_SECRETS"},
		{"", "DOCKER_DISPATCH_SECRETS= CREDENTIALS_DIRECTORY=/c", "secrets", "/c", "CREDENTIALS_DIRECTORY"},
		{"", "", "secrets", "", "default"},
		{"-q a", "DOCKER_DISPATCH_QUEUE=b", "queue", "a", "command line"}, // -q is --queue
		{"-c 3", "DOCKER_DISPATCH_CONCURRENCY=many", "concurrency", "3", "command line"},
		{"--verbose=false", "DOCKER_DISPATCH_VERBOSE=1", "verbose", "false", "command line"},
		{"", "DOCKER_DISPATCH_VERBOSE=1", "verbose", "true", "DOCKER_DISPATCH_VERBOSE"},
		{"", "DOCKER_DISPATCH_VERBOSE=false", "verbose", "false", "DOCKER_DISPATCH_VERBOSE"},
		{"", "DOCKER_TLS_VERIFY=0", "tlsverify", "true", "DOCKER_TLS_VERIFY"}, // as with docker
		{"", "DOCKER_DISPATCH_TLSVERIFY=0 DOCKER_TLS_VERIFY=1", "tlsverify", "false", "DOCKER_DISPATCH_TLSVERIFY"},
		{"", "DOCKER_DISPATCH_DEAD_LETTER=none DOCKER_DISPATCH_QUEUE=b", "dead-letter", "", "DOCKER_DISPATCH_DEAD_LETTER"},
		{"/run/d.sock -", "DOCKER_DISPATCH_QUEUE=b", "queue", "stdin", "messages come from stdin"},
		{"--declare=", "DOCKER_DISPATCH_DECLARE=quorum", "declare", "", "command line"}, // its default is a value, too
		{"https://h:1", "", "tlsverify", "true", "https:// or a file for TLS"},
		{"--tlsverify h:1", "DOCKER_CERT_PATH=" + certs, "tlscacert", certs + "/ca.pem", "DOCKER_CERT_PATH"},
		{"--tlsverify h:1 --tlscacert other.pem", "DOCKER_CERT_PATH=" + certs, "tlscacert", "other.pem", "command line"},
		{"--tlsverify h:1", "HOME=/nowhere DOCKER_CONFIG=" + certs, "tlscacert", certs + "/ca.pem", "DOCKER_CONFIG"},
		{"", "DOCKER_HOST=tcp://h:1", "dockerHostAddr", "", "DOCKER_HOST"},
		{"/run/d.sock", "DOCKER_HOST=tcp://h:1", "dockerHostAddr", "", "command line"},
		{"", "AMQP_URL=amqp://h", "amqpAddr", "", "AMQP_URL"},
		{"", "", "ahead", "4", "default"},
		{"--host a", "", "ahead", "0", "--host"},
		{"--host a --ahead 7", "", "ahead", "7", "command line"},
		{"", "DOCKER_DISPATCH_HOST=a DOCKER_DISPATCH_AHEAD=7", "ahead", "7", "DOCKER_DISPATCH_AHEAD"},
		{"--host a --host-label z=2 --host-label a=1", "DOCKER_DISPATCH_HOST_LABEL=b=3", "host-label", "a=1,z=2", "command line"},
		{"--host a", "DOCKER_DISPATCH_HOST_LABEL=gpu=yes,zone=,v==", "host-label", "gpu=yes,v==,zone=", "DOCKER_DISPATCH_HOST_LABEL"},
	} {
		s, err := parseSettings(strings.Fields(tt.args), variablesOf(append(strings.Fields(tt.env), "DOCKER_DISPATCH_QUEUE=x")))
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		value := ""
		if f := s.options.Lookup(tt.option); f != nil {
			value = f.Value.String()
		}
		if from := s.options.From(tt.option); value != tt.value || from != tt.from {
			t.Errorf("%q with %q: --%s is %q, from %s", tt.args, tt.env, tt.option, value, from)
		}
	}
}

// TestEnvironmentFaults: an error names the variable, its value, and what is expected.
func TestEnvironmentFaults(t *testing.T) {
	t.Parallel()
	const address = "a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password"
	const list, rule = "docker-dispatch -h lists the options", ", or unset it; docker-dispatch help options has the rule"
	for _, tt := range []struct{ args, env, want, hint string }{
		{"", "DOCKER_DISPATCH_DRAIN=10", `DOCKER_DISPATCH_DRAIN "10": expected a time such as 10s or 1h30m`, list},
		{"", "DOCKER_DISPATCH_AHEAD=few", `DOCKER_DISPATCH_AHEAD "few": expected a whole number`, list},
		{"", "DOCKER_DISPATCH_RAW=yes", `DOCKER_DISPATCH_RAW "yes": expected true or false`, list},
		{"", "DOCKER_DISPATCH_CAPTURE=1q", `DOCKER_DISPATCH_CAPTURE "1q": expected a size such as 512, 64k or 1m, below 2g`, list},
		{"", "DOCKER_DISPATCH_PULL=maybe", `DOCKER_DISPATCH_PULL "maybe": expected "missing", "always" or "never"`, list},
		{"", "DOCKER_DISPATCH_CONCURRENCY=0", "DOCKER_DISPATCH_CONCURRENCY 0: at least one container must be allowed to run", "leave it out for 16"},
		{"-c 0", "DOCKER_DISPATCH_CONCURRENCY=1", "--concurrency 0: at least one container must be allowed to run", "leave it out for 16"},
		{"", "DOCKER_DISPATCH_RESULTS=x.dead", "DOCKER_DISPATCH_RESULTS x.dead is a queue that has another use here; the results would be taken for messages", "name another queue"},
		{"", "DOCKER_DISPATCH_POLICY=/none", "DOCKER_DISPATCH_POLICY: open /none: no such file or directory", "docker-dispatch help policy has the keys, and three examples"},
		{"", "DOCKER_DISPATCH_HOST=tcp://h:1", `DOCKER_DISPATCH_HOST "tcp://h:1" is no name of a host`, "1 to 63 letters, digits, _, . and -, the first a letter or digit, and no .control, .lock or .seen at the end; the engine's address is an argument, or DOCKER_HOST"},
		{"", "DOCKER_DISPATCH_HOST_LABEL=a=b", "DOCKER_DISPATCH_HOST_LABEL without --host", "they are for a queue that several hosts share: give --host NAME too"},
		{"", "CREDENTIALS_DIRECTORY=/none", "CREDENTIALS_DIRECTORY: open /none: no such file or directory", "name a folder with a file for each secret"},
		{"", "DOCKER_DISPATCH_QUEU=x", "DOCKER_DISPATCH_QUEU is no option's variable", "use DOCKER_DISPATCH_QUEUE" + rule},
		{"", "DOCKER_DISPATCH_SWEEPAFTER=1h", "DOCKER_DISPATCH_SWEEPAFTER is no option's variable", "use DOCKER_DISPATCH_SWEEP_AFTER" + rule},
		{"", "DOCKER_DISPATCH_AMQP_URL=amqp://h", "DOCKER_DISPATCH_AMQP_URL is no option's variable", "use AMQP_URL" + rule},
		{"", "DOCKER_DISPATCH_AMQP=amqp://h", "DOCKER_DISPATCH_AMQP is no option's variable", "use AMQP_URL" + rule},
		{"", "AMQP_URL=http://h", `AMQP_URL: the AMQP address has the scheme "http"; it must be amqp or amqps`, address + "; - reads messages from stdin"},
		{"send", "AMQP_URL=http://h", `AMQP_URL: the AMQP address has the scheme "http"; it must be amqp or amqps`, address},
		{"send --amqp http://h", "", `the AMQP address has the scheme "http"; it must be amqp or amqps`, address},
		{"", "DOCKER_HOST=ssh://h", `DOCKER_HOST: docker host "ssh://h": ssh:// is not supported; forward the socket with ssh -L ./docker.sock:/var/run/docker.sock and use ./docker.sock`, "a Docker address is ip:port, the path of a socket, or tcp://, unix://, http:// or https://"},
		{"send", "DOCKER_DISPATCH_QUEU=x", "DOCKER_DISPATCH_QUEU is no option's variable", "use DOCKER_DISPATCH_QUEUE" + rule},
		{"send", "DOCKER_DISPATCH_MAX_MESSAGE=0", "DOCKER_DISPATCH_MAX_MESSAGE must be at least 1 byte", "leave it out for 1m"},
		{"check", "DOCKER_DISPATCH_MAX_MESSAGE=0", "DOCKER_DISPATCH_MAX_MESSAGE must be at least 1 byte", "leave it out for 1m"},
		{"dead list", "DOCKER_DISPATCH_FORMAT=yaml", `DOCKER_DISPATCH_FORMAT "yaml": expected "text" or "json"`, "docker-dispatch dead -h lists the options"},
		{"dead list", "DOCKER_DISPATCH_DEAD_LETTER=none", "DOCKER_DISPATCH_DEAD_LETTER none: such a daemon has no queue for dead letters", "name the queue behind the job queue's dead-letter exchange: --dead-letter NAME"},
		{"run busybox", "DOCKER_DISPATCH_MAX_MESSAGE=x", `DOCKER_DISPATCH_MAX_MESSAGE "x": expected a size such as 512, 64k or 1m, below 2g`, "docker-dispatch run -h lists the options"},
	} {
		stdout, stderr, code := call("", append(strings.Fields(tt.env), "DOCKER_DISPATCH_QUEUE=x"), strings.Fields(tt.args)...)
		want := ui.ExitUsage
		if strings.HasPrefix(tt.args, "run") {
			want = 125 // as docker run
		}
		if code != want || stdout != "" || stderr != "docker-dispatch: error: "+tt.want+"\nhint: "+tt.hint+"\n" {
			t.Errorf("%q with %s: exit %d, stdout %q, stderr:\n%s", tt.args, tt.env, code, stdout, stderr)
		}
	}
	if _, stderr, _ := call("", []string{"DOCKER_DISPATCH_QUEU=x"}); !strings.Contains(stderr, "DOCKER_DISPATCH_QUEU is no option's variable") {
		t.Errorf("without another fault: %s", stderr)
	}
	// Help is given all the same.
	for _, args := range []string{"-h", "send -h", "run --help", "--version"} {
		if _, stderr, code := call("", []string{"DOCKER_DISPATCH_QUEU=x"}, strings.Fields(args)...); code != 0 {
			t.Errorf("%s: exit %d, stderr %s", args, code, stderr)
		}
	}
}

// TestEnvironmentOfSubcommands: the queue and the broker need not be on the command line.
func TestEnvironmentOfSubcommands(t *testing.T) {
	t.Parallel()
	env := []string{"DOCKER_DISPATCH_QUEUE=jobs", "AMQP_URL=amqp://127.0.0.1:1", "DOCKER_DISPATCH_TIMEOUT=nonsense"}
	for _, args := range []string{"send", "dead list", "run busybox"} {
		if _, stderr, _ := call("", env, strings.Fields(args)...); !strings.Contains(stderr, "127.0.0.1:1") || !strings.Contains(stderr, "connection refused") {
			t.Errorf("%s: %s", args, stderr)
		}
	}
}

// TestVariablesOfOthers: the daemon starts with the variables that Kubernetes sets for a service of its name, and with those
// of its actions, and says that they have no effect.
func TestVariablesOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR", "PORT_80_TCP_PORT", "PORT_80_TCP_PROTO", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_METRICS", "VERSION", "YES"} {
		name = "DOCKER_DISPATCH_" + name
		if _, stderr, code := call("", []string{name + "=1"}, "-q", "x", "--print-config"); code != 0 || !strings.Contains(stderr, "variables=["+name+"]") {
			t.Errorf("%s: exit %d, %s", name, code, stderr)
		}
	}
}

// TestPrintConfig: each setting is shown with its value and where that is from, the broker's password is not, and what
// the start would refuse is refused.
func TestPrintConfig(t *testing.T) {
	t.Parallel()
	env := []string{"DOCKER_DISPATCH_QUEUE=jobs", "AMQP_URL=amqp://u:secret@h", "DOCKER_CONFIG=/nowhere", "DOCKER_DISPATCH_QUEU=", "DOCKER_API_VERSION=1.41"}
	stdout, stderr, code := call("", env, "--print-config", "-c", "3", "tcp://127.0.0.1:2375")
	lines := make(map[string]string)
	for line := range strings.Lines(stdout) {
		f := strings.Fields(line)
		lines[f[0]] = strings.Join(f[1:], " ")
	}
	for setting, want := range map[string]string{
		"SETTING": "VALUE FROM", "dockerHostAddr": "tcp://127.0.0.1:2375 command line", "amqpAddr": "amqp://u:xxxxx@h AMQP_URL",
		"--queue": "jobs DOCKER_DISPATCH_QUEUE", "--dead-letter": "jobs.dead default", "--concurrency": "3 command line", "--policy": "(none) default",
		"API": "version 1.41 DOCKER_API_VERSION", "registry": "logins /nowhere/config.json DOCKER_CONFIG",
	} {
		if lines[setting] != want {
			t.Errorf("%s %s, want %s", setting, lines[setting], want)
		}
	}
	for _, f := range newSettings().options.Flags() {
		if _, ok := lines["--"+f.Name]; ok == slices.Contains(commandLineOnly, f.Name) {
			t.Errorf("--%s: shown %v", f.Name, ok)
		}
	}
	if code != 0 || strings.Contains(stdout+stderr, "secret@") || stderr != "" {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	_, want, _ := call("", env, "--policy", "/none")
	if stdout, stderr, code := call("", env, "--policy", "/none", "--print-config"); code != ui.ExitUsage || stdout != "" || stderr != want {
		t.Errorf("with a fault: exit %d\n%s%s", code, stdout, stderr)
	}
	stdout, _, code = call("", nil, "--print-config", "/run/d.sock", "-")
	if code != 0 || !strings.Contains(stdout, "messages come from stdin") {
		t.Errorf("with -: exit %d\n%s", code, stdout)
	}
}
