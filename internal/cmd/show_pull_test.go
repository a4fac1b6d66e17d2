package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// pullsOf returns the events of a job's pulls, as "status complete/layers bytes/total".
func (r *record) pullsOf(job string) (said []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pulls {
		if p.Job == job {
			said = append(said, fmt.Sprintf("%s %d/%d %d/%d", p.Status, p.Complete, p.Progress.Layers, p.Bytes, p.Total))
		}
	}
	return said
}

const runNew = `{"Dockercmd":"run","Image":"new","Cmd":["echo","hi"],"Stream":true,"Options":{"Attach":"STDOUT"}}`

// TestPullShown: a pull has an event at its start, at most one each 500 ms when something has changed, and one at its end. They are
// shown, and sent to the reply_to.
func TestPullShown(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.steps = func(say func(dockerapi.PullProgress)) {
			time.Sleep(time.Millisecond)
			say(dockerapi.PullProgress{ID: "latest", Status: "Pulling from library/new"})
			say(dockerapi.PullProgress{ID: "a", Status: "Pulling fs layer"})
			say(dockerapi.PullProgress{ID: "b", Status: "Already exists"})
			time.Sleep(10 * time.Second) // nothing changes
			for i := range int64(100) {
				time.Sleep(9 * time.Millisecond)
				say(dockerapi.PullProgress{ID: "a", Status: "Downloading", Current: i, Total: 200})
			}
			say(dockerapi.PullProgress{ID: "a", Status: "Extracting", Current: 1}) // seconds
			say(dockerapi.PullProgress{Status: "Status: Downloaded newer image for new:latest"})
		}
		s := new(fakeStream)
		var answers []string
		b.change = b.answering("to", s, &answers, func() error { return nil })
		d := b.post("m", "id", false, runNew)
		time.Sleep(time.Minute)
		synctest.Wait()
		d.want(intake.Ack, "")
		got := b.record.pullsOf("id")
		if want := []string{"pulling 0/0 0/0", "pulling 1/2 0/0", "pulling 1/2 54/200", "pulled 2/2 200/200"}; !slices.Equal(got, want) {
			t.Errorf("shown %q, want %q", got, want)
		}
		if p := b.record.pulls[len(got)-1]; p.Command != "run" || p.Host != "here" || p.Image != "new" || p.Attempt != 0 || !p.Missing {
			t.Errorf("event %+v", p)
		}
		want := []string{"id pull/pulling/0", "id pull/pulling/1", "id pull/pulling/2", "id pull/pulled", "id started", "id output/stdout/0 hi\n", "flush"}
		if sent := s.take(); !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// TestPullEnds: the last event says how the pull ended. A job that is cancelled has none.
func TestPullEnds(t *testing.T) {
	for _, tt := range []struct {
		name, body, text string
		err              error
		want             []string
	}{
		{"up to date", strings.Replace(runNew, `"Attach"`, `"Pull":"always","Attach"`, 1), "Status: Image is up to date for new:latest", nil, []string{"pulling 0/0 0/0", "up-to-date 0/0 0/0"}},
		{"failed", runNew, "", dockerapi.ErrNoSuchImage, []string{"pulling 0/0 0/0", "failed 0/0 0/0"}},
		{"of a command", `{"Dockercmd":"pull","Image":"new","Stream":true}`, "", nil, []string{"pulling 0/0 0/0", "pulled 0/0 0/0"}},
		{"given up", runNew, "", live.ErrNotBegun, []string{"pulling 0/0 0/0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.docker.steps = func(say func(dockerapi.PullProgress)) { say(dockerapi.PullProgress{Status: tt.text}) }
				if tt.err != nil {
					b.docker.before["pull"] = []error{tt.err}
				}
				b.send("m", "id", false, tt.body)
				if got := b.record.pullsOf("id"); !slices.Equal(got, tt.want) {
					t.Errorf("shown %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// TestPullShownToWaiters: each job that waits for a pull is shown its start and its end. A redelivered job is not shown more.
func TestPullShownToWaiters(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 9 }, func(b *bench) {
		b.docker.holdPull = make(chan struct{})
		var all []*delivery
		for i := range 5 {
			all = append(all, b.send(fmt.Sprint(i), fmt.Sprint(i), false, runNew))
		}
		again := b.send("again", "0", true, runNew)
		time.Sleep(time.Minute)
		close(b.docker.holdPull)
		synctest.Wait()
		for i, d := range append(all, again) {
			d.want(intake.Ack, "")
			if got, want := b.record.pullsOf(fmt.Sprint(i%5)), []string{"pulling 0/0 0/0", "pulled 0/0 0/0"}; !slices.Equal(got, want) {
				t.Errorf("job %d: shown %q, want %q", i%5, got, want)
			}
		}
	})
}

// TestPullNotSlowed: a reply_to that takes no events slows neither the pull nor the jobs that wait for the same image.
func TestPullNotSlowed(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		var finished time.Duration
		b.docker.steps = func(say func(dockerapi.PullProgress)) {
			began := time.Now()
			for i := range int64(10) {
				time.Sleep(time.Second)
				say(dockerapi.PullProgress{ID: "a", Status: "Downloading", Current: i, Total: 10})
			}
			finished = time.Since(began)
		}
		s := &fakeStream{hold: make(chan struct{})}
		var answers []string
		b.change = b.answering("to", s, &answers, func() error { return nil })
		slow := b.post("slow", "slow", false, runNew)
		synctest.Wait()
		b.change = nil
		other := b.post("other", "other", false, runNew)
		time.Sleep(time.Minute)
		synctest.Wait()
		slow.unsettled()
		other.want(intake.Ack, "")
		if finished != 10*time.Second {
			t.Errorf("the pull took %v", finished)
		}
		close(s.hold)
		synctest.Wait()
		slow.want(intake.Ack, "")
		if sent := s.take(); !slices.Equal(sent[:3], []string{"slow pull/pulling/0", "slow pull/pulled", "slow started"}) {
			t.Errorf("sent %q", sent)
		}
	})
}

// TestPullNextAttempt: the events of another attempt have other ids.
func TestPullNextAttempt(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		s := new(fakeStream)
		var answers []string
		b.change = b.answering("to", s, &answers, func() error { return nil })
		b.attempt = 2
		b.send("m", "id", false, strings.Replace(runNew, `"Attach"`, `"Retry":{"Max":3},"Attach"`, 1)).want(intake.Ack, "")
		if sent := s.take(); !slices.Equal(sent[:2], []string{"id pull/2/pulling/0", "id pull/2/pulled"}) {
			t.Errorf("sent %q", sent)
		}
	})
}

// TestPullStreams: the command pull sends its events only if its publisher asks for them.
func TestPullStreams(t *testing.T) {
	for key, want := range map[string][]string{
		"":               nil,
		`,"Stream":true`: {"id pull/pulling/0", "id pull/pulled", "flush"},
	} {
		onBench(t, nil, func(b *bench) {
			s := new(fakeStream)
			var answers []string
			b.change = b.answering("to", s, &answers, func() error { return nil })
			b.send("m", "id", false, `{"Dockercmd":"pull","Image":"new"`+key+`}`).want(intake.Ack, "")
			if sent := s.take(); !slices.Equal(sent, want) {
				t.Errorf("%q: sent %q, want %q", key, sent, want)
			}
		})
	}
}
