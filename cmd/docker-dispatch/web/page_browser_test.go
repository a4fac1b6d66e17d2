package web

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestPageInBrowser looks at the page with a real browser.
func TestPageInBrowser(t *testing.T) {
	b := newBrowser(t)
	for name, test := range map[string]func(*testing.T, *browser){
		"a stranger's script does not run": browserHostile, "it changes in place": browserLive, "without JavaScript": browserNoScript,
		"a phone": browserPhone, "colours": browserColours, "the keyboard": browserKeyboard, "the daemon is away": browserLost,
		"a job's log": browserLog, "the failures": browserFailures, "another version": browserVersion,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// calm fails if the console has anything, a dialog came, or a stranger's script ran.
func (p *tab) calm() {
	p.t.Helper()
	if c := p.complaints(); len(c) > 0 {
		p.t.Errorf("the browser complains:\n%.3000s", strings.Join(c, "\n"))
	}
	if got := p.eval("typeof window.stranger"); got != "undefined" {
		p.t.Error("a stranger's script ran")
	}
}

func browserHostile(t *testing.T, b *browser) {
	f := crowded()
	f.log = func(ctx context.Context, job string, w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(hostile, "\n"))
		return err
	}
	server := f.serve(t)
	page := b.open(t, server)
	f.set(func(s *status.Status) { // the texts come once more, by an event
		for i := range s.Running.Jobs {
			s.Running.Jobs[i].Phase = "exited"
		}
		s.Conditions[0].Reason = strings.Join(hostile[:8], " ")
	})
	page.until("the update", "document.querySelector('#running td:nth-child(4)').textContent === 'exited'")
	if got := page.eval("[document.scripts.length, document.querySelectorAll('h1').length, document.querySelectorAll('img').length, document.querySelectorAll('#running tbody tr').length].join()"); got != "1,1,0,100" {
		t.Errorf("scripts, h1, images, rows: %v", got)
	}
	page.eval("document.querySelectorAll('a, td, th').forEach(e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))")
	// A stranger's text takes its place and no other: no row reaches into the next one.
	if got := page.eval(`[...document.querySelectorAll('bdi')].filter(b => { const c = b.closest('td, th'); return c && b.getBoundingClientRect().right > c.getBoundingClientRect().right + 1 }).length`); got != 0.0 {
		t.Errorf("%v texts leave their cells", got)
	}
	page.calm()
	for i, bad := range hostile[:len(hostile)-1] {
		job := b.open(t, server+"/job?id="+url.QueryEscape(fmt.Sprint(bad, i)), phone)
		job.until("the log", "document.getElementById('log').textContent.includes('the log ends here')")
		if got := job.eval("document.documentElement.scrollWidth"); got != 360.0 {
			t.Errorf("the page of job %q is %v wide", bad, got)
		}
		job.calm()
	}
}

// browserLive: an update leaves alone what stays: the focus, what is selected and unfolded, and the place on the screen.
func browserLive(t *testing.T, b *browser) {
	f := busy()
	for i := range 40 {
		f.status.Ended = append(f.status.Ended, status.Job{Job: fmt.Sprint("old-", i), Command: "run", Status: "succeeded", Ended: new(time.Now().Add(-time.Hour))})
	}
	page := b.open(t, f.serve(t))
	page.until("the first update", "document.querySelector('#ended time').textContent !== ''")
	page.eval(`(() => {
		document.querySelector('details').open = true;
		window.link = [...document.querySelectorAll('#ended a')].find(a => a.textContent === 'old-20');
		link.focus();
		link.scrollIntoView({block: 'center'});
		getSelection().selectAllChildren(link.closest('tr').querySelector('td:nth-child(4)'));
		window.changed = 0;
		new MutationObserver(all => changed += all.length).observe(document.getElementById('running'), {subtree: true, childList: true, attributes: true});
	})()`)
	place := page.eval("link.getBoundingClientRect().top")
	f.set(func(s *status.Status) {
		s.Ended = append([]status.Job{{Job: "brand-new", Command: "run", Status: "failed", Reason: "exit", ExitCode: new(9), Ended: new(time.Now())}}, s.Ended...)
		s.Queued, s.Conditions[1] = new(555), status.Condition{Name: "broker", State: status.Unmet, Reason: "connection refused"}
	})
	page.until("the new job", "document.querySelector('#ended a').textContent === 'brand-new' && document.getElementById('state').innerText.includes('555')")
	page.until("the title", "document.title === 'Not ready: jobs on web-1'")
	for what, expression := range map[string]string{
		"the focus":        "document.activeElement === link",
		"what is unfolded": "document.querySelector('details').open",
		"the selection":    "String(getSelection()) === 'succeeded'",
		"the running jobs": "changed === 0",
	} {
		if page.eval(expression) != true {
			t.Errorf("the update changed %s", what)
		}
	}
	page.until("the link is where it was", fmt.Sprintf("Math.abs(link.getBoundingClientRect().top - (%v)) < 2", place))
	f.set(func(s *status.Status) {
		s.Running.Jobs, s.Running.Count = s.Running.Jobs[1:], 2
		s.Waiting = status.Jobs{}
	})
	page.until("the ended job is gone", "document.querySelectorAll('#running tbody tr').length === 2 && document.getElementById('waiting').innerText.includes('holds no job')")
	if got := page.eval("[...document.querySelectorAll('#running a')].map(a => a.textContent).join()"); got != "encode-2026-11-02,encode-2026-11-03" {
		t.Errorf("running: %v", got)
	}
	page.calm()
	page.picture("live")
}

func browserNoScript(t *testing.T, b *browser) {
	page := b.open(t, busy().serve(t), noScript)
	if got := page.eval("document.querySelector('noscript meta[http-equiv=refresh]')?.content"); got != "10" {
		t.Errorf("the page does not load itself again: %v", got)
	}
	text := fmt.Sprint(page.eval("document.body.innerText"))
	for _, want := range []string{"Ready.", "encode-2026-11-01", "50 min", "1,204", "no-such-image", "12,034"} {
		if !strings.Contains(text, want) {
			t.Errorf("not on the page: %s", want)
		}
	}
}

func browserPhone(t *testing.T, b *browser) {
	for name, f := range fakes() {
		page := b.open(t, f.serve(t), phone)
		page.picture(name + "-phone")
		for _, width := range []int{760, 1000, 1280} {
			page.size(width, 900)
			if got := page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"); got != 0.0 {
				t.Errorf("%s: at a width of %d the page is %v too wide", name, width, got)
			}
			page.picture(fmt.Sprint(name, "-", width))
		}
		page.size(360, 740)
		if got := page.eval("document.documentElement.scrollWidth"); got != 360.0 {
			t.Errorf("%s: the page is %v wide", name, got)
		}
		if got := page.eval("Math.max(...[...document.querySelectorAll('main :not(thead, thead *)')].map(e => e.getBoundingClientRect().right))"); got.(float64) > 360 {
			t.Errorf("%s: something reaches to %v", name, got)
		}
		page.calm()
	}
}

// contrasts lists the texts whose colour is too near to their background's, by the rule of WCAG AA.
const contrasts = `(() => {
	const parts = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = parts(c).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.startsWith('rgba(') || parts(c)[3] === 1) return c } return 'rgb(255, 255, 255)' };
	return [...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.getClientRects().length).map(e => {
		const a = light(getComputedStyle(e).color), b = light(behind(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		return ratio < 4.5 ? e.outerHTML.slice(0, 80) + ' ' + ratio : '';
	}).filter(Boolean).join('\n');
})()`

func browserColours(t *testing.T, b *browser) {
	grounds := make(map[any]bool)
	for name, f := range fakes() {
		server := f.serve(t)
		for scheme, choose := range map[string]func(*tab){"light": func(*tab) {}, "dark": dark} {
			page := b.open(t, server, choose)
			page.picture(name + "-" + scheme)
			grounds[page.eval("getComputedStyle(document.body).backgroundColor")] = true
			if got := page.eval(contrasts); got != "" {
				t.Errorf("%s, %s: hard to read:\n%v", name, scheme, got)
			}
		}
	}
	if len(grounds) != 2 {
		t.Errorf("dark mode has the same background: %v", grounds)
	}
}

// browserKeyboard: Tab reaches each link, in the order of the page, and shows where it is.
func browserKeyboard(t *testing.T, b *browser) {
	page := b.open(t, busy().serve(t))
	n := int(page.eval("window.stops = [...document.querySelectorAll('a, summary, [tabindex]')]; stops.length").(float64))
	if n < 15 {
		t.Fatalf("%d links", n)
	}
	for i := range n {
		page.key("Tab")
		if got := page.eval(fmt.Sprintf("document.activeElement === stops[%d] || document.activeElement.outerHTML", i)); got != true {
			t.Fatalf("Tab %d leads to %v, not to %v", i+1, got, page.eval(fmt.Sprintf("stops[%d].outerHTML", i)))
		}
		if page.eval("getComputedStyle(document.activeElement).outlineStyle === 'solid' && document.activeElement.getBoundingClientRect().left >= 0") != true {
			t.Errorf("the focus is not seen on %v", page.eval("document.activeElement.outerHTML"))
		}
	}
	page.eval("document.querySelector('.skip').focus()")
	page.key("Enter")
	page.until("the skip link leads to the jobs", "location.hash === '#running'")
}

// browserLost: the page says that it is not updated any more, and goes on when the daemon is back.
func browserLost(t *testing.T, b *browser) {
	f := busy()
	page := b.open(t, f.serve(t))
	page.until("an update", "document.querySelector('#running time').textContent !== ''")
	f.mu.Lock() // the daemon does not answer
	page.eval("(() => { const now = Date.now; Date.now = () => now() + 6000 })()")
	page.until("it says so", "!document.getElementById('lost').hidden && document.getElementById('lost').innerText.startsWith('Not updated since')")
	page.picture("lost")
	f.status.Queued = new(321)
	f.mu.Unlock()
	page.until("it goes on", "document.getElementById('lost').hidden && document.getElementById('state').innerText.includes('321')")
	page.calm()
}

func browserLog(t *testing.T, b *browser) {
	f := busy()
	lines := make(chan string)
	f.log = func(ctx context.Context, job string, w io.Writer) error {
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					return nil
				}
				io.WriteString(w, line)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	server := f.serve(t)
	page := b.open(t, server+"/job?id=encode-2026-11-01")
	for i := range 100 {
		lines <- fmt.Sprintf("line %d <b>\n", i)
	}
	page.until("the log", "document.getElementById('log').textContent.endsWith('line 99 <b>\\n')")
	if page.eval("(e => e.scrollHeight > e.clientHeight && e.scrollHeight - e.scrollTop - e.clientHeight < 2)(document.getElementById('log'))") != true {
		t.Error("the end of the log is not in sight")
	}
	page.eval("document.getElementById('log').scrollTop = 100")
	lines <- "one more\n"
	page.until("the next line", "document.getElementById('log').textContent.endsWith('one more\\n')")
	if page.eval("document.getElementById('log').scrollTop") != 100.0 {
		t.Error("a new line took the reader away from where he was")
	}
	close(lines)
	page.picture("job")
	page.until("the end", "document.getElementById('log').textContent.endsWith('the log ends here: the container has exited\\n')")
	f.set(func(s *status.Status) {
		j := s.Running.Jobs[0]
		j.Status, j.Reason, j.ExitCode, j.Ended = "failed", "exit", new(5), new(time.Now())
		s.Running.Jobs, s.Running.Count, s.Ended = s.Running.Jobs[1:], 2, []status.Job{j}
	})
	page.until("the job's end", "document.getElementById('job').innerText.includes('failed: exit, code 5')")
	page.calm()

	waiting := b.open(t, server+"/job?id=encode-2026-11-04", phone, dark)
	waiting.picture("job-phone")
	waiting.until("why there is none", "document.getElementById('job').innerText.includes('no container') && !document.getElementById('log-h')")
	f.set(func(s *status.Status) {
		f.log = func(_ context.Context, _ string, w io.Writer) error {
			_, err := io.WriteString(w, "it runs\n")
			return err
		}
		s.Waiting.Jobs[0].ContainerID = strings.Repeat("4", 64)
	})
	waiting.until("the log of the container that came", "document.getElementById('log').textContent.startsWith('it runs') && document.getElementById('log-h').innerText === 'Log'")
	waiting.calm()
}

// browserFailures: the sentence that counts the failures leads to them, each leads to its job, and a new one comes by an event.
func browserFailures(t *testing.T, b *browser) {
	f := busy()
	page := b.open(t, f.serve(t))
	page.until("the first update", "document.querySelector('#failed time').textContent !== ''")
	page.eval("document.querySelector('#state a[href=\"#failed\"]').click()")
	page.until("the failures are in sight", "location.hash === '#failed' && document.getElementById('failed-h').getBoundingClientRect().top < innerHeight")
	if got := fmt.Sprint(page.eval("document.querySelector('#failed tbody tr:nth-child(2)').innerText")); !strings.Contains(got, "in jobs.dead") || !strings.Contains(got, "Privileged: not allowed") {
		t.Errorf("the failure is shown as %q", got)
	}
	f.set(func(s *status.Status) {
		s.Failed = append([]status.Job{{Job: "new-failure", Command: "run", Status: "error", Reason: "engine", DeadLetter: true, Ended: new(time.Now())}}, s.Failed...)
		s.Outcomes[1].Count++
	})
	page.until("the new failure", "document.querySelector('#failed a').textContent === 'new-failure' && document.getElementById('state').innerText.includes('35 did not succeed')")
	page.picture("failures")
	page.calm()
	job := b.open(t, page.eval("document.querySelector('#failed tbody tr:nth-child(3) a').href").(string))
	job.until("its page", "document.getElementById('job').innerText.includes('in jobs.dead') && !document.getElementById('log-h')")
}

func browserVersion(t *testing.T, b *browser) {
	f := busy()
	page := b.open(t, f.serve(t))
	f.set(func(s *status.Status) { s.Version = "v2.0.0" })
	page.awaitLoad("the page of the new program")
	page.until("its version", "document.body.innerText.includes('v2.0.0')")
}
