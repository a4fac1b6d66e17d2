package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// A bench measures the program beside a rawLoop, and collects a table.
type bench struct {
	*testing.T
	ctx   context.Context // its end ends what is measured
	scale int             // all is smaller by that; 1 in scripts/bench
	rows  []benchRow
}

// A benchRow is a line of the table. Raw is 0 if the raw loop has no such value.
type benchRow struct {
	What, Unit string
	Dispatch   float64
	Raw, Ratio float64 `json:",omitzero"`
}

// TestBench measures for scripts/bench. Without that it does a hundredth, and shows only that what is measured works.
func TestBench(t *testing.T) {
	if rawLoopAsked(t) {
		return
	}
	b := &bench{T: t, ctx: t.Context(), scale: 100}
	file := os.Getenv("DISPATCH_BENCH")
	if file == "" {
		t.Parallel()
	} else {
		b.scale = 1
		ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		within, err := time.ParseDuration(os.Getenv("DISPATCH_BENCH_WITHIN"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not all is measured within %v", within))
		defer cancel()
		b.ctx = ctx
	}
	for _, measure := range []func(){b.withoutJobs, b.publishToStart, b.output, b.held, b.realEngine, func() { b.nullEngine(8) }, func() { b.nullEngine(32) }} {
		measure()
	}
	for _, r := range b.rows {
		if !strings.Contains(pages(t)["operate.md"], "\n| "+r.What+" |") {
			t.Errorf("operate.md has no row %q", r.What)
		}
	}
	if file == "" {
		return
	}
	text := b.table(os.Getenv("DISPATCH_BENCH_JSON") != "")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) row(what, unit string, dispatch, raw float64) {
	r := benchRow{What: what, Unit: unit, Dispatch: dispatch, Raw: raw}
	if raw != 0 {
		r.Ratio = dispatch / raw
	}
	b.rows = append(b.rows, r)
}

// median measures three times, or fewer if that takes more than 20 s, and returns the median of each value.
func (b *bench) median(measure func() []float64) (medians []float64) {
	var runs [][]float64
	for began := time.Now(); len(runs) == 0 || b.scale == 1 && len(runs) < 3 && time.Since(began) < 20*time.Second; {
		runs = append(runs, measure())
	}
	for k := range runs[0] {
		var values []float64
		for _, run := range runs {
			values = append(values, run[k])
		}
		medians = append(medians, quantile(values, 0.5))
	}
	return medians
}

func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[int(q*float64(len(values)-1)+0.5)]
}

// table returns the rows and the machine, for a person or as one JSON object.
func (b *bench) table(asJSON bool) []byte {
	l := newLab(b.T)
	var engine struct{ Version string }
	if err := json.Unmarshal(l.engineCall("GET", "/version"), &engine); err != nil {
		b.Fatal(err)
	}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(cpuinfo), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	all := struct {
		Cores                         int
		Processor, Go, Engine, Broker string
		Rows                          []benchRow
	}{runtime.NumCPU(), model, runtime.Version(), engine.Version, fmt.Sprint(l.broker.Conn().Properties["version"]), b.rows}
	if asJSON {
		text, err := json.Marshal(all)
		if err != nil {
			b.Fatal(err)
		}
		return append(text, '\n')
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d cores of %s, %s, Docker %s, RabbitMQ %s\n\n", all.Cores, all.Processor, all.Go, all.Engine, all.Broker)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "docker-dispatch\traw loop\tratio\t\t\n")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s\n", digits(r.Dispatch), digits(r.Raw), digits(r.Ratio), r.Unit, r.What)
	}
	w.Flush()
	text.WriteString("\nIf no real engine is named, a null engine answers at once from memory. The raw loop has no broker. Results are counted, not\n" +
		"removals: with a message_id a container stays some seconds after its ack, on purpose.\n")
	return []byte(text.String())
}

// digits returns the first three digits of a value, and nothing for 0.
func digits(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
