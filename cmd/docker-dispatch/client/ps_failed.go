package client

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

// failed returns the jobs that ended badly lately, the last one first, each with its error on a line of its own.
func (v *view) failed() string {
	type failure struct {
		host, letters string
		age           time.Duration
		status.Job
	}
	var all []failure
	for i := range v.daemons {
		s := &v.daemons[i]
		for _, j := range s.Ended {
			if bad(j.Status) && j.Ended != nil {
				all = append(all, failure{s.Host, s.DeadLetterQueue, s.At.Sub(*j.Ended), j})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b failure) int { return cmp.Compare(a.age, b.age) })
	var b strings.Builder
	if len(all) == 0 {
		v.say(&b, "%s: no job has failed lately", v.queue)
	}
	rows := head("HOST", "JOB", "COMMAND", "CONTAINER", "IMAGE", "AGE", "STATUS", "REASON", "EXIT", "MESSAGE")
	for _, f := range all {
		exit, message, host := "", "acked", ""
		if f.ExitCode != nil {
			exit = strconv.Itoa(*f.ExitCode)
		}
		switch {
		case f.Retrying:
			message = "tried again"
		case f.DeadLetter && f.letters != "":
			message = "in " + f.letters
		case f.DeadLetter:
			message = "rejected"
		}
		if len(v.daemons) > 1 {
			host = f.host
		}
		row := cells(host, f.Job.Job, f.Command, container(f.Job), f.Image, ageText(f.age), f.Status, f.Reason, exit, message)
		row[6].Colour = statusColour(f.Status)
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
