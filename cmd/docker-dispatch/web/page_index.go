package web

import (
	"strconv"
	"time"
)

// A section is a part of a page that the events renew.
type section struct {
	id    string // of its element
	write func(*htmlWriter)
}

// sections returns those of the first page.
func (v *view) sections() []section {
	return []section{{"state", v.state}, {"running", v.running}, {"waiting", v.waiting}, {"ended", v.ended}, {"failed", v.failed}, {"outcomes", v.outcomes}}
}

// index writes the whole first page.
func (v *view) index(h *htmlWriter) {
	v.top(h, v.title(), "")
	h.put(`<a class="skip" href="#running">Skip to the jobs</a>
<p id="lost" role="status" hidden></p>
<header>
<span class="brand">docker-dispatch</span>
<span id="at">{} UTC</span>
<nav aria-label="On this page"><a href="#running">Running</a> <a href="#waiting">Waiting</a> <a href="#ended">Just ended</a> <a href="#failed">Failures</a> <a href="#outcomes">Since the start</a></nav>
</header>
<main>
`, v.At.Format(time.TimeOnly))
	for _, s := range v.sections() {
		h.put(`<section id="{}">`, s.id)
		s.write(h)
		h.put("</section>\n")
	}
	h.put("</main>\n")
	v.bottom(h)
}

// title names the daemon.
func (v *view) title() string {
	title := name(v.Queue).Short + " on " + name(v.Host).Short
	if !v.Ready {
		return "Not ready: " + title
	}
	return title
}

// top begins a page. The query is that of its events.
func (v *view) top(h *htmlWriter, title, query string) {
	h.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<link rel="icon" href="data:,">
<style>`)
	h.put(style)
	h.put(`</style>
<title>{}</title>
</head>
<body data-url="events{}" data-version="{}">
`, title, query, v.Version)
}

// bottom ends a page.
func (v *view) bottom(h *htmlWriter) {
	h.put("<footer>\n<p>docker-dispatch {}, process {}, started ", v.Version, strconv.Itoa(v.PID))
	v.ago(h, v.Since)
	h.put(` ago. <noscript>Without JavaScript this page loads itself again every 10 s.</noscript></p>
<p><a href="readyz">readyz</a> <a href="metrics">metrics</a></p>
</footer>
<script>`)
	h.put(script)
	h.put("</script>\n</body>\n</html>\n")
}
