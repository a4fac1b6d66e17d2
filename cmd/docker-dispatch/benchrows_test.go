package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

// withoutJobs measures what the program costs without jobs.
func (b *bench) withoutJobs() {
	file, err := os.Stat(program(b.T).Path)
	if err != nil {
		b.Fatal(err)
	}
	b.row("binary, stripped", "MiB", float64(file.Size())/(1<<20), 0)
	b.row("start to consuming", "ms", b.median(func() (v []float64) {
		b.stand(1, false, func(s *stand) { v = []float64{s.daemon(s.null.host).ready.Seconds() * 1e3} })
		return v
	})[0], 0)
	b.stand(1, false, func(s *stand) {
		d := s.daemon(s.null.host)
		s.pass(3 * time.Second / time.Duration(b.scale)) // until it is idle
		before := d.status("voluntary_ctxt_switches")
		s.pass(10 * time.Second / time.Duration(b.scale))
		b.row("memory, idle", "MiB", d.memory()/(1<<20), 0)
		b.row("wake-ups in 10 s, idle", "", d.status("voluntary_ctxt_switches")-before, 0)
	})
}

// publishToStart measures single jobs, one after another.
func (b *bench) publishToStart() {
	var ours, theirs []float64
	b.stand(1, false, func(s *stand) {
		s.daemon(s.null.host)
		raw := newRawLoop(b.T, s.null.host, s.queue)
		sample := func(times []float64, do func()) []float64 {
			began := time.Now()
			do()
			start := await(s, s.null.starts)
			await(s, s.null.removes)
			return append(times, start.Sub(began).Seconds()*1e3)
		}
		for range 500 / b.scale {
			ours = sample(ours, func() { s.publishRuns(1, false) })
			theirs = sample(theirs, func() { raw.job(io.Discard) })
		}
	})
	b.row("publish to start on an idle daemon, p50 of 500", "ms", quantile(ours, 0.5), quantile(theirs, 0.5))
	b.row("publish to start on an idle daemon, p99 of 500", "ms", quantile(ours, 0.99), quantile(theirs, 0.99))
}

// output measures one job that writes 200 MB.
func (b *bench) output() {
	frames := 2_000_000 / b.scale
	v := b.median(func() (all []float64) {
		for _, format := range []string{"text", "json"} {
			b.stand(frames, false, func(s *stand) {
				d := s.daemon(s.null.host, "--format", format)
				before := d.processor()
				s.publishRuns(1, false)
				s.until(func() bool { return d.succeeded() == 1 })
				all = append(all, d.processor()-before)
			})
		}
		b.stand(frames, false, func(s *stand) { all = append(all, s.rawJobs(s.null.host, 1, 1)[1]) })
		return all
	})
	b.row("processor time of 200 MB of output in frames of 100 bytes, as text", "s", v[0], v[2])
	b.row("processor time of 200 MB of output in frames of 100 bytes, as JSON", "s", v[1], v[2])
}

// held measures the memory of a job while its container runs: what 2,000 of them need more than one, half a minute after
// the last start.
func (b *bench) held() {
	n := 2000 / b.scale
	var each []float64
	for _, start := range []func(s *stand, n int) *benched{
		func(s *stand, n int) *benched {
			d := s.daemon(s.null.host, "-c", strconv.Itoa(n))
			s.publishRuns(n, false)
			return d
		},
		func(s *stand, n int) *benched { return s.started(s.rawLoop(s.null.host, n, n)) },
	} {
		var memory []float64
		for _, n := range []int{1, n} {
			b.stand(0, true, func(s *stand) {
				p := start(s, n)
				s.until(func() bool { return s.null.started.Load() == int64(n) })
				if n > 1 {
					s.pass(30 * time.Second / time.Duration(b.scale))
				}
				memory = append(memory, p.memory())
			})
		}
		each = append(each, (memory[1]-memory[0])/float64(n-1)/1024)
	}
	b.row("memory a running job, 2,000 attached", "KiB", each[0], each[1])
}

// realEngine measures short jobs on the lab's engine.
func (b *bench) realEngine() {
	n := max(60/b.scale, 2)
	v := b.median(func() (all []float64) {
		b.stand(1, false, func(s *stand) { all = s.jobs(s.dockerHost, n, 8, false) })
		b.stand(1, false, func(s *stand) { all = append(all, s.rawJobs(s.dockerHost, n, 8)...) })
		return all
	})
	b.row("jobs a second on a real engine, -c 8", "", v[0], v[2])
}

// nullEngine measures short jobs on an engine that costs their client nothing.
func (b *bench) nullEngine(parallel int) {
	n := 3000 / b.scale
	v := b.median(func() (all []float64) {
		for _, measure := range []func(s *stand) []float64{
			func(s *stand) []float64 { return s.jobs(s.null.host, n, parallel, false) },
			func(s *stand) []float64 { return s.jobs(s.null.host, n, parallel, true) },
			func(s *stand) []float64 { return s.rawJobs(s.null.host, n, parallel) },
		} {
			b.stand(1, false, func(s *stand) { all = slices.Concat(all, measure(s)) })
		}
		return all
	})
	at := fmt.Sprintf(", -c %d", parallel)
	b.row("jobs a second"+at, "", v[0], v[4])
	b.row("jobs a second, with message_id"+at, "", v[2], v[4])
	b.row("processor time a job"+at, "us", v[1]*1e6, v[5]*1e6)
	b.row("processor time a job, with message_id"+at, "us", v[3]*1e6, v[5]*1e6)
}
