package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// codeIn returns a page's code in that language, a block each. The page is README.md or one of the manual, by its file name.
func codeIn(t *testing.T, page, language string) (blocks []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(pages(t)[page], -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no %s code", page, language)
	}
	return blocks
}

// A publisher is code that a page shows for publishing a message, and what makes a program of it. The code finds the
// broker's address in url, and the message in body.
type publisher struct {
	page, language string
	file, source   string // the program's file, and what is in it, with CODE for the page's code
	command        string // a shell command that prepares and starts it
	prints         string // what it prints, if the page says so
	unroutable     string // what it prints when there is no such queue
}

var publishers = map[string]publisher{
	"python": {page: "README.md", language: "python", file: "main.py", command: "/usr/bin/python3 main.py", unroutable: "UnroutableError",
		source: "import os\nurl, body = os.environ['AMQP_URL'], os.environ['BODY']\nCODE"},
	"results": {page: "events.md", language: "python", file: "main.py", command: "/usr/bin/python3 main.py", prints: "failed 7\n", unroutable: "UnroutableError",
		source: "import os\nurl = os.environ['AMQP_URL']\nCODE"},
	"node": {page: "README.md", language: "javascript", file: "main.mjs", command: "npm install --silent --no-audit --no-fund amqplib && node main.mjs", unroutable: "no such queue",
		source: "const url = process.env.AMQP_URL, body = process.env.BODY\nCODE"},
	"go": {page: "README.md", language: "go", file: "main.go", command: `dir=$PWD; cd "$CHECKOUT" && go run "$dir/main.go"`, unroutable: "panic: not stored",
		source: "package main\n\nimport (\n\t\"crypto/rand\"\n\t\"os\"\n\n\tamqp \"github.com/rabbitmq/amqp091-go\"\n)\n\nfunc main() {\n" +
			"\turl, body := os.Getenv(\"AMQP_URL\"), []byte(os.Getenv(\"BODY\"))\nCODE\n\tconn.Close()\n\tif err != nil || !stored {\n\t\tpanic(\"not stored\")\n\t}\n}\n"},
	"java": {page: "operate.md", language: "java", file: "Main.java", unroutable: "no such queue",
		command: "java -cp /usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar Main.java",
		source: "import com.rabbitmq.client.*;\nimport java.util.UUID;\n\nclass Main {\npublic static void main(String[] args) throws Exception {\n" +
			"ConnectionFactory factory = new ConnectionFactory();\nfactory.setUri(System.getenv(\"AMQP_URL\"));\n" +
			"byte[] body = System.getenv(\"BODY\").getBytes();\nCODE\nSystem.exit(0);\n}\n}\n"},
	"rabbitmqadmin": {page: "README.md", language: "sh", file: "main.sh", command: "sh main.sh", unroutable: "NOT routed",
		source: "printf '%s' \"$BODY\" >hi.json\nrabbitmqadmin() { /usr/bin/python3 \"$RABBITMQADMIN\" -P \"$PORT\" \"$@\"; }\nCODE"},
}

// run makes a program of the page's code for that queue, and runs it. The output is all that it prints.
func (p publisher) run(t *testing.T, l *lab, queue string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	jobs := regexp.MustCompile(`"jobs"|=jobs\b`)
	code := jobs.ReplaceAllStringFunc(codeIn(t, p.page, p.language)[0], func(s string) string { return strings.Replace(s, "jobs", queue, 1) })
	if err := os.WriteFile(filepath.Join(dir, p.file), []byte(strings.Replace(p.source, "CODE", code, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("bash", "-c", p.command)
	c.Dir = dir
	// In Java's addresses a slash at the end means a virtual host without a name.
	c.Env = append(os.Environ(), append(l.env, "AMQP_URL="+strings.TrimSuffix(l.amqpURL, "/"), "CHECKOUT="+checkout,
		`BODY={"Dockercmd": "run", "Image": "busybox", "Cmd": ["echo", "published"], "Options": {"Attach": ["STDOUT"], "Remove": true}}`)...)
	out, err := c.CombinedOutput()
	return string(out), err
}

var enabling sync.Mutex // held for a change of the plugins that are enabled

// enable has the broker run a plugin, beside those that it runs already.
func enable(t *testing.T, plugin string) {
	t.Helper()
	enabling.Lock()
	defer enabling.Unlock()
	brokertest.Eval(t, `F = maps:get(enabled_plugins_file, rabbit_prelaunch:get_context()),
		ok = file:write_file(F, io_lib:format("~p.", [lists:usort([%s | rabbit_plugins:read_enabled(F)])])),
		{ok, _, _} = rabbit_plugins:ensure(F)`, plugin)
}

// management has the broker serve its HTTP API, unless it does already, and returns its port and a file with the
// rabbitmqadmin that it serves.
func management(t *testing.T) (port, rabbitmqadmin string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	brokertest.Eval(t, `case lists:keymember(rabbitmq_management, 1, application:which_applications()) of true -> ok; false ->
		ok = application:set_env(rabbitmq_management_agent, disable_metrics_collector, true),
		ok = application:set_env(rabbitmq_management, tcp_config, [{port, %d}, {ip, "127.0.0.1"}]) end`, free.Addr().(*net.TCPAddr).Port)
	enable(t, "rabbitmq_management")
	port = brokertest.Eval(t, "proplists:get_value(port, application:get_env(rabbitmq_management, tcp_config, []))")
	answer, err := http.Get("http://127.0.0.1:" + port + "/cli/rabbitmqadmin")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	rabbitmqadmin = filepath.Join(t.TempDir(), "rabbitmqadmin")
	if err := os.WriteFile(rabbitmqadmin, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return port, rabbitmqadmin
}

// TestManualPublishers: the code that the pages show for publishing is complete, its message is stored and carried out,
// and it says so if no queue takes the message.
func TestManualPublishers(t *testing.T) {
	t.Parallel()
	for name, p := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "quorum")
			if name == "rabbitmqadmin" {
				port, admin := management(t)
				l.env = []string{"RABBITMQADMIN=" + admin, "PORT=" + port}
			}
			if out, err := p.run(t, l, "none-"+l.queue); !strings.Contains(out, p.unroutable) {
				t.Errorf("without a queue: %v\n%s", err, out)
			}
			daemon := l.start()
			out, err := p.run(t, l, l.queue)
			if err != nil || strings.Contains(out, p.unroutable) || p.prints != "" && out != p.prints {
				t.Fatalf("%v\n%s", err, out)
			}
			daemon.done(1)
			if p.prints == "" {
				daemon.awaitText("| published\n")
			}
		})
	}
}

// shellIn returns the commands of a page's sh blocks, and of its indented lines, that begin with those words.
func shellIn(t *testing.T, page, words string) (commands []string) {
	t.Helper()
	command := regexp.MustCompile(`(?m)^(?:    )?` + words + `(?:.*\\\n)*.*$`)
	text := regexp.MustCompile("(?s)```console\n.*?```").ReplaceAllString(pages(t)[page], "")
	if commands = command.FindAllString(text, -1); len(commands) == 0 {
		t.Fatalf("%s has no command %s", page, words)
	}
	return commands
}

// TestManualDaemons: the daemon starts with each command line that a page shows.
func TestManualDaemons(t *testing.T) {
	t.Parallel()
	for page, n := range map[string]int{"README.md": 1, "options.md": 3, "policy.md": 1} {
		commands := shellIn(t, page, "docker-dispatch (?:--policy \\S+ )?-q ")
		if len(commands) != n {
			t.Errorf("%s: %d commands", page, len(commands))
		}
		for i, command := range commands {
			t.Run(fmt.Sprint(page, i+1), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				certs := brokertest.Required(t, "DISPATCH_TEST_CERTS")
				words := strings.Fields(strings.NewReplacer("docker-dispatch ", "", "\\\n", " ", "ca.pem", certs+"/ca.pem", " cert.pem", " "+certs+"/cert.pem", " key.pem", " "+certs+"/key.pem",
					"172.17.0.1:2375", os.Getenv("DISPATCH_TEST_TCP"), "engine.example:2376", os.Getenv("DISPATCH_TEST_TLS"), "/var/run/docker.sock", l.dockerHost,
					"amqp://guest:guest@localhost:5672", l.amqpURL, "amqps://user:password@broker.example/vhost", l.amqpURL,
					"policy.json", trusting(t), "myqueue", l.queue, "jobs", l.queue).Replace(command))
				c := program(t, words...)
				c.Env = append(c.Env, "AMQP_URL="+l.amqpURL)
				p := l.startExactly(c)
				p.awaitLog("taking messages")
				l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox", "Options": {"Attach": ["STDOUT"], "Remove": true}, "Cmd": ["true"]}`})
				p.done(1)
				if code := p.stop(); code != 0 {
					t.Errorf("exit %d", code)
				}
			})
		}
	}
}

// permissions are the patterns of the commands rabbitmqctl set_permissions on a page: configure, write and read of each.
func permissions(t *testing.T, page string) (patterns [][]string) {
	t.Helper()
	for _, command := range shellIn(t, page, "rabbitmqctl set_permissions") {
		var p []string
		for _, m := range regexp.MustCompile(`'([^']*)'`).FindAllStringSubmatch(command, -1) {
			p = append(p, m[1])
		}
		if len(p) != 3 {
			t.Fatalf("%s: %q", page, command)
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// TestManualPermissions: users with the permissions that the pages name can do what the pages say.
func TestManualPermissions(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	user := brokertest.NewUser(t)
	permit := func(u *brokertest.User, patterns []string) {
		for i, p := range patterns {
			patterns[i] = strings.ReplaceAll(p, "jobs", l.queue)
		}
		u.Permit(patterns[0], patterns[1], patterns[2])
	}
	users := permissions(t, "operate.md")
	if len(users) != 7 {
		t.Fatalf("%d commands", len(users))
	}
	daemon, publisher, undertaker, watcher := [][]string{users[0], users[2]}, brokertest.NewUser(t), brokertest.NewUser(t), brokertest.NewUser(t)
	permit(watcher, users[5])
	permit(publisher, users[3])
	permit(undertaker, users[4])
	addresses := []string{"=" + l.dockerHost, "=" + user.URL(brokertest.Password)}

	// All of it: --declare makes the queue, Retry another, and the second attempt's failure makes a dead letter.
	l.broker.Delete(l.queue)
	permit(user, daemon[0])
	p := l.start(append(addresses, "--declare", "quorum")...)
	p.awaitLog("taking messages")
	l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["false"], "Options": {"Remove": true, "Retry": {"Max": 1, "Delay": "1s"}}}`})
	p.done(2)
	l.eventually("the dead letter comes", func() bool { return l.broker.Ready(l.queue+".dead") == 1 })
	l.eventually("ps is answered", func() bool {
		out, _, code := call("", []string{"AMQP_URL=" + watcher.URL(brokertest.Password)}, "ps", "-q", l.queue)
		return code == 0 && strings.Contains(out, "1 dead letter")
	})
	if n := strings.Count(p.log(), "level=WARN"); n != 2 { // of the two attempts
		t.Errorf("%d warnings:\n%s", n, p.log())
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}

	// The queues exist, and nothing is tried again.
	permit(user, daemon[1])
	p = l.start(addresses...)
	p.awaitLog("taking messages")
	p.awaitLog("questions of docker-dispatch ps are not answered")
	runner := brokertest.NewUser(t)
	for _, r := range permissions(t, "run.md") {
		runner.Permit(r[0], r[1], r[2])
	}
	run := program(t, "run", "-q", l.queue, "--rm", "busybox", "sh", "-c", "echo ran; exit 3")
	run.Env = append(run.Env, "AMQP_URL="+runner.URL(brokertest.Password))
	if out, errs, code := outcome(t, run); out != "ran\n" || code != 3 {
		t.Errorf("run: exit %d, %q, %s", code, out, errs)
	}
	l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox:none", "Options": {"Pull": "never"}}`})
	l.eventually("the second dead letter comes", func() bool { return l.broker.Ready(l.queue+".dead") == 2 })

	// A publisher, by send and by a client of its own.
	as := func(u *brokertest.User, args ...string) string {
		t.Helper()
		c := program(t, args...)
		c.Env = append(c.Env, "AMQP_URL="+u.URL(brokertest.Password))
		out, errs, code := outcome(t, c)
		if errs != "" || code != 0 {
			t.Fatalf("%q: exit %d, %s", args, code, errs)
		}
		return out
	}
	file := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(file, []byte(`{"Dockercmd": "none"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	as(publisher, "send", "-q", l.queue, "--no-check", "--message-id", "bad", file)
	l.eventually("the message that was sent is a dead letter", func() bool { return l.broker.Ready(l.queue+".dead") == 3 })
	client := *l
	client.amqpURL = publisher.URL(brokertest.Password)
	if out, err := publishers["python"].run(t, &client, l.queue); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	p.awaitText("| published\n")

	if out := as(undertaker, "dead", "list", "-q", l.queue); strings.Count(out, "\n") != 4 {
		t.Errorf("dead list: %s", out)
	}
	as(undertaker, "dead", "replay", "-q", l.queue, "bad")
	l.eventually("it is a dead letter again", func() bool { return strings.Count(p.log(), "job=bad ") >= 2 && l.broker.Ready(l.queue+".dead") == 3 })
	as(undertaker, "dead", "drop", "-q", l.queue, "--yes", "--all")
	if n := l.broker.Ready(l.queue + ".dead"); n != 0 {
		t.Errorf("%d dead letters are left", n)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.deleteQueues(".retry.1")

	// Several hosts share the queue.
	l.forgetHost("alpha")
	permit(user, daemon[0])
	p = l.start(append(addresses, "--host", "alpha")...)
	if code := p.wait(); code != ui.ExitUsage || !strings.Contains(p.log(), "permission missing for --host: configure, write and read on ^("+l.queue) || !strings.Contains(p.log(), "hint: let the user configure") {
		t.Errorf("without the permissions for --host: exit %d\n%s", code, p.log())
	}
	permit(user, users[1])
	p = l.start(append(addresses, "--host", "alpha")...)
	p.awaitLog("taking messages")
	l.publish(publication{"hosted", runMessage("hosted"+l.serial, "echo ran")})
	p.done(1)
	operator := brokertest.NewUser(t)
	permit(operator, users[6])
	if out := as(operator, "hosts", "-q", l.queue); !strings.Contains(out, "\nalpha  alive  ") {
		t.Errorf("hosts: %s", out)
	}
	if n := strings.Count(p.log(), "level=WARN"); n > 1 { // of the type of the control queue
		t.Errorf("%d warnings", n)
	}
	p.stop()
	if out := as(operator, "hosts", "release", "-q", l.queue, "--yes", "alpha"); !strings.HasPrefix(out, "alpha is released: 0 messages") {
		t.Errorf("release: %s", out)
	}
}

// TestManualImage: an image made as scripts/image makes it, of the program that the install command gives, is a daemon with
// the commands that README and the manual show. The manual's gives it no more rights than it needs.
func TestManualImage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	socket, ok := strings.CutPrefix(l.dockerHost, "unix://")
	if !ok {
		t.Skipf("%s is no socket", l.dockerHost)
	}
	if v, err := l.engine.Ping(t.Context()); err == nil && v.Podman {
		t.Skip("Podman's builder writes to /var/tmp, which is read-only where its servers run")
	}
	dir := t.TempDir()
	shell := func(script string) string {
		t.Helper()
		c := exec.Command("bash", "-ec", script)
		c.Dir = dir
		c.Env = append(os.Environ(), "DOCKER_BUILDKIT=0", "DOCKER_HOST="+l.dockerHost, "CGO_ENABLED=0", "GOBIN="+dir)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	image := "docker-dispatch:" + l.serial
	install := regexp.MustCompile("`(go install [^`]*)`").FindStringSubmatch(pages(t)["README.md"])[1]
	shell(fmt.Sprintf("(cd '%[1]s' && %[2]s); cp '%[1]s/scripts/Dockerfile' /etc/ssl/certs/ca-certificates.crt .; docker build -t %[3]s .", checkout, install, image))
	t.Cleanup(func() { shell("docker rmi " + image) })

	shell(shellIn(t, "operate.md", "docker ps ")[0])
	inline := regexp.MustCompile("`(docker run -d [^`]*)`").FindStringSubmatch(pages(t)["README.md"])[1]
	file := shellIn(t, "operate.md", "echo AMQP_URL=")[0]
	const privileges = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
	for command, want := range map[string]string{
		inline: "65532:65532 false [] []",
		file + "\n" + shellIn(t, "operate.md", "docker run -d ")[0]: "65532:65532 true [ALL] [no-new-privileges]",
	} {
		id := shell(strings.NewReplacer("docker run -d", "docker run -d --network host --health-interval 1s --health-start-period 0s", "-v /var/run/docker.sock:", "-v "+socket+":", "%g /var/run/docker.sock", "%g "+socket,
			"--group-add GID", `--group-add "$(stat -c %g `+socket+`)"`, "  docker-dispatch -q", " "+image+" -q", " docker-dispatch -q", " "+image+" -q", "myqueue", l.queue, "jobs", l.queue,
			"amqp://user:password@broker.example:5672", l.amqpURL, "amqp://...", l.amqpURL).Replace(command))
		t.Cleanup(func() { shell("docker rm -f " + id + " 2>&1 || true") })
		if got := shell("docker inspect -f '" + privileges + "' " + id); got != want {
			t.Errorf("%s\nits user and rights are %s, want %s", command, got, want)
		}
		l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox", "Options": {"Attach": ["STDOUT"], "Remove": true}, "Cmd": ["echo", "dispatched"]}`})
		l.eventually("the job's output comes", func() bool { return strings.Contains(shell("docker logs "+id+" 2>&1"), "| dispatched") })
		l.eventually("the container is healthy", func() bool { return shell("docker inspect -f '{{.State.Health.Status}}' "+id) == "healthy" })
		shell("docker stop " + id)
		if code := shell("docker inspect -f '{{.State.ExitCode}}' " + id); code != "0" {
			t.Errorf("%s\nexit %s\n%s", command, code, shell("docker logs "+id+" 2>&1"))
		}
	}
}
