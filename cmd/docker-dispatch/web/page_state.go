package web

import (
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// state writes whether messages are taken, the conditions for that, and the daemon's figures.
func (v *view) state(h *htmlWriter) {
	h.put(`<h1 data-title="{}"><small>Queue</small> `, v.title())
	h.text(name(v.Queue))
	h.put(" <small>on</small> ")
	h.text(name(v.Host))
	h.put("</h1>\n")
	if v.Ready {
		h.put(`<div class="panel">
<p role="status"><b class="good">Ready.</b> Messages are taken from the queue.</p>
`)
	} else {
		h.put(`<div class="panel bad-panel">
<p role="status"><b class="bad">Not ready.</b> Messages are not taken, or jobs cannot be settled:</p>
`)
	}
	h.conditions("bad", v.in(status.Unmet))
	h.conditions("warn", v.in(status.Warning))
	if met := v.in(status.Met); len(met) > 0 {
		names := make([]string, len(met))
		for i, c := range met {
			names[i] = c.Name
		}
		h.put("<details><summary>{}: ok</summary>", strings.Join(names, ", "))
		h.conditions("good", met)
		h.put("</details>")
	}
	h.put("\n</div>\n")
	v.tiles(h)
	v.longest(h)
}

// in returns the conditions of a state.
func (v *view) in(state status.State) []status.Condition {
	return slices.DeleteFunc(slices.Clone(v.Conditions), func(c status.Condition) bool { return c.State != state })
}

// conditions lists conditions, whose states have that class.
func (h *htmlWriter) conditions(class string, all []status.Condition) {
	if len(all) == 0 {
		return
	}
	h.put(`<ul class="conditions">`)
	for _, c := range all {
		h.put(`<li><b class="{}">{}</b> <span>{}</span> <span>`, class, string(c.State), c.Name)
		h.text(sentence(c.Reason))
		h.put("</span></li>")
	}
	h.put("</ul>")
}

// tiles writes the daemon's figures.
func (v *view) tiles(h *htmlWriter) {
	h.put(`<dl class="tiles">
<div><dt>Slots in use</dt><dd>{} <span class="unit">of {}</span></dd><dd>jobs running: {}</dd></div>
<div><dt>In the queue</dt><dd>`, number(v.InUse), number(v.Slots), number(v.Running.Count))
	if v.Queued != nil {
		h.put("{}", number(*v.Queued))
	} else {
		h.put(`<span class="unit">not known</span>`)
	}
	h.put("</dd><dd>")
	if v.DeadLetters != nil {
		h.put("dead letters: {}", number(*v.DeadLetters))
	}
	h.put("</dd></div>\n<div><dt>Waiting here</dt><dd>{}</dd><dd>", number(v.Waiting.Count))
	h.put(`</dd></div>
<div><dt>Rate</dt><dd>{} <span class="unit">jobs a minute</span></dd><dd>over the last 5 min</dd></div>
<div><dt>Time left</dt><dd>`, v.rate())
	if left, ok := v.TimeLeft(); ok {
		h.put("{}</dd><dd>at this rate", age(left))
	} else {
		h.put(`<span class="unit">not known</span></dd><dd>`)
	}
	total, failed := v.Totals()
	h.put("</dd></div>\n<div><dt>Ended since the start</dt><dd>{}</dd><dd>", number(total))
	if failed > 0 {
		h.put(`<a href="#failed">{} did not succeed</a>`, number(failed))
	}
	h.put("</dd></div>\n</dl>")
}

// longest writes which job has run for longest, and which one that waits has the oldest message.
func (v *view) longest(h *htmlWriter) {
	if j, ok := v.Longest(); ok {
		h.put("\n<p>Longest running: ")
		h.link(j)
		h.put(" for ")
		v.ago(h, began(j))
		h.put("</p>")
	}
	if j, ok := v.Oldest(); ok {
		h.put("\n<p>Oldest waiting: ")
		h.link(j)
		if j.Published != nil {
			h.put(", published ")
			v.ago(h, *j.Published)
			h.put(" ago; here for ")
		} else {
			h.put(", here for ")
		}
		v.ago(h, j.Taken)
		h.put(", waits for ")
		h.text(sentence(j.For))
		h.put("</p>")
	}
}
