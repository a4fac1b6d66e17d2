package cmd

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A simulation publishes jobs to many hosts, which are killed and cut off all the time.
type simulation struct {
	*fakeCluster
	names  []string // of the hosts
	calm   bool     // there are no more faults
	faults int
	sent   map[string]string // kind of each message, by its id
}

// simulate runs jobs on so many hosts. Each second brings so many faults.
func simulate(t *testing.T, hosts, jobs int, seed uint64, faults float64, check func(s *simulation)) {
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{sent: map[string]string{}}
		for i := range hosts {
			s.names = append(s.names, fmt.Sprint("h", i))
		}
		s.fakeCluster = newFakeCluster(t, s.names...)
		s.quiet, s.rand = true, rand.New(rand.NewPCG(seed, 0))
		s.latency = func() { time.Sleep(s.random(5 * time.Millisecond)) }
		if faults > 0 {
			s.reached = func(_ string, h *fakeHost, _ string) {
				if s.random(100) == 0 {
					s.kill(h) // right here: between two steps of a message
				}
			}
		}
		for _, h := range s.hosts {
			h.start()
		}
		synctest.Wait()
		pause := 20 * time.Second / time.Duration(hosts) // so that most hosts are busy
		due := 0.0
		for i := range jobs {
			s.job(i)
			time.Sleep(pause)
			for due += faults * pause.Seconds(); due >= 1; due-- {
				s.fault()
			}
		}
		s.mu.Lock()
		s.calm = true
		s.mu.Unlock()
		time.Sleep(6 * time.Hour) // restarts, sweeps, and the hour that a cancelled job's claim is held
		synctest.Wait()
		check(s)
		for _, h := range s.hosts {
			h.end()
		}
	})
}

// job publishes a job of a random kind, and what belongs to it.
func (s *simulation) job(n int) {
	id := fmt.Sprint("j", n)
	run := `{"Dockercmd":"run","Image":"busybox","Cmd":["work"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
	kind := "work"
	switch n % 20 {
	case 0, 1, 2:
		kind = "named"
		run = strings.Replace(run, `"Attach"`, `"Name":"web-`+id+`","Attach"`, 1)
	case 3, 4:
		kind = "stopped"
		run = strings.Replace(strings.Replace(run, "work", "wait", 1), `"Attach"`, `"Name":"web-`+id+`","Attach"`, 1)
		ref := [...]string{`"Job":"` + id + `"`, `"Container":"web-` + id + `"`}[n/20%2]
		s.after(id, `{"Dockercmd":"stop",`+ref+`}`)
	case 5:
		kind = "stopped"
		run = strings.Replace(run, "work", "wait", 1)
		i := identity.Of(intake.Job{Queue: "q", MessageID: id, Body: []byte(run)})
		s.after(id, `{"Dockercmd":"stop","Container":"`+i.On("").ContainerName("")+`"}`)
	case 6:
		kind = "failing"
		run = strings.Replace(strings.Replace(run, "work", "fail", 1), `"Attach"`, `"Retry":{"Max":1,"Delay":"`+[...]string{"1s", "5s", "20s"}[n/20%3]+`"},"Attach"`, 1)
	case 7:
		kind = "kept"
		run = strings.Replace(run, `"Attach":["STDOUT"],"Remove":true`, `"Name":"web-`+id+`"`, 1)
		s.after(id, `{"Dockercmd":"remove","Container":"web-`+id+`","Options":{"Force":true}}`)
	case 8:
		kind = "cancelled"
		s.send(id+"-stop", "command", `{"Dockercmd":"stop","Job":"`+id+`"}`)
		time.AfterFunc(s.random(10*time.Minute)+time.Minute, func() { s.send(id, kind, run) })
		return
	}
	s.send(id, kind, run)
}

func (s *simulation) send(id, kind, body string) {
	s.mu.Lock()
	s.sent[id] = kind
	s.mu.Unlock()
	s.publish("q", &fakeMessage{id: id, body: body})
}

// after publishes a command once the job has started.
func (s *simulation) after(id, command string) {
	var look func()
	look = func() {
		s.mu.Lock()
		started := len(s.starts[id+"/1"]) > 0
		s.mu.Unlock()
		if started {
			s.send(id+"-command", "command", command)
			return
		}
		time.AfterFunc(5*time.Second, look)
	}
	time.AfterFunc(s.random(time.Minute), look)
}

// fault kills a host, or cuts its connection, for some time.
func (s *simulation) fault() {
	h := s.hosts[s.names[int(s.random(time.Duration(len(s.names))))]]
	if s.random(3) == 0 {
		s.kill(h)
		return
	}
	s.mu.Lock()
	s.faults++
	p := h.fakeProcess
	s.mu.Unlock()
	h.cut()
	time.AfterFunc(s.random(time.Minute), func() { h.connect(p) })
}

// kill kills a host's daemon, and starts it again later.
func (s *simulation) kill(h *fakeHost) {
	s.mu.Lock()
	may := !s.calm && !h.died.Load()
	if may {
		s.faults++
	}
	s.mu.Unlock()
	if may {
		h.kill()
		time.AfterFunc(s.random(time.Minute)+time.Second, h.start)
	}
}

// verify checks that no job was lost, or run twice, and that nothing is left of any.
func (s *simulation) verify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, count, twice := s.t, map[string]int{}, 0
	for id, kind := range s.sent {
		count[kind]++
		all := s.results[id]
		if len(all) == 0 {
			t.Errorf("%s, %s: no result; started on %v", id, kind, s.starts[id+"/1"])
			continue
		}
		if kind == "command" {
			continue // a stop that has not come to its container would leave that running
		}
		first, second := len(s.starts[id+"/1"]), len(s.starts[id+"/2"])
		want, again := 1, 0
		switch {
		case kind == "failing":
			again = 1
		case kind == "cancelled" && all[0].Reason == event.ReasonCancelled && (s.faults == 0 || first == 0):
			want = 0 // a daemon that is killed forgets what it is to refuse
		}
		if again == 1 && second == 2 && s.faults > 0 {
			twice++ // killed after it was sent and before the ack, and again after it had run
			second = 1
		}
		if first != want || second != again {
			t.Errorf("%s, %s: started on %v and %v; results %+v", id, kind, s.starts[id+"/1"], s.starts[id+"/2"], all)
		}
	}
	for _, h := range s.hosts {
		if n := h.docker.count(); n > 0 {
			t.Errorf("%d containers are left on %s, as %s", n, h.name, h.docker.all()[0].Name)
		}
		if h.session != nil && len(h.session.unacked) > 0 {
			t.Errorf("%d messages are left on %s", len(h.session.unacked), h.name)
		}
	}
	for queue, left := range s.queues {
		if len(left) > 0 {
			t.Errorf("%d messages are left in %s", len(left), queue)
		}
	}
	if twice > 1+count["failing"]/50 {
		t.Errorf("%d of %d second attempts ran twice", twice, count["failing"])
	}
	kept := 0
	for id, kind := range s.sent {
		for _, key := range []intake.ClaimKey{intake.JobKey("", "q", id), intake.NameKey("web-" + id)} {
			if s.claims[key] != "" && s.faults > 0 && (key.Kind == "job" || kind == "kept" || kind == "cancelled" || kind == "failing") {
				kept++ // killed after the container was removed and its removal acked, or while the claim was held for an hour: the limit
				delete(s.claims, key)
			}
		}
	}
	if len(s.claims) > 0 || kept > s.faults/5 {
		t.Errorf("%d claims are left: %v", len(s.claims), s.claims)
	}
	t.Logf("%d hosts, %d faults, %v, %d calls; %d claims were held", len(s.hosts), s.faults, count, s.calls.Load(), kept)
}

// simulated is how many hosts and jobs TestSimulatedHosts has, and what its faults come from. 100,100000,1 takes some minutes.
func simulated(t *testing.T) (hosts, jobs int, seed uint64) {
	text := cmp.Or(os.Getenv("DISPATCH_TEST_SIMULATED"), "20,4000,1")
	if n, err := fmt.Sscanf(text, "%d,%d,%d", &hosts, &jobs, &seed); n != 3 {
		t.Fatalf("DISPATCH_TEST_SIMULATED is %q, not HOSTS,JOBS,SEED: %v", text, err)
	}
	return hosts, jobs, seed
}

// TestSimulatedHosts: many hosts are killed and cut off at random, while each job runs on one host, once, and is settled, and each
// command comes to its container.
func TestSimulatedHosts(t *testing.T) {
	hosts, jobs, seed := simulated(t)
	simulate(t, hosts, jobs, seed, float64(hosts)/20, (*simulation).verify)
}

// TestCallsByHosts: a job needs as many calls of the broker with many hosts as with few.
func TestCallsByHosts(t *testing.T) {
	var each []float64
	for _, hosts := range []int{5, 50} {
		simulate(t, hosts, 1000, 1, 0, func(s *simulation) {
			s.verify()
			each = append(each, float64(s.calls.Load())/1000)
		})
	}
	if slices.Max(each) > 1.1*slices.Min(each) {
		t.Errorf("calls for a job: %v", each)
	}
}
