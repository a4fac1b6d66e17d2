package web

import (
	"cmp"
	"net/url"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Most rows of each table. The counts above the tables are exact.
const (
	mostRunning = 100
	mostWaiting = 50
	mostEnded   = 50
	mostFailed  = status.MostEnded
)

// running lists the jobs that the engine may have been asked for.
func (v *view) running(h *htmlWriter) {
	n := v.Running.Count
	l := list{"running", "Running", number(n), "No job runs.", []string{"Job", "Since", "Command", "Phase", "Container", "Image"}}
	table(h, l, n, v.Running.Jobs, mostRunning, func(j status.Job) {
		v.beginRow(h, key(j), j, began(j))
		h.put(`<td role="cell" class="word">{}{}</td>`, j.Phase, onlyIf(j.Adopted, ", adopted"))
		h.wide("container", name(j.ContainerName))
		h.wide("image", name(j.Image))
	})
}

// waiting lists the jobs that the engine was not asked for yet.
func (v *view) waiting(h *htmlWriter) {
	n := v.Waiting.Count
	l := list{"waiting", "Waiting here", number(n), "The daemon holds no job that waits.", []string{"Job", "Here for", "Command", "Published", "Waits for", "Container", "Image"}}
	table(h, l, n, v.Waiting.Jobs, mostWaiting, func(j status.Job) {
		v.beginRow(h, key(j), j, j.Taken)
		h.put(`<td role="cell" class="word" data-label="published">`)
		if j.Published != nil {
			v.ago(h, *j.Published)
			h.put(" ago")
		}
		h.put(`</td><td role="cell" data-label="waits for">`)
		h.text(sentence(j.For))
		h.put("</td>")
		h.wide("container", name(j.ContainerName))
		h.wide("image", name(j.Image))
	})
}

// ended lists the attempts that ended last.
func (v *view) ended(h *htmlWriter) {
	l := list{"ended", "Just ended", "", "No job has ended since the start.", []string{"Job", "Ended", "Command", "Status", "Reason", "Code", "Took", "Error"}}
	table(h, l, len(v.Ended), v.Ended, mostEnded, func(j status.Job) {
		v.beginRow(h, key(j), j, *j.Ended)
		h.put(`<td role="cell" class="word {}">{}{}</td>`, tone(j.Status), j.Status, onlyIf(j.Retrying, ", tried again"))
		h.endRow(j, "took", "took", took(j))
	})
}

// failed lists the attempts that failed last, however long ago.
func (v *view) failed(h *htmlWriter) {
	_, total := v.Totals()
	l := list{"failed", "Failures since the start", number(total), "No job has failed since the start.", []string{"Job", "Ended", "Command", "Status", "Reason", "Code", "Message", "Error"}}
	table(h, l, int(total), v.Failed, mostFailed, func(j status.Job) {
		v.beginRow(h, "f"+key(j), j, *j.Ended)
		h.put(`<td role="cell" class="word bad">{}</td>`, j.Status)
		h.endRow(j, "message", "where", v.MessageOf(j))
	})
}

// outcomes lists how the attempts since the start ended.
func (v *view) outcomes(h *htmlWriter) {
	total, _ := v.Totals()
	l := list{"outcomes", "Since the start", number(total), "No job has ended since the start.", []string{"Command", "Status", "Reason", "Jobs"}}
	table(h, l, len(v.Outcomes), v.Outcomes, len(v.Outcomes), func(o status.Outcome) {
		h.put("\n"+`<tr role="row"><th role="rowheader" scope="row">{}</th>`, cmp.Or(o.Command, "not decoded"))
		h.put(`<td role="cell" class="{}">{}</td><td role="cell">{}</td>`, tone(o.Status), o.Status, o.Reason)
		h.put(`<td role="cell" class="count">{}</td>`, number(o.Count))
	})
}

// A list is a section with a table.
type list struct {
	section, title string
	count          string // beside the title
	none           string // in place of a table without rows
	columns        []string
}

// table writes a list of all rows, of which the first are shown, at most so many. On a phone the rows are shown as blocks:
// without the roles a screen reader would find no table.
func table[T any](h *htmlWriter, l list, all int, rows []T, most int, row func(T)) {
	h.put(`<h2 id="{}-h">{}`, l.section, l.title)
	if l.count != "" {
		h.put(" <span>{}</span>", l.count)
	}
	h.put("</h2>\n")
	if all == 0 {
		h.put(`<p class="none">{}</p>`, l.none)
		return
	}
	h.put(`<table role="table" aria-labelledby="{}-h">
<thead><tr role="row">`, l.section)
	for _, c := range l.columns {
		switch c {
		case "Code", "Jobs":
			h.put(`<th role="columnheader" scope="col" class="count">{}</th>`, c)
		case "Took":
			h.put(`<th role="columnheader" scope="col" class="took">{}</th>`, c)
		default:
			h.put(`<th role="columnheader" scope="col">{}</th>`, c)
		}
	}
	h.put("</tr></thead>\n" + `<tbody role="rowgroup">`)
	rows = rows[:min(len(rows), most)]
	for _, r := range rows {
		row(r)
		h.put("</tr>")
	}
	h.put("\n</tbody></table>")
	if more := all - len(rows); more > 0 {
		h.put(`<p class="soft">and {} more, not listed</p>`, number(more))
	}
}

// beginRow begins a row, whose element has the id row, with the job's id, the age of since, and the command.
func (v *view) beginRow(h *htmlWriter, row string, j status.Job, since time.Time) {
	h.put("\n"+`<tr role="row" id="{}"><th role="rowheader" scope="row" class="job">`, row)
	h.link(j)
	h.put(`</th><td role="cell" class="age">`)
	v.ago(h, since)
	h.put(`</td><td role="cell" class="word">{}`, j.Command)
	if j.Attempt > 1 {
		h.put(", attempt {}", strconv.Itoa(j.Attempt))
	}
	h.put("</td>")
}

// link writes a job's id, which leads to the job's page.
func (h *htmlWriter) link(j status.Job) {
	h.put(`<a href="job?id={}">`, url.QueryEscape(j.Job))
	if j.Job == "" {
		h.put("(no id)")
	}
	h.text(name(j.Job))
	h.put("</a>")
}

// endRow writes the rest of the row of a job that ended: its reason, its exit code, one more fact, and its error.
func (h *htmlWriter) endRow(j status.Job, label, class, fact string) {
	code := ""
	if j.ExitCode != nil {
		code = strconv.Itoa(*j.ExitCode)
	}
	h.put(`<td role="cell" class="word">{}</td>`, j.Reason)
	h.put(`<td role="cell" class="count" data-label="code">{}</td>`, code)
	h.put(`<td role="cell" class="{}" data-label="{}">`, class, label)
	h.text(name(fact))
	h.put(`</td><td role="cell" class="error wide">`)
	h.text(sentence(j.Error))
	h.put("</td>")
}

// wide writes a cell. On a phone it has a line of its own, with the label.
func (h *htmlWriter) wide(label string, t text) {
	h.put(`<td role="cell" class="wide" data-label="{}">`, label)
	h.text(t)
	h.put("</td>")
}

// onlyIf returns s, or nothing.
func onlyIf(yes bool, s string) string {
	if yes {
		return s
	}
	return ""
}
