package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// A shown is a command that a page shows, with what it prints.
type shown struct{ command, output string }

// commandsIn are those of a page's console blocks. A command begins with "$ ", and goes on as long as a quote or a loop
// is open.
func commandsIn(page string) (commands []shown) {
	for _, m := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(page, -1) {
		open := false
		for line := range strings.Lines(m[1]) {
			text, begins := strings.CutPrefix(line, "$ ")
			if begins {
				commands = append(commands, shown{})
			}
			last := &commands[len(commands)-1]
			if !begins && !open {
				last.output += line
				continue
			}
			last.command += text
			open = strings.Count(last.command, "'")%2 == 1 || strings.HasPrefix(last.command, "for ") && !strings.Contains(last.command, "\n  done") ||
				strings.HasSuffix(last.command, "\\\n")
		}
	}
	return commands
}

// inlineCommands returns the commands of a page that stand in its text, with the names of QUEUE and ID filled in.
func inlineCommands(page string) (commands []string) {
	for _, m := range regexp.MustCompile("`((?:echo '|docker-dispatch (?:help|dead list -q QUEUE))[^`]*)`").FindAllStringSubmatch(page, -1) {
		text := strings.Join(strings.Fields(m[1]), " ") // it may be wrapped
		commands = append(commands, strings.NewReplacer("QUEUE", "jobs", `"ID"`, `"job1"`, "| man -l -", "| grep -q '^[.]TH'").Replace(text))
	}
	return commands
}

// volatile are what a command prints anew each time, and the spaces between words. The pages leave lines of log out.
var volatile = regexp.MustCompile(`(?m)^time=.*$|\bdispatch-[0-9a-f]{12}|\b[0-9a-f]{32}\b|\b\d+s\b|\s+`)

// TestManualCommands: README's commands, and those of the manual, do what the page says, in the order of the page.
func TestManualCommands(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "run.md", "operate.md", "messages.md", "options.md", "develop.md", "policy.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "quorum")
			if v, err := l.engine.Ping(t.Context()); err == nil && v.Podman && page == "run.md" {
				t.Skip("it shows an error of Docker's")
			}
			at, script := filepath.Join("help", page), ""
			if page == "README.md" {
				at = filepath.Join("..", "..", page)
			} else { // README starts a daemon itself
				script = "docker-dispatch -q jobs /var/run/docker.sock >daemon.out 2>daemon.log &\n" +
					"until [ \"$(grep -cs 'taking messages' daemon.log)\" = 2 ]; do sleep 0.1; done\n" // the job queue and the control queue
			}
			text, err := os.ReadFile(at)
			if err != nil {
				t.Fatal(err)
			}
			commands, inline := commandsIn(string(text)), inlineCommands(string(text))
			if len(commands)+len(inline) == 0 {
				t.Fatal("no commands")
			}
			for _, c := range commands {
				if strings.HasPrefix(c.command, "docker-dispatch dead ") { // the daemon needs a moment to refuse a message
					script += "for i in $(seq 300); do docker-dispatch dead list -q jobs 2>/dev/null | grep -q job1 && break; sleep 0.1; done\n"
				}
				script += fmt.Sprintf("(exit $code); { %s}; code=$?; printf '\\036'\n", c.command)
			}
			for _, c := range inline {
				script += fmt.Sprintf("{ %s; } >inline.log 2>&1 || { echo FAILED; cat inline.log; }; printf '\\036'\n", c)
				commands = append(commands, shown{command: c + "\n"})
			}
			real := strings.NewReplacer("sleep 3", "until grep -q 'taking messages' daemon.log; do sleep 0.1; done", "scripts/build", "true", "scripts/test", "true", "amqp://guest:guest@localhost:5672", l.amqpURL,
				"amqp://user:password@broker.example", l.amqpURL, "unix:///var/run/docker.sock", l.dockerHost, "/var/run/docker.sock", l.dockerHost)
			jobs := regexp.MustCompile(`\bjobs\b([^.]|\.dead|\.control)`)
			dir := t.TempDir()
			p := program(t)
			wrapper := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", p.Path)
			if err := os.WriteFile(filepath.Join(dir, "docker-dispatch"), []byte(wrapper), 0o755); err != nil {
				t.Fatal(err)
			}
			shell := exec.Command("bash", "-c", "trap 'kill $(jobs -p); wait' EXIT\n"+real.Replace(jobs.ReplaceAllString(script, l.queue+"$1")))
			shell.Dir = dir
			shell.Env = append(p.Env, "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "AMQP_URL="+l.amqpURL)
			out, err := shell.CombinedOutput()
			plain := func(s string) string {
				s = strings.ReplaceAll(s, "failed to create task for container: ", "") // newer engines say so too
				return ui.OneLine(volatile.ReplaceAllStringFunc(strings.ReplaceAll(s, l.queue, "jobs"), func(s string) string {
					if strings.TrimSpace(s) == "" || strings.HasPrefix(s, "time=") {
						return " "
					}
					return "X"
				}))
			}
			outputs := strings.Split(string(out), "\036")
			for i, c := range commands {
				if i >= len(outputs)-1 {
					t.Fatalf("%v before: %s", err, c.command)
				}
				if got, want := plain(outputs[i]), plain(c.output); got != want {
					t.Errorf("%sprints\n%s\nthe page says\n%s", c.command, got, want)
				}
			}
			if t.Failed() {
				for _, name := range []string{"daemon.out", "daemon.log"} {
					text, _ := os.ReadFile(filepath.Join(dir, name))
					t.Logf("%s:\n%s", name, text)
				}
			}
		})
	}
}
