package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An evidence is all that is known of what became of a job.
type evidence struct {
	*chaosJob
	begins     []mark
	programs   map[string]bool
	containers map[string]bool // ids, their first 12 digits
	printed    map[string]*printed
	results    []printedResult // in the order in which they came
	letters    int             // in the dead-letter queue
	from, to   time.Time       // when it was at work
}

// byJob puts together what is known, with a nil job for what belongs to none.
func (c *chaos) byJob() map[*chaosJob]*evidence {
	byName, byDigest := map[string]*chaosJob{}, map[string]*chaosJob{}
	all := map[*chaosJob]*evidence{}
	for _, j := range c.jobs {
		byName[j.name], byDigest[j.digest] = j, j
		all[j] = &evidence{chaosJob: j, programs: map[string]bool{}, containers: map[string]bool{}, printed: map[string]*printed{}}
	}
	owner := map[string]*chaosJob{} // by container
	c.mu.Lock()
	for digest, ids := range c.seen {
		for id, at := range ids {
			if j := byDigest[digest]; j != nil {
				owner[id[:12]] = j
				all[j].containers[id[:12]] = true
				all[j].since(at)
			}
		}
	}
	c.mu.Unlock()
	for _, j := range c.jobs {
		e := all[j]
		e.begins = c.marks.of("begin", j.name)
		for _, m := range e.begins {
			owner[m.container] = j
			e.programs[m.program], e.containers[m.container] = true, true
			e.since(m.at)
		}
		for _, m := range c.marks.of("end", j.name) {
			e.programs[m.program] = true // its begin may not have come through
		}
	}
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	for id, p := range c.events.jobs {
		j := byName[id]
		for container := range p.containers {
			if j == nil {
				j = owner[container[:12]]
			}
		}
		for _, r := range p.results {
			if j == nil {
				j = byName[r.ContainerName]
			}
		}
		if j == nil && len(p.results) == 0 {
			continue // it may become known
		}
		e := all[j]
		if e == nil {
			e = &evidence{containers: map[string]bool{}, printed: map[string]*printed{}}
			all[j] = e
		}
		e.printed[id] = p
		e.since(p.first)
		for container := range p.containers {
			e.containers[container[:12]] = true
		}
		e.results = append(e.results, p.results...)
	}
	for _, e := range all {
		slices.SortFunc(e.results, func(a, b printedResult) int { return a.at.Compare(b.at) })
		if e.chaosJob != nil && e.from.IsZero() {
			e.from = e.published
		}
		e.to = time.Now()
		if n := len(e.results); n > 0 {
			e.to = e.results[n-1].at
		}
	}
	return all
}

func (e *evidence) since(at time.Time) {
	if e.from.IsZero() || at.Before(e.from) {
		e.from = at
	}
}

// about is what is known of a job, for a person who looks for the cause: its plan, its marks, the
// faults while it was at work, and the daemons' log lines with its name or its containers.
func (c *chaos) about(e *evidence) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s, message_id %v, named %v, published %s, at work %s to %s\n", e.kind, e.known, e.named, stamp(e.published), stamp(e.from), stamp(e.to))
	words := append(slices.Collect(maps.Keys(e.containers)), e.name)
	for id := range e.printed {
		words = append(words, id)
	}
	for _, k := range []string{"begin", "end"} {
		for _, m := range c.marks.of(k, e.name) {
			fmt.Fprintf(&b, "  %s mark %s %s %s\n", stamp(m.at), m.kind, m.container, m.program)
		}
	}
	for _, r := range e.results {
		fmt.Fprintf(&b, "  %s daemon %d result %s %s %s\n", stamp(r.at), r.daemon, r.Status, r.Reason, r.Error)
	}
	for _, f := range c.fates {
		if f.meets(e.from.Add(-time.Second), e.to.Add(after)) {
			fmt.Fprintf(&b, "  %s to %s fault %v\n", stamp(f.from), stamp(f.to), f.fault)
		}
	}
	for _, log := range c.logs() {
		for _, line := range grep(log, words) {
			fmt.Fprintf(&b, "  %s: %s\n", strings.TrimSuffix(filepath.Base(log), ".stderr"), line)
		}
	}
	return b.String()
}

// logs are the files with the daemons' logs, but for those on a full disk, in order.
func (c *chaos) logs() []string {
	logs, _ := filepath.Glob(filepath.Join(c.folder, "daemon-*.stderr"))
	return logs
}

// grep returns the lines of a file that have one of the words, the first hundred.
func grep(path string, words []string) (lines []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for len(lines) < 100 {
		line, err := in.ReadString('\n')
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			lines = append(lines, strings.TrimSpace(line))
		}
		if err != nil {
			break
		}
	}
	return lines
}
