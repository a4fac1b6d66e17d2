package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// An attempt is a message that tries to get at the host, at other containers, or to use up the host.
type attempt struct {
	asks   string // options of a create; of a run if there is a script; with { in front, the whole message
	script string // what the run's shell does
	sees   string // with Trust: what shows that it works, in the container's inspect, in the output, or among the container's events
	but    string // why it does not work even with Trust, as the result's error says it; beside sees: on a machine that cannot do it
	podman string // sees with Podman; same: as on Docker; empty: it means nothing there

	open string // the reason of the result without a policy's file, if it is neither policy nor invalid-message
}

// same is the evidence of an attempt on Podman that is the one on Docker.
const same = "="

// body is the message of the attempt, whose container is to have that name. A run is in that network, if it names none.
func (a attempt) body(name, network string) string {
	switch {
	case strings.HasPrefix(a.asks, "{"):
		return a.asks
	case a.script == "":
		return fmt.Sprintf(`{"Dockercmd":"create","Image":"busybox","Cmd":["true"],"Options":{"Name":%q,%s}}`, name, a.asks)
	}
	options := a.asks
	if !strings.Contains(options, `"Network"`) {
		options += fmt.Sprintf(`,"Network":%q`, network)
	}
	return fmt.Sprintf(`{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c",%q],"Options":{"Attach":["STDOUT","STDERR"],"Name":%q,%s}}`, a.script, name, options)
}

// A siege is the engine with what the attempts are for: a host and containers that no message has made.
type siege struct {
	*lab
	began   time.Time
	victims []string // their ids
	fill    *strings.Replacer
	podman  bool
}

// newSiege makes the victims, and a volume that is a folder of the host.
func newSiege(t *testing.T) *siege {
	s := &siege{lab: newLab(t), began: time.Now().Add(-time.Second)}
	socket, ok := strings.CutPrefix(s.dockerHost, "unix://")
	if !ok {
		t.Skipf("%s is no socket", s.dockerHost)
	}
	v, err := s.engine.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.podman = v.Podman
	// Of two words at one place the first in the list counts.
	words := []string{"SERIAL", s.serial, "SOCKETDIR", filepath.Dir(socket), "SOCKETNAME", filepath.Base(socket), "SOCKET", socket}
	volume := "volume-" + s.serial
	s.docker(t, "volume", "create", "-o", "type=none", "-o", "o=bind", "-o", "device="+filepath.Dir(socket), volume)
	t.Cleanup(func() {
		s.docker(t, append([]string{"rm", "-fv"}, s.victims...)...)
		for name := range strings.Lines(s.docker(t, "volume", "ls", "-q", "--filter", "name="+s.serial)) {
			s.docker(t, "volume", "rm", strings.TrimSpace(name))
		}
	})
	s.victims = make([]string, victims)
	var all sync.WaitGroup
	for i := range s.victims {
		all.Go(func() {
			labels := []string{"--label", "docker-dispatch.job=job-" + s.serial, "--label", "docker-dispatch.queue=other", "--label", "docker-dispatch.broker=/@other"}
			if i > 0 {
				labels = nil
			}
			args := append(append([]string{"run", "-d", "--name", fmt.Sprintf("victim-%s-%d", s.serial, i), "--network", "none", "--ipc", "shareable", "-e", "SECRET=env-" + s.serial, "-v", volume + ":/data"}, labels...),
				"busybox", "sh", "-c", "echo said-"+s.serial+"; exec sleep 1000"+s.serial[len(s.serial)-4:])
			if out, err := s.dockerCommand(args...).Output(); err != nil {
				t.Errorf("%q: %v", args, err)
			} else {
				s.victims[i] = strings.TrimSpace(string(out))
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i, id := range s.victims {
		words = append(words, fmt.Sprintf("VICTIM%d", i), fmt.Sprintf("victim-%s-%d", s.serial, i), fmt.Sprintf("ID%d", i), id)
		for n := 63; n >= 8; n-- {
			words = append(words, fmt.Sprintf("PART%dOF%d", n, i), id[:n])
		}
	}
	for _, kind := range []string{"net", "pid", "ipc", "uts"} {
		ours, _ := os.Readlink("/proc/self/ns/" + kind)
		words = append(words, "HOST"+strings.ToUpper(kind), ours)
	}
	if !s.podman {
		host := strings.TrimSpace(s.docker(t, "network", "inspect", "-f", "{{.ID}}", "host"))
		words = append(words, "HOSTID12", host[:12], "HOSTID7", host[:7], "HOSTID", host)
	}
	s.fill = strings.NewReplacer(append(words, "VOLUME", volume)...)
	return s
}

// state is what the engine has of the victims, and the names of containers and volumes that have the siege's serial number.
func (s *siege) state() string {
	var all []string
	for _, id := range s.victims {
		all = append(all, string(s.engineCall("GET", "/containers/"+id+"/json")))
	}
	filters := "filters=" + url.QueryEscape(`{"name":["`+s.serial+`"]}`)
	for _, path := range []string{"/containers/json?all=1&", "/volumes?"} {
		all = append(all, regexp.MustCompile(`"Names?":[^,]*`).FindAllString(string(s.engineCall("GET", path+filters)), -1)...)
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// send has a daemon with these options do the attempts, and returns the results by the messages' ids.
func (s *siege) send(l *lab, attempts []attempt, network string, options ...string) map[string]event.Result {
	var messages []publication
	for i, a := range attempts {
		messages = append(messages, publication{fmt.Sprint("attempt-", i), s.fill.Replace(a.body(s.name(i), network))})
	}
	p := l.startExactly(program(l.t, append(options, "-v", "-q", l.queue, "--format", "json", "-c", "4", "--ahead", fmt.Sprint(len(attempts)), l.dockerHost, l.amqpURL)...))
	l.publish(messages...)
	p.done(len(attempts))
	p.stop()
	results := make(map[string]event.Result)
	for _, r := range p.results() {
		results[r.Job] = r
	}
	return results
}

func (s *siege) name(i int) string { return fmt.Sprintf("attempt-%s-%d", s.serial, i) }

// watch begins to read what happens to the victims. The function it returns ends it, and lists all as "ID action". The engine
// remembers few events, so they are read as they come.
func (s *siege) watch() (happened func() string) {
	args := []string{"events", "--since", fmt.Sprint(s.began.Unix()), "--format", "{{.Actor.ID}} {{.Action}}"}
	for _, id := range s.victims {
		args = append(args, "--filter", "container="+id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c := s.dockerCommand(args...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { c.Process.Kill() })
	s.t.Cleanup(func() { cancel(); c.Wait() })
	return func() string {
		s.docker(s.t, "kill", s.victims[0]) // its end is the last event
		var all strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if lines.Text() == s.victims[0]+" die" {
				return all.String()
			}
		}
		s.t.Fatalf("the events end with %s", all.String())
		return ""
	}
}

// TestAttempts: what a message could do to the host, to other containers, or to use up the host is refused without a policy's
// file, and the engine is as before. With Trust it works, or the table says why it does not.
func TestAttempts(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	attempts := allAttempts()
	if s.podman {
		var there []attempt
		for _, a := range attempts {
			if a.podman != "" {
				if a.podman != same {
					a.sees = a.podman
				}
				there = append(there, a)
			}
		}
		attempts = there
	} else if len(attempts) < 150 {
		t.Errorf("%d attempts", len(attempts))
	}

	before := s.state()
	results := s.send(s.lab, attempts, "none")
	if after := s.state(); after != before {
		t.Errorf("the engine has changed:\n%s\nnow:\n%s", before, after)
	}
	for i, a := range attempts {
		r, ok := results[fmt.Sprint("attempt-", i)]
		fine := r.Status == event.Refused && (r.Reason == event.ReasonPolicy || r.Reason == event.ReasonInvalid)
		if a.open != "" {
			fine = r.Reason == a.open
		}
		if !ok || !fine {
			t.Errorf("without a policy's file: %s: %s %s: %s", a.asks, r.Status, r.Reason, r.Error)
		}
	}
	if left := s.containers(); len(left) > 0 {
		t.Errorf("containers made: %v", left)
	}

	trusted := newLab(t)
	t.Cleanup(func() { s.sweep(trusted) })
	end := s.watch()
	results = s.send(trusted, attempts, quickNetwork, "--policy", trusting(t))
	made := trusted.containers()
	names := make(map[string]bool)
	for _, c := range made {
		names[c.Name] = true
	}
	happened := end()
	for i, a := range attempts {
		r := results[fmt.Sprint("attempt-", i)]
		evidence := r.Stdout + r.Stderr
		if r.ExitCode != nil {
			evidence += fmt.Sprintf("\nexit %d", *r.ExitCode)
		}
		on := regexp.MustCompile(`"Container":"([^"]*)"`).FindStringSubmatch(s.fill.Replace(a.asks))
		if names[s.name(i)] && a.script == "" {
			evidence += string(s.engineCall("GET", "/containers/"+s.name(i)+"/json"))
		} else if on != nil {
			for v, id := range s.victims {
				if strings.HasPrefix(id, on[1]) || on[1] == fmt.Sprintf("victim-%s-%d", s.serial, v) {
					evidence += "\n" + strings.Join(regexp.MustCompile("(?m)^"+id+" .*").FindAllString(happened, -1), "\n")
				}
			}
		}
		want, but := s.fill.Replace(a.sees), s.fill.Replace(a.but)
		works := want != "" && r.Status == event.Succeeded && strings.Contains(evidence, want)
		fails := but != "" && r.Status != event.Succeeded && strings.Contains(r.Error, but)
		if !works && !fails {
			t.Errorf("with Trust: %s: %s %s: %s; want %s, or the error %s, in\n%.6000s", a.asks, r.Status, r.Reason, r.Error, want, but, evidence)
		}
	}
}

// sweep removes a lab's containers, some at a time.
func (s *siege) sweep(l *lab) {
	var all sync.WaitGroup
	turns := make(chan struct{}, 4)
	for _, c := range l.containers() {
		turns <- struct{}{}
		all.Go(func() {
			s.engine.RemoveContainer(context.Background(), c.ID, dockerapi.RemoveOptions{Force: true, Volumes: true})
			<-turns
		})
	}
	all.Wait()
}
