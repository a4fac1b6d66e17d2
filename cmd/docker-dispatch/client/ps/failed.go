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

// failed returns how many jobs have failed, and the last of them, each with its error on a line of its own.
func (v *view) failed() string {
	type failure struct {
		host, message string
		age           time.Duration
		status.Job
	}
	var all []failure
	total := int64(0)
	for _, s := range v.daemons {
		_, failed := s.Totals()
		total += failed
		for _, j := range s.Failed {
			if j.Ended != nil {
				all = append(all, failure{s.Host, s.MessageOf(j), s.At.Sub(*j.Ended), j})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b failure) int { return cmp.Compare(a.age, b.age) })
	var b strings.Builder
	which := strconv.FormatInt(total, 10)
	if n := int64(len(all)); n < total {
		which = fmt.Sprintf("the last %d of %d that", n, total)
	}
	v.say(&b, "%s: %s failed since the start of the daemon", v.queue, which)
	if len(all) > 0 {
		fmt.Fprintln(&b)
	}
	rows := [][]ui.Cell{ui.Cells("HOST", "JOB", "COMMAND", "CONTAINER", "IMAGE", "AGE", "STATUS", "REASON", "EXIT", "MESSAGE")}
	for _, f := range all {
		exit, host := "", ""
		if f.ExitCode != nil {
			exit = strconv.Itoa(*f.ExitCode)
		}
		if len(v.daemons) > 1 {
			host = f.host
		}
		row := ui.Cells(host, f.Job.Job, f.Command, container(f.Job), f.Image, ui.Age(f.age), f.Status, f.Reason, exit, f.message)
		row[6].Colour = ui.Red
		rows = append(rows, row)
	}
	for i, line := range v.lines(rows) {
		if len(all) > 0 {
			fmt.Fprintln(&b, line)
		}
		if i > 0 && all[i-1].Error != "" {
			fmt.Fprintf(&b, "    %s\n", ui.Cut(ui.PlainLine(all[i-1].Error), v.width-4))
		}
	}
	if silent := v.silent(); silent != "" {
		fmt.Fprintln(&b)
		v.say(&b, "%s", silent)
	}
	return b.String()
}
