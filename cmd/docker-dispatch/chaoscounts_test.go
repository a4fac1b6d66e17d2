package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
)

// A chaosVerdict is what a round has come to.
type chaosVerdict struct {
	c         *chaos
	counts    map[string]int
	anomalies []string
	notes     []string // of what is allowed, and may be of interest
}

// allow counts what is allowed, and keeps what is known of it.
func (v *chaosVerdict) allow(e *evidence, count, format string, args ...any) {
	v.counts[count]++
	v.notes = append(v.notes, count+": "+e.name+": "+fmt.Sprintf(format, args...)+"\n"+v.c.about(e))
}

// wrong records a failure of a job, or of none.
func (v *chaosVerdict) wrong(e *evidence, count, format string, args ...any) {
	v.counts[count]++
	text := fmt.Sprintf(format, args...)
	if e != nil && e.chaosJob != nil {
		text = e.name + ": " + text + "\n" + v.c.about(e)
	}
	v.anomalies = append(v.anomalies, count+": "+text)
}

// Faults by what they do. A * stands for any end.
var (
	losesDelivery   = []string{"daemon-*", "log-full", "broker-*", "connections-closed", "ack-timeout"}
	endsContainers  = []string{"engine-kill", "engine-restart"} // without live restore
	endsEngine      = []string{"engine-kill*", "engine-restart*"}
	killsEngine     = []string{"engine-kill*"}
	effectsComeLate = []string{"*-after", "*-stall", "*-slow"}
)

// after is how long a fault may go on having effects.
const after = 15 * time.Second

// during tells whether a fault of the kinds was on in a span.
func (v *chaosVerdict) during(kinds []string, from, to time.Time) bool {
	return slices.ContainsFunc(v.c.fates, func(f fate) bool {
		late := f.to.Add(time.Second)
		if f.is(effectsComeLate) {
			late = f.to.Add(after)
		}
		return f.is(kinds) && f.from.Before(to) && late.After(from)
	})
}

// judge counts, prints each count, and fails the test for what is lost, doubled or left.
func (c *chaos) judge() {
	c.t.Helper()
	v := &chaosVerdict{c: c, counts: map[string]int{}}
	for _, f := range c.faulty {
		v.wrong(nil, "otherwise wrong", "%s", f)
	}
	all := c.byJob()
	v.letters(all)
	for _, j := range c.jobs {
		v.job(all[j], all)
	}
	if e := all[nil]; e != nil {
		for id := range e.printed {
			v.wrong(nil, "otherwise wrong", "result of a job that nobody asked for: %s %+v", id, e.printed[id].results)
		}
	}
	v.leftovers(all)
	v.exercised(all)
	v.print()
	for _, a := range v.anomalies {
		c.t.Errorf("%s", a)
	}
}

// job judges one job.
func (v *chaosVerdict) job(e *evidence, all map[*chaosJob]*evidence) {
	v.counts["jobs"]++
	v.counts["programs started"] += len(e.programs)
	v.counts["containers"] += len(e.containers)
	if len(e.results) == 0 {
		v.wrong(e, "lost", "no result; %d programs, %d dead letters", len(e.programs), e.letters)
		return
	}
	v.counts["results"]++
	v.counts["results printed again"] += len(e.results) - 1
	switch {
	case e.bad:
		for _, r := range e.results {
			if r.Status != event.Refused {
				v.wrong(e, "wrong results", "%s %s: %s", r.Status, r.Reason, r.Error)
			}
		}
	case e.kind == "stop":
		v.stop(e, all)
	default:
		v.starts(e)
		for _, r := range e.results {
			v.result(e, r)
		}
		v.agree(e)
		v.output(e)
	}
}

// agree judges whether results that were printed again say the same.
func (v *chaosVerdict) agree(e *evidence) {
	if !e.known || v.during(killsEngine, e.from, e.to) {
		return // it may have run again; the engine may have forgotten how it ended
	}
	for _, r := range e.results[1:] {
		first := e.results[0]
		if r.Status != first.Status || r.ExitCode != nil && first.ExitCode != nil && *r.ExitCode != *first.ExitCode {
			v.wrong(e, "wrong results", "daemon %d: %s %s, where daemon %d had %s", r.daemon, r.Status, r.Error, first.daemon, first.Status)
		}
	}
}

// starts judges how often the job's program was started, and in how many containers.
func (v *chaosVerdict) starts(e *evidence) {
	last := e.results[len(e.results)-1]
	switch programs := len(e.programs); {
	case programs == 0 && last.Status == event.Errored:
		v.allow(e, "never started, and said so", "%s %s", last.Reason, last.Error)
	case programs == 0 && e.kind == "stopped" && last.Status == event.Stopped:
		v.counts["stopped before their first mark"]++
	case programs == 0 && v.during(endsContainers, e.from, e.to):
		v.allow(e, "ended with the engine before their first mark", "%s %s %s", last.Status, last.Reason, last.Error)
	case programs == 0:
		v.wrong(e, "lost", "no program ever started; %s %s", last.Status, last.Error)
	case programs > 1 && len(e.containers) == 1:
		v.counts["doubled by an engine that was killed while it started them"]++
		v.wrong(e, "doubled", "%d programs started in one container", programs)
	case programs > 1 && !e.known && len(e.begins) > 1 && v.during(losesDelivery, e.begins[0].at, e.begins[len(e.begins)-1].at):
		v.allow(e, "run again, no message_id (allowed after a lost connection)", "%d programs", programs)
	case programs > 1:
		v.wrong(e, "doubled", "%d programs started in %d containers", programs, len(e.containers))
	case len(e.containers) > 1 && e.known:
		v.wrong(e, "doubled", "%d containers", len(e.containers))
	}
}

// result judges one result of a run.
func (v *chaosVerdict) result(e *evidence, r printedResult) {
	code := -1
	if r.ExitCode != nil {
		code = *r.ExitCode
	}
	killed := code == 137 || code == 143
	switch {
	case r.Status == event.Succeeded && (e.detach || code == e.exit):
	case r.Status == event.Failed && r.Reason == event.ReasonExit && code == e.exit:
	case e.kind == "stopped" && r.Status == event.Stopped && code == e.exit:
	case e.kind == "stopped" && killed:
		v.counts["killed by their stop"]++
	case e.kind == "stopped" && code == lateExit:
		v.counts["never stopped"]++ // the stop's own result tells whether that is wrong
	case r.Status == event.Failed && killed && v.during(endsContainers, e.from, e.to):
		v.counts["killed with the engine"]++
	case r.Status == event.Errored && r.Reason == event.ReasonEngine && v.during(endsEngine, e.from, e.to):
		v.counts["unknown after an engine's end"]++
	default:
		v.wrong(e, "wrong results", "daemon %d: %s %s, exit %d: %s", r.daemon, r.Status, r.Reason, code, r.Error)
	}
	if r.Incomplete {
		v.counts["incomplete output, said so"]++
		told := slices.ContainsFunc(e.results, func(r printedResult) bool { return !r.Incomplete })
		switch {
		case v.during(endsEngine, e.from, e.to):
		case !e.known && told:
			// Its removal was under way when the process was killed, and came to pass while the next one
			// read the log.
			v.allow(e, "told again, incomplete, no message_id (allowed after a whole result)", "daemon %d", r.daemon)
		default:
			v.wrong(e, "output missing", "incomplete, and no engine died")
		}
	}
}

// stop judges a stop: it was done, or the container had ended before.
func (v *chaosVerdict) stop(e *evidence, all map[*chaosJob]*evidence) {
	for _, r := range e.results {
		switch {
		case r.Status == event.Succeeded:
		case r.Status == event.Failed && r.Reason == event.ReasonNoSuchContainer:
			v.counts["stops that found no container"]++
			for _, t := range all {
				if t.chaosJob == nil || t.name != e.target || len(t.begins) == 0 || t.begins[0].at.Before(r.at) {
					continue
				}
				text := fmt.Sprintf("no such container, but its run began later, at %s", stamp(t.begins[0].at))
				// A broker that has not learnt that a consumer is gone has its messages last.
				if v.during(losesDelivery, t.published, r.at) {
					v.allow(e, "stops out of order (allowed after a lost connection)", "%s", text)
				} else {
					v.wrong(e, "stops out of order", "%s", text)
				}
			}
		default:
			v.wrong(e, "wrong results", "daemon %d: %s %s: %s", r.daemon, r.Status, r.Reason, r.Error)
		}
	}
}

// output compares what was printed of a job's output with what its program wrote.
func (v *chaosVerdict) output(e *evidence) {
	for id, p := range e.printed {
		if e.detach || len(p.results) == 0 {
			continue // without a message_id each process has an id of its own for the job
		}
		r := p.results[len(p.results)-1]
		out, errs := p.out["stdout"], p.out["stderr"]
		header, _, _ := strings.Cut(string(out.data), "\n")
		wantOut, wantErr := e.output(header + "\n")
		whole := r.ExitCode != nil && *r.ExitCode == e.exit && e.kind != "stopped"
		missing := slices.ContainsFunc(p.results, func(r printedResult) bool { return r.Incomplete || r.Status == event.Errored })
		adopted := whole && r.Adopted && (string(out.data) != wantOut || string(errs.data) != wantErr)
		f := strings.Fields(header)
		switch {
		case missing:
		case len(out.ahead)+len(errs.ahead) > 0:
			v.wrong(e, "output missing", "%s: a gap behind %d bytes of stdout, %d of stderr", id, len(out.data), len(errs.data))
		case out.differs || errs.differs:
			v.wrong(e, "output wrong", "%s: what came again was not the same", id)
		case adopted && v.during(endsEngine, e.from, e.to) && strings.HasPrefix(wantOut, string(out.data)) && strings.HasPrefix(wantErr, string(errs.data)):
			// The process was not there when the engine was away.
			v.allow(e, "output missing, not said (allowed where adopted after an engine's end)", "%d bytes of stdout, want %d; %d of stderr, want %d", len(out.data), len(wantOut), len(errs.data), len(wantErr))
		case len(f) == 0 && !whole:
		case len(f) != 3 || f[0] != e.name || !e.containers[f[1]] || !e.programs[f[2]]:
			v.wrong(e, "output wrong", "%s: first line %q", id, header)
		case whole && (string(out.data) != wantOut || string(errs.data) != wantErr):
			v.wrong(e, "output missing", "%s: %d bytes of stdout, want %d; %d of stderr, want %d", id, len(out.data), len(wantOut), len(errs.data), len(wantErr))
		case !strings.HasPrefix(wantOut, string(out.data)) || !strings.HasPrefix(wantErr, string(errs.data)):
			v.wrong(e, "output wrong", "%s: %d bytes of stdout are not what it wrote", id, len(out.data))
		case r.StdoutBytes != int64(len(out.data)) || r.StderrBytes != int64(len(errs.data)):
			v.wrong(e, "output missing", "%s: the result counts %d and %d bytes, printed were %d and %d", id, r.StdoutBytes, r.StderrBytes, len(out.data), len(errs.data))
		default:
			v.counts["outputs compared"]++
		}
	}
}

// letters judges the dead letters: one for each job that was refused or an error, and none besides.
func (v *chaosVerdict) letters(all map[*chaosJob]*evidence) {
	byDigest := map[string]*evidence{}
	for _, e := range all {
		if e.chaosJob != nil {
			byDigest[e.digest] = e
		}
	}
	file, err := os.Create(filepath.Join(v.c.folder, "dead-letters"))
	if err != nil {
		v.wrong(nil, "otherwise wrong", "%v", err)
		return
	}
	defer file.Close()
	for _, d := range v.c.broker.Take(v.c.queue + ".dead") {
		fmt.Fprintf(file, "%s %v %s\n", d.MessageId, d.Headers, d.Body)
		v.counts["dead letters"]++
		sum := sha256.Sum256(d.Body)
		e := byDigest[hex.EncodeToString(sum[:])]
		if e == nil {
			v.wrong(nil, "otherwise wrong", "dead letter of no job: %s %v %.500q", d.MessageId, d.Headers, d.Body)
			continue
		}
		e.letters++
	}
	for _, e := range all {
		if e.chaosJob == nil {
			continue
		}
		refused := func(r printedResult) bool { return r.Status == event.Refused || r.Status == event.Errored }
		// A process that died between an error's result and its dead letter leaves it to the next one to
		// try, which may have more luck.
		expected := e.bad || len(e.results) > 0 && refused(e.results[len(e.results)-1])
		if expected {
			v.counts["dead letters expected"]++
		}
		switch {
		case expected && e.letters == 0:
			v.wrong(e, "lost", "no dead letter")
		case !expected && e.letters > 0 && !slices.ContainsFunc(e.results, refused):
			v.wrong(e, "doubled", "a dead letter, and no result that tells of it")
		case e.letters > 1 && v.during(losesDelivery, e.from, e.to.Add(after)):
			v.counts["dead letters again (allowed after a lost connection)"] += e.letters - 1
		case e.letters > 1:
			v.wrong(e, "doubled", "%d dead letters", e.letters)
		}
	}
}

// leftovers judges what the round leaves: messages, and containers that were to be removed.
func (v *chaosVerdict) leftovers(all map[*chaosJob]*evidence) {
	if n := v.c.broker.Ready(v.c.queue); n > 0 {
		v.wrong(nil, "messages left over", "%d messages are in the queue", n)
	}
	for _, s := range v.c.containers() {
		if s.Labels[identity.LabelRemove] == "true" {
			v.wrong(nil, "containers left over", "not swept: %s %s, %s", s.Name, s.ID[:12], s.Status)
		}
	}
	for _, s := range v.c.left {
		var e *evidence
		for _, of := range all {
			if of.chaosJob != nil && of.digest == s.Labels[identity.LabelDigest] {
				e = of
			}
		}
		switch {
		case e == nil:
			v.wrong(nil, "containers left over", "of no job: %+v", s)
		case e.detach:
		case len(e.results) == 0: // lost, which is counted
		case slices.Contains([]string{"exited", "created", "dead"}, s.Status) && v.during(losesDelivery, e.to, e.to.Add(after)):
			v.allow(e, "containers swept (allowed after a fault between ack and removal)", "%s %s, %s", s.Name, s.ID[:12], s.Status)
		default:
			v.wrong(e, "containers left over", "%s %s, %s", s.Name, s.ID[:12], s.Status)
		}
	}
}

// exercised counts what shows that the faults had their effects.
func (v *chaosVerdict) exercised(all map[*chaosJob]*evidence) {
	for _, e := range all {
		for _, p := range e.printed {
			v.counts["containers adopted"] += p.adopted
		}
	}
	for what, text := range map[string]string{
		"acknowledgement timeouts":    "delivery acknowledgement",
		"messages joined to a job":    "redelivered; joined",
		"acks lost with a connection": "connection ended after the",
	} {
		for _, log := range v.c.logs() {
			v.counts[what+", as the logs have it"] += len(grep(log, []string{text}))
		}
	}
}

// print prints each count in a line of its own, and keeps them.
func (v *chaosVerdict) print() {
	faults := map[string]int{}
	for _, f := range v.c.fates {
		faults[f.kind]++
	}
	lines := []string{fmt.Sprintf("%-20s %d", "faults", len(v.c.fates))}
	for _, k := range slices.Sorted(maps.Keys(faults)) {
		lines = append(lines, fmt.Sprintf("  %-18s %d", k, faults[k]))
	}
	must := []string{"jobs", "results", "programs started", "containers", "outputs compared", "dead letters", "dead letters expected", "lost", "doubled", "messages left over", "containers left over"}
	for _, k := range must {
		lines = append(lines, fmt.Sprintf("%-20s %d", k, v.counts[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(v.counts)) {
		if !slices.Contains(must, k) {
			lines = append(lines, fmt.Sprintf("%s: %d", k, v.counts[k]))
		}
	}
	v.c.t.Logf("counts:\n%s", strings.Join(lines, "\n"))
	os.WriteFile(filepath.Join(v.c.folder, "counts"), []byte(strings.Join(slices.Concat(lines, v.anomalies, []string{"", "allowed:"}, v.notes), "\n")+"\n"), 0o666)
}
