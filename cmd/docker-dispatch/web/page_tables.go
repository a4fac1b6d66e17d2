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
	h.put(`<h2 id="running-h">Running <span>{}</span></h2>`, number(v.Running.Count))
	if v.Running.Count == 0 {
		h.put("\n" + `<p class="none">No job runs.</p>`)
		return
	}
	h.beginTable("running", "Job", "Since", "Command", "Phase", "Container", "Image")
	jobs := v.Running.Jobs[:min(len(v.Running.Jobs), mostRunning)]
	for _, j := range jobs {
		v.beginRow(h, key(j), j, began(j))
		h.put(`<td role="cell" class="word">{}{}</td>`, j.Phase, onlyIf(j.Adopted, ", adopted"))
		h.wide("container", name(j.ContainerName))
		h.wide("image", name(j.Image))
		h.put("</tr>")
	}
	h.endTable(v.Running.Count - len(jobs))
}

// waiting lists the jobs that the engine was not asked for yet.
func (v *view) waiting(h *htmlWriter) {
	h.put(`<h2 id="waiting-h">Waiting here <span>{}</span></h2>`, number(v.Waiting.Count))
	if v.Waiting.Count == 0 {
		h.put("\n" + `<p class="none">The daemon holds no job that waits.</p>`)
		return
	}
	h.beginTable("waiting", "Job", "Here for", "Command", "Published", "Waits for", "Container", "Image")
	jobs := v.Waiting.Jobs[:min(len(v.Waiting.Jobs), mostWaiting)]
	for _, j := range jobs {
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
		h.put("</tr>")
	}
	h.endTable(v.Waiting.Count - len(jobs))
}

// ended lists the attempts that ended last.
func (v *view) ended(h *htmlWriter) {
	h.put(`<h2 id="ended-h">Just ended</h2>`)
	if len(v.Ended) == 0 {
		h.put("\n" + `<p class="none">No job has ended since the start.</p>`)
		return
	}
	h.beginTable("ended", "Job", "Ended", "Command", "Status", "Reason", "Code", "Took", "Error")
	jobs := v.Ended[:min(len(v.Ended), mostEnded)]
	for _, j := range jobs {
		v.beginRow(h, key(j), j, *j.Ended)
		h.put(`<td role="cell" class="word {}">{}{}</td>`, tone(j.Status), j.Status, onlyIf(j.Retrying, ", tried again"))
		h.endRow(j, "took", "took", took(j))
	}
	h.endTable(len(v.Ended) - len(jobs))
}

// failed lists the attempts that failed last, however long ago.
func (v *view) failed(h *htmlWriter) {
	_, total := v.Totals()
	h.put(`<h2 id="failed-h">Failures since the start <span>{}</span></h2>`, number(total))
	if len(v.Failed) == 0 {
		h.put("\n" + `<p class="none">No job has failed since the start.</p>`)
		return
	}
	h.beginTable("failed", "Job", "Ended", "Command", "Status", "Reason", "Code", "Message", "Error")
	jobs := v.Failed[:min(len(v.Failed), mostFailed)]
	for _, j := range jobs {
		v.beginRow(h, "f"+key(j), j, *j.Ended)
		h.put(`<td role="cell" class="word bad">{}</td>`, j.Status)
		h.endRow(j, "message", "where", v.MessageOf(j))
	}
	h.endTable(int(total) - len(jobs))
}

// outcomes lists how the attempts since the start ended.
func (v *view) outcomes(h *htmlWriter) {
	total, _ := v.Totals()
	h.put(`<h2 id="outcomes-h">Since the start <span>{}</span></h2>`, number(total))
	if len(v.Outcomes) == 0 {
		h.put("\n" + `<p class="none">No job has ended since the start.</p>`)
		return
	}
	h.beginTable("outcomes", "Command", "Status", "Reason", "Jobs")
	for _, o := range v.Outcomes {
		h.put("\n"+`<tr role="row"><th role="rowheader" scope="row">{}</th>`, cmp.Or(o.Command, "not decoded"))
		h.put(`<td role="cell" class="{}">{}</td><td role="cell">{}</td>`, tone(o.Status), o.Status, o.Reason)
		h.put(`<td role="cell" class="count">{}</td></tr>`, number(o.Count))
	}
	h.endTable(0)
}

// beginTable begins the table of a section. On a phone the rows are shown as blocks: without the roles a screen reader would
// find no table.
func (h *htmlWriter) beginTable(section string, columns ...string) {
	h.put("\n"+`<table role="table" aria-labelledby="{}-h">
<thead><tr role="row">`, section)
	for _, c := range columns {
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
}

// endTable ends a table that leaves out more rows.
func (h *htmlWriter) endTable(more int) {
	h.put("\n</tbody></table>")
	if more > 0 {
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

// endRow ends the row of a job that ended: with its reason, its exit code, one more fact, and its error.
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
	h.put("</td></tr>")
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
