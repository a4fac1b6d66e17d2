package ps

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A view is what the daemons of a queue have answered, and how it is shown. Everything in it may be a stranger's.
type view struct {
	queue     string
	queued    int // messages in the queue; unknown: the broker has not told
	consumers int // of the queue; the same
	daemons   []status.Status

	width   int
	colours bool
}

// all returns all that is shown without --failed.
func (v *view) all() string {
	var b strings.Builder
	v.say(&b, "%s: %s", v.queue, v.summary())
	for _, line := range []string{v.longest(), v.oldest(), v.silent()} {
		if line != "" {
			v.say(&b, "%s", line)
		}
	}
	v.section(&b, "", v.hosts())
	for _, s := range v.daemons {
		for _, c := range s.Conditions {
			if c.State != status.Met {
				v.say(&b, "%s: %s: %s: %s", s.Host, c.State, c.Name, c.Reason)
			}
		}
	}
	if slices.ContainsFunc(v.daemons, isHost) {
		v.say(&b, "Hosts that are down, and what waits for them: docker-dispatch hosts -q %s", v.queue)
	}
	running, n := v.jobs(true)
	v.section(&b, "Running: "+counted(n, len(running)-1), running)
	waiting, n := v.jobs(false)
	v.section(&b, "Taken, not begun: "+counted(n, len(waiting)-1), waiting)
	v.section(&b, "Ended since the start of the daemon (--failed lists those that failed):", v.outcomes())
	return b.String()
}

// isHost reports whether a daemon is one of several that share the queue.
func isHost(s status.Status) bool {
	return slices.ContainsFunc(s.Conditions, func(c status.Condition) bool { return c.Name == "claims" })
}

// say writes a line, cut to the width.
func (v *view) say(b *strings.Builder, format string, args ...any) {
	fmt.Fprintln(b, ui.Cut(ui.PlainLine(fmt.Sprintf(format, args...)), v.width))
}

// section writes a table under its title, unless it has no rows.
func (v *view) section(b *strings.Builder, title string, rows [][]ui.Cell) {
	if len(rows) < 2 {
		return
	}
	fmt.Fprintln(b)
	if title != "" {
		v.say(b, "%s", title)
	}
	for _, line := range v.lines(rows) {
		fmt.Fprintln(b, line)
	}
}

// lines lays out a table.
func (v *view) lines(rows [][]ui.Cell) []string {
	return ui.Table{Rows: rows, Width: v.width, Colours: v.colours}.Lines()
}

// summary says how much waits, and how long it will take.
func (v *view) summary() string {
	queued, dead, rate, waiting, running, settling, retrying := v.queued, unknown, 0.0, 0, 0, 0, 0
	for _, s := range v.daemons {
		if s.Queued != nil && v.queued == unknown {
			queued = max(queued, *s.Queued)
		}
		if s.DeadLetters != nil {
			dead = max(dead, *s.DeadLetters)
		}
		rate += s.PerMinute
		running += max(0, s.Running.Count)
		waiting += max(0, s.Waiting.Count)
		settling += max(0, s.Settling)
		if s.Retrying != nil {
			retrying = max(retrying, *s.Retrying)
		}
	}
	var parts []string
	if queued != unknown {
		parts = append(parts, fmt.Sprintf("%d queued", queued))
	}
	if dead != unknown {
		parts = append(parts, ui.Counted(dead, "dead letter"))
	}
	if retrying > 0 {
		parts = append(parts, fmt.Sprintf("%d to be tried again", retrying))
	}
	if settling > 0 {
		parts = append(parts, fmt.Sprintf("%d ended, with results not stored yet", settling))
	}
	parts = append(parts, strings.Replace(rateText(rate), "/", " jobs/", 1))
	switch waiting += max(0, queued); {
	case waiting == 0 && running+retrying+settling == 0:
		parts = append(parts, "nothing to do")
	case waiting == 0:
		parts = append(parts, "nothing waits")
	case !slices.ContainsFunc(v.daemons, func(s status.Status) bool { return s.Ready }):
		parts = append(parts, "no daemon is ready")
	case rate > 0:
		parts = append(parts, "queue done in about "+ui.Age(status.Span(waiting, rate)))
	default:
		parts = append(parts, "no job has ended yet")
	}
	return strings.Join(parts, ", ")
}

// oldest says which waiting job's message is the oldest, and what the job waits for; "": none waits.
func (v *view) oldest() (line string) {
	age := time.Duration(0)
	for _, s := range v.daemons {
		j, ok := s.Oldest()
		if !ok || line != "" && j.Age(s.At) <= age {
			continue
		}
		age = j.Age(s.At)
		line = fmt.Sprintf("at %s for %s, waits for %s", s.Host, ui.Age(s.At.Sub(j.Taken)), j.For)
		if j.Published != nil {
			line = fmt.Sprintf("published %s ago; %s", ui.Age(age), line)
		}
		line = fmt.Sprintf("oldest waiting: %s, %s", j.Job, line)
	}
	if line == "" && slices.ContainsFunc(v.daemons, func(s status.Status) bool { return s.Queued != nil && *s.Queued > 0 }) {
		line = "oldest waiting: not known, as no daemon has taken it yet"
	}
	return line
}

// longest says which job has run for longest; "": none runs.
func (v *view) longest() (line string) {
	runs := time.Duration(0)
	for _, s := range v.daemons {
		if j, ok := s.Longest(); ok && (line == "" || j.Runs(s.At) > runs) {
			runs = j.Runs(s.At)
			line = fmt.Sprintf("longest running: %s for %s at %s", j.Job, ui.Age(runs), s.Host)
		}
	}
	return line
}

// hosts returns one row for each daemon.
func (v *view) hosts() [][]ui.Cell {
	rows := [][]ui.Cell{ui.Cells("HOST", "STATE", "SLOTS", "WAITING", "ENDED", "FAILED", "RATE", "ENGINE", "INTAKE", "UP")}
	for _, s := range v.daemons {
		ended, failed := s.Totals()
		row := ui.Cells(s.Host, "", fmt.Sprintf("%d/%d", s.InUse, s.Slots), strconv.Itoa(s.Waiting.Count),
			fmt.Sprint(ended), fmt.Sprint(failed), rateText(s.PerMinute), engine(s), takes(s), ui.Age(s.At.Sub(s.Since)))
		row[1] = state(s)
		if failed > 0 {
			row[5].Colour = ui.Red
		}
		rows = append(rows, row)
	}
	return rows
}

// state says whether a daemon can work.
func state(s status.Status) ui.Cell {
	switch {
	case !s.Ready:
		return ui.Cell{Text: "not ready", Colour: ui.Red}
	case slices.ContainsFunc(s.Conditions, func(c status.Condition) bool { return c.State == status.Warning }):
		return ui.Cell{Text: "ready, warns", Colour: ui.Yellow}
	}
	return ui.Cell{Text: "ready", Colour: ui.Green}
}

// engine says how the daemon's engine is.
func engine(s status.Status) string {
	for _, c := range s.Conditions {
		if c.Name == "engine" {
			return string(c.State)
		}
	}
	return "-"
}

// takes says whether the daemon takes messages. Two conditions do not keep it from that: jobs wait to be settled instead, or
// only the control queue is away.
func takes(s status.Status) string {
	for _, c := range s.Conditions {
		if c.State == status.Unmet && c.Name != "publishing" && c.Name != "control" {
			return "closed"
		}
	}
	return "open"
}

// jobs returns one row for each job that runs, or that waits, and how many there are. The host is shown if there are several.
func (v *view) jobs(running bool) (rows [][]ui.Cell, n int) {
	age, last := "PUBLISHED", "WAITS FOR"
	if running {
		age, last = "SINCE", "PHASE"
	}
	rows = [][]ui.Cell{ui.Cells("HOST", "JOB", "COMMAND", "CONTAINER", "IMAGE", "USER", age, "HERE", "ATTEMPT", last)}
	for _, s := range v.daemons {
		list, host := s.Waiting, ""
		if running {
			list = s.Running
		}
		n += list.Count
		if len(v.daemons) > 1 {
			host = s.Host
		}
		for _, j := range list.Jobs {
			since, here, what := "", ui.Age(s.At.Sub(j.Taken)), j.For
			switch {
			case running:
				since, here, what = ui.Age(j.Runs(s.At)), "", j.Phase
			case j.Published != nil:
				since = ui.Age(j.Age(s.At))
			}
			rows = append(rows, ui.Cells(host, j.Job, j.Command, container(j), j.Image, j.User, since, here, attempt(j), what))
		}
	}
	return rows, n
}

// counted says how many there are, if not all are listed.
func counted(n, listed int) string {
	if n > listed {
		return fmt.Sprintf("%d, %d of them not listed", n, n-listed)
	}
	return strconv.Itoa(n)
}

func container(j status.Job) string {
	return cmp.Or(strings.TrimPrefix(j.ContainerName, "/"), j.ContainerID[:min(len(j.ContainerID), 12)])
}

func attempt(j status.Job) string {
	if j.Attempt == 0 {
		return ""
	}
	return strconv.Itoa(j.Attempt)
}

// outcomes returns one row for each way in which jobs have ended, of all daemons together.
func (v *view) outcomes() [][]ui.Cell {
	total := make(map[status.Outcome]int64)
	var kinds []status.Outcome
	for _, s := range v.daemons {
		for _, o := range s.Outcomes {
			n := o.Count
			o.Count = 0
			if total[o] == 0 {
				kinds = append(kinds, o)
			}
			total[o] += n
		}
	}
	slices.SortFunc(kinds, func(a, b status.Outcome) int {
		return cmp.Or(cmp.Compare(total[b], total[a]), cmp.Compare(a.Command+a.Status+a.Reason, b.Command+b.Status+b.Reason))
	})
	rows := [][]ui.Cell{ui.Cells("JOBS", "COMMAND", "STATUS", "REASON")}
	for _, o := range kinds {
		row := ui.Cells(fmt.Sprint(total[o]), cmp.Or(o.Command, "-"), o.Status, o.Reason)
		row[2].Colour = ui.Green
		if o.Failed() {
			row[2].Colour = ui.Red
		}
		rows = append(rows, row)
	}
	return rows
}

func rateText(perMinute float64) string {
	digits := 0
	if perMinute < 10 {
		digits = 1
	}
	return strings.TrimSuffix(strconv.FormatFloat(perMinute, 'f', digits, 64), ".0") + "/min"
}
