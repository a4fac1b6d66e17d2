package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A chaosJob is one message of the fault suite, and what is expected of it.
type chaosJob struct {
	name  string
	kind  string // one of jobKinds, or "stop" for the second half of a "stopped"
	at    time.Duration
	known bool // it has a message_id
	named bool // its container has the job's name

	lines  int // on stdout, behind the header
	errs   int // on stderr
	sleep  time.Duration
	exit   int
	detach bool

	target string // of a stop
	bad    bool   // a dead letter is expected

	body   string
	digest string

	published time.Time
}

// jobKinds is how many of a hundred jobs are of which kind.
var jobKinds = []struct {
	kind string
	of   int
}{
	{"quick", 28}, {"middle", 20}, {"long", 6}, {"code", 10}, {"loud", 8}, {"detached", 7},
	{"unknown", 8}, {"unnamed", 5}, {"stopped", 4}, {"bad", 4},
}

// planJobs makes n jobs, which are published over the span. A stopped one counts as two.
func planJobs(r *rand.Rand, prefix string, n int, span time.Duration) (jobs []*chaosJob) {
	var kinds []string
	for _, k := range jobKinds {
		for range max(1, k.of*n/100) {
			kinds = append(kinds, k.kind)
		}
	}
	for len(kinds) < n {
		kinds = append(kinds, "quick")
	}
	r.Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
	for i := 0; len(jobs) < n; i++ {
		j := &chaosJob{
			name: fmt.Sprintf("%s-%d-%s", prefix, i, kinds[i%len(kinds)]), kind: kinds[i%len(kinds)],
			at: time.Duration(r.Int64N(int64(span))), known: true, named: r.IntN(3) == 0,
			lines: 5 + r.IntN(40), errs: r.IntN(10), sleep: time.Duration(r.IntN(300)) * time.Millisecond,
		}
		switch j.kind {
		case "middle":
			j.sleep = time.Second + time.Duration(r.IntN(2000))*time.Millisecond
		case "long":
			j.sleep = 5*time.Second + time.Duration(r.IntN(4000))*time.Millisecond
		case "code":
			j.exit = 1 + r.IntN(100)
		case "loud":
			j.lines, j.sleep = 200_000/(len(j.name)+6), time.Second
		case "detached":
			j.detach = true
		case "unknown": // to the broker: without a message_id
			j.known, j.named = false, true
			j.sleep = time.Duration(r.IntN(2000)) * time.Millisecond
		case "unnamed":
			j.known, j.named = false, false
			j.sleep = time.Duration(r.IntN(2000)) * time.Millisecond
		case "stopped":
			j.named, j.exit, j.errs = true, stoppedExit, 0
			jobs = append(jobs, &chaosJob{
				name: j.name + "-stop", kind: "stop", known: true, target: j.name,
				at: j.at + time.Duration(r.IntN(2000))*time.Millisecond,
			})
		case "bad":
			j.bad = true
		}
		jobs = append(jobs, j)
	}
	slices.SortStableFunc(jobs, func(a, b *chaosJob) int { return int(a.at - b.at) })
	return jobs
}

// notASCII stands in each line of output.
const notASCII = "\u00e9\u4e2d"

// stoppedExit is how a job ends that a message stops.
const stoppedExit = 9

// lateExit is how it ends where no stop has reached it for a long time.
const lateExit = 8

// write makes the job's message.
func (j *chaosJob) write(m *marks) {
	var message map[string]any
	options := map[string]any{"Network": chaosNetwork}
	switch {
	case j.kind == "stop":
		message = map[string]any{"Dockercmd": "stop", "Container": j.target, "Options": map[string]any{"Time": 10}}
	case j.bad:
		message = map[string]any{"Dockercmd": "run", "Image": "busybox", "Cnd": []string{j.name}}
	default:
		message = map[string]any{"Dockercmd": "run", "Image": "busybox", "Cmd": []string{"sh", "-c", j.script(m)}, "Options": options}
		if j.named {
			options["Name"] = j.name
		}
		if j.detach {
			options["Detach"] = true
		} else {
			options["Attach"], options["Remove"] = []string{"STDOUT", "STDERR"}, true
		}
	}
	body, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	j.body = string(body)
	sum := sha256.Sum256(body)
	j.digest = hex.EncodeToString(sum[:])
}

func (j *chaosJob) script(m *marks) string {
	var b strings.Builder
	if j.kind == "stopped" {
		// Before all else: the first program of a container gets no signal that it has not asked for.
		fmt.Fprintf(&b, "trap 'type mark >/dev/null && mark end 3; exit %d' TERM\n", stoppedExit)
	}
	b.WriteString(m.script(j.name))
	fmt.Fprintf(&b, "mark begin 20\necho $n $h $u\n")
	if j.kind == "stopped" {
		fmt.Fprintf(&b, "seq 1 %d | sed \"s/^/$n %s /\"\nsleep 20 &\nwait\nexit %d\n", j.lines, notASCII, lateExit)
		return b.String()
	}
	half := j.lines / 2
	fmt.Fprintf(&b, "seq 1 %d | sed \"s/^/$n %s /\"\nseq 1 %d | sed \"s/^/$n err /\" >&2\nsleep %.3f\nseq %d %d | sed \"s/^/$n %s /\"\nmark end 3\nexit %d\n",
		half, notASCII, j.errs, j.sleep.Seconds(), half+1, j.lines, notASCII, j.exit)
	return b.String()
}

// output is what the program writes, given its first line.
func (j *chaosJob) output(header string) (stdout, stderr string) {
	var out, errs strings.Builder
	out.WriteString(header)
	for n := 1; n <= j.lines; n++ {
		fmt.Fprintf(&out, "%s %s %d\n", j.name, notASCII, n)
	}
	for n := 1; n <= j.errs; n++ {
		fmt.Fprintf(&errs, "%s err %d\n", j.name, n)
	}
	return out.String(), errs.String()
}

func (j *chaosJob) publication() publication {
	if !j.known {
		return publication{"", j.body}
	}
	return publication{j.name, j.body}
}
