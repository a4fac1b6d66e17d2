package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// mostEntries is how many messages with the id of a job its page shows.
const mostEntries = 20

// A jobView is what is known of a job.
type jobView struct {
	*view
	id      string
	entries []status.Job // the message that waits or runs first, then its attempts that have ended
}

// of returns the view of one job.
func (v *view) of(id string) jobView {
	w := jobView{view: v, id: id}
	have := make(map[string]bool)
	for _, j := range slices.Concat(v.Running.Jobs, v.Waiting.Jobs, v.Ended, v.Failed) {
		if j.Job == id && !have[key(j)] && len(w.entries) < mostEntries {
			w.entries = append(w.entries, j)
			have[key(j)] = true
		}
	}
	return w
}

// jobPage writes the whole page of the job.
func (v jobView) jobPage(h *htmlWriter) {
	query := url.QueryEscape(v.id)
	v.top(h, name(v.id).Short+": "+name(v.Queue).Short+" on "+name(v.Host).Short, "?id="+query)
	if v.container() != "" {
		h.put(`<a class="skip" href="#log-h">Skip to the log</a>` + "\n")
	}
	h.put(`<p id="lost" role="status" hidden></p>
<header>
<span class="brand">docker-dispatch</span>
<a href="./">All jobs</a>
<span id="at">{} UTC</span>
<span>Queue `, v.At.Format(time.TimeOnly))
	h.text(name(v.Queue))
	h.put(" on ")
	h.text(name(v.Host))
	h.put(`</span>
</header>
<main>
<h1><small>Job</small> <bdi>{}</bdi></h1>
<section id="job">`, whole(v.id))
	v.job(h)
	h.put(`</section>
<pre id="log" tabindex="0" role="log" aria-live="off" aria-labelledby="log-h" data-href="log?id={}"></pre>
</main>
`, query)
	v.bottom(h)
}

// job writes what is known of the job, and the head of its log, which follows.
func (v jobView) job(h *htmlWriter) {
	for _, j := range v.entries {
		v.entry(h, j)
	}
	if len(v.entries) == 0 {
		h.put(`<p class="panel">The daemon does not know this job now. `+
			"It knows the jobs that wait or run here, the last {} that ended, and the last {} that failed.</p>\n", number(len(v.Ended)), number(len(v.Failed)))
	}
	// The script tells the log of the job's present container from those of its other attempts by the container's id.
	h.put(`<div data-log="{}">`, v.container())
	if v.container() == "" {
		h.put(`<p class="soft">It has no container, and so no log.</p>`)
	} else {
		h.put(`<h2 id="log-h">Log</h2>
<p class="soft">The last 500 lines, and what follows until the container exits. <a href="log?id={}">As plain text</a></p>`, url.QueryEscape(v.id))
	}
	h.put("</div>")
}

// container returns the id of the container whose log is shown; "": there is none.
func (v jobView) container() string {
	if len(v.entries) == 0 {
		return ""
	}
	return v.entries[0].ContainerID
}

// entry writes what is known of one message.
func (v jobView) entry(h *htmlWriter, j status.Job) {
	h.put(`<div class="panel" id="{}"><dl class="facts">`+"\n", key(j))
	command := cmp.Or(j.Command, "the message could not be decoded")
	if j.Attempt > 0 {
		command += fmt.Sprintf(", attempt %d", j.Attempt)
	}
	h.put("<dt>Command</dt><dd>{}</dd>\n", command)
	switch {
	case j.Ended != nil:
		h.put(`<dt>Status</dt><dd><span class="{}">{}</span>{}</dd>`+"\n", tone(j.Status), j.Status, why(j))
	case j.For != "":
		h.put("<dt>Phase</dt><dd>{} for <bdi>{}</bdi></dd>\n", j.Phase, whole(j.For))
	default:
		h.put("<dt>Phase</dt><dd>{}</dd>\n", j.Phase)
	}
	h.fact("Error", j.Error)
	if j.Ended != nil {
		h.fact("Message", v.MessageOf(j))
	}
	h.fact("Image", j.Image)
	h.fact("Container", j.ContainerName)
	if j.ContainerID != "" {
		h.put(`<dt>Container's id</dt><dd class="id">{}</dd>`+"\n", j.ContainerID)
	}
	h.fact("User", j.User)
	v.when(h, "Published", j.Published)
	v.when(h, "Taken", &j.Taken)
	v.when(h, "Started", j.Started)
	v.when(h, "Ended", j.Ended)
	if t := took(j); t != "" {
		h.put("<dt>Took</dt><dd>{}</dd>\n", t)
	}
	h.put("</dl>")
	if j.ContainerID != "" && j.Command == "exec" {
		h.put(`<p class="soft">The log is that of the container, which has no output of an exec.</p>`)
	}
	h.put("</div>\n")
}

// why returns what follows the status of an ended job.
func why(j status.Job) (s string) {
	if j.Reason != "" {
		s += ": " + j.Reason
	}
	if j.ExitCode != nil {
		s += fmt.Sprintf(", code %d", *j.ExitCode)
	}
	return s
}

// fact writes what is known, if it is.
func (h *htmlWriter) fact(label, text string) {
	if text != "" {
		h.put("<dt>{}</dt><dd><bdi>{}</bdi></dd>\n", label, whole(text))
	}
}

// when writes the age of a time, if it is known.
func (v *view) when(h *htmlWriter, label string, at *time.Time) {
	if at != nil {
		h.put("<dt>{}</dt><dd>", label)
		v.ago(h, *at)
		h.put(" ago</dd>\n")
	}
}
