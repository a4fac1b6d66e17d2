package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// ask asks a handler, and returns its answer and the answer's body.
func ask(h http.Handler, method, target string) (*http.Response, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = "localhost"
	h.ServeHTTP(w, r)
	answer := w.Result()
	body, _ := io.ReadAll(answer.Body)
	return answer, string(body)
}

func TestPageHeaders(t *testing.T) {
	h := Handler(busy().config(t))
	for _, path := range []string{"/", "/job?id=encode-2026-11-01"} {
		answer, body := ask(h, "GET", path)
		policy := answer.Header.Get("Content-Security-Policy")
		for _, tag := range []string{"style", "script"} {
			content := regexp.MustCompile(`(?s)<` + tag + `>(.*)</` + tag + `>`).FindStringSubmatch(body)
			if content == nil {
				t.Fatalf("%s has no %s", path, tag)
			}
			sum := sha256.Sum256([]byte(content[1]))
			if want := fmt.Sprintf("; %s-src 'sha256-%s';", tag, base64.StdEncoding.EncodeToString(sum[:])); !strings.Contains(policy, want) {
				t.Errorf("%s: not the %s of the page, and no other: %s, want %s", path, tag, policy, want)
			}
		}
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy lacks %s: %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", path, policy)
		}
	}
	for _, path := range []string{"/", "/job?id=x", "/events", "/log?id=x"} {
		answer, body := ask(h, "HEAD", path)
		if body != "" && path != "/" && path != "/job?id=x" { // net/http drops the others'
			t.Errorf("HEAD %s has the body %q", path, body)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Set-Cookie": "", "Access-Control-Allow-Origin": "",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			if answer, _ := ask(h, method, path); answer.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %s", method, path, answer.Status)
			}
		}
	}
	if answer, _ := ask(h, "GET", "/other"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("/other: %s", answer.Status)
	}
}

func TestPageHostileTexts(t *testing.T) {
	f := crowded()
	h := Handler(f.config(t))
	answer, body := ask(h, "GET", "/")
	if answer.StatusCode != 200 || !utf8.ValidString(body) {
		t.Fatalf("%s, valid UTF-8: %v", answer.Status, utf8.ValidString(body))
	}
	if i := strings.IndexFunc(body, func(c rune) bool {
		return c < ' ' && c != '\n' || c == 0x7f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
	}); i >= 0 {
		t.Errorf("a control character: %q", body[max(0, i-40):i+40])
	}
	for tag, n := range map[string]int{"<script": 1, "<h1": 1, "<img": 0, "</main": 1, "<style": 1, "<!--": 0, `onmouseover="`: 0} {
		if got := strings.Count(body, tag); got != n {
			t.Errorf("%d of %s, want %d", got, tag, n)
		}
	}
	if len(body) > 768<<10 {
		t.Errorf("the page has %d bytes", len(body))
	}
	for _, exact := range []string{"Running <span>1,000<", "and 900 more", "Waiting here <span>4,096<", "and 4,046 more", "41,999"} {
		if !strings.Contains(body, exact) {
			t.Errorf("not on the page: %s", exact)
		}
	}
	// Each link leads to its job, whatever bytes the id has.
	links := regexp.MustCompile(`href="(job\?id=[^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(links) < mostRunning+mostWaiting+mostEnded {
		t.Fatalf("%d links", len(links))
	}
	seen := make(map[string]bool)
	for _, l := range links[:mostRunning] {
		u, err := url.Parse(html.UnescapeString(l[1]))
		if err != nil {
			t.Fatal(err)
		}
		seen[u.Query().Get("id")] = true
		if answer, _ := ask(h, "GET", "/"+html.UnescapeString(l[1])); answer.StatusCode != 200 {
			t.Errorf("%.100s: %s", l[1], answer.Status)
		}
	}
	for i, bad := range hostile {
		if !seen[fmt.Sprint(bad, i)] {
			t.Errorf("no link leads to %.100q", bad)
		}
	}
}

func TestJobPage(t *testing.T) {
	f := busy()
	f.set(func(s *status.Status) {
		again := s.Ended[1]
		again.Job, again.Attempt = "encode-2026-11-03", 1
		s.Ended = append(s.Ended, again)
	})
	h := Handler(f.config(t))
	_, body := ask(h, "GET", "/job?id=encode-2026-11-03")
	live, ended := strings.Index(body, "<dd>started</dd>"), strings.Index(body, "<bdi>tried again</bdi>")
	if live < 0 || ended < live {
		t.Errorf("not the live attempt, then the one before:\n%s", body[strings.Index(body, "<main>"):])
	}
	if !strings.Contains(body, `data-log="`+strings.Repeat("2", 64)) {
		t.Error("the log is not that of the live attempt's container")
	}
	f.set(func(s *status.Status) {
		s.Ended = slices.Repeat(s.Ended[len(s.Ended)-1:], 100)
		for i := range s.Ended {
			s.Ended[i].Taken = s.Ended[i].Taken.Add(time.Duration(i))
		}
		s.Failed = s.Ended // none is shown twice
	})
	h = Handler(f.config(t)) // another one's snapshot may be old
	if _, body := ask(h, "GET", "/job?id=encode-2026-11-03"); strings.Count(body, "<dt>Command") != mostEntries {
		t.Errorf("%d of 101 messages with one id are shown", strings.Count(body, "<dt>Command"))
	}
	for _, target := range []string{"/job?id=other", "/job", "/job?id=%zz", "/job?id=" + strings.Repeat("x", 10<<10)} {
		answer, body := ask(h, "GET", target)
		if answer.StatusCode != http.StatusNotFound || !strings.Contains(body, "does not know this job") {
			t.Errorf("%.40s: %s", target, answer.Status)
		}
	}
}

// TestJobPageLog: a job without a container has no log, nor the heading of one.
func TestJobPageLog(t *testing.T) {
	h := Handler(busy().config(t))
	for id, has := range map[string]bool{"encode-2026-11-01": true, "encode-2026-11-04": false, "unknown": false} {
		_, body := ask(h, "GET", "/job?id="+id)
		if n := strings.Count(body, "log-h\">"); (n == 2) != has || strings.Contains(body, "so no log") == has { // the heading, and the link to it
			t.Errorf("%s: %d headings and links, and has a container: %v", id, n, has)
		}
	}
}

// TestPageFailures: the failures are listed however many jobs have ended since, each with its reason, and where its message is.
func TestPageFailures(t *testing.T) {
	f := busy()
	h := Handler(f.config(t))
	_, body := ask(h, "GET", "/")
	list := body[strings.Index(body, `<section id="failed">`):strings.Index(body, `<section id="outcomes">`)]
	for _, want := range []string{
		`Failures since the start <span>34<`, `job?id=refused-9`, `>policy</td>`, `<bdi>in jobs.dead</bdi>`, `Privileged: not allowed`, `<bdi>tried again</bdi>`, "and 32 more",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s among the failures:\n%s", want, list)
		}
	}
	if !strings.Contains(body, `<a href="#failed">34 did not succeed</a>`) {
		t.Error("no link leads to the failures")
	}
	if _, job := ask(h, "GET", "/job?id=refused-9"); !strings.Contains(job, "<dt>Message</dt><dd><bdi>in jobs.dead</bdi>") {
		t.Errorf("the job's page does not say where its message is:\n%s", job)
	}
	if _, job := ask(h, "GET", "/job?id=import-17"); strings.Count(job, "<dt>Command") != 1 {
		t.Error("an attempt that is listed twice is shown twice on the job's page")
	}
	ids := make(map[string]bool)
	for _, id := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if ids[id[1]] {
			t.Errorf("two elements have the id %s", id[1])
		}
		ids[id[1]] = true
	}
	f.set(func(s *status.Status) { s.Failed, s.Outcomes = nil, nil })
	if _, body := ask(Handler(f.config(t)), "GET", "/"); !strings.Contains(body, "No job has failed since the start.") {
		t.Error("it does not say that there are none")
	}
}

// TestPageLongest: which job runs for longest, and since when the oldest waits: by its publishing, and here.
func TestPageLongest(t *testing.T) {
	f := busy()
	f.set(func(s *status.Status) {
		s.Waiting.Jobs[0].Published = new(time.Now().Add(-10 * time.Minute))
		s.Waiting.Jobs[0].Taken = time.Now().Add(-3 * time.Minute)
	})
	_, body := ask(Handler(f.config(t)), "GET", "/")
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, "")
	for _, want := range []string{
		"Longest running: encode-2026-11-01 for 50 min\n",
		"Oldest waiting: encode-2026-11-04, published 10 min ago; here for 3 min, waits for a free place (--concurrency)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	f.set(func(s *status.Status) { s.Waiting.Jobs[0].Published = nil })
	if _, body := ask(Handler(f.config(t)), "GET", "/"); !strings.Contains(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, ""), "encode-2026-11-04, here for 3 min, waits") {
		t.Error("without a timestamp the page should say only how long the job is here")
	}
}

func TestPageWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59*time.Minute + 59*time.Second: "59 min", time.Hour: "1 h 0 min",
		47*time.Hour + 59*time.Minute: "47 h 59 min", 50 * time.Hour: "2 d 2 h",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) is %q", n, got)
		}
	}
	if got := name(strings.Repeat("ä", 65)); got.Short != strings.Repeat("ä", 63)+"…" || got.Whole != strings.Repeat("ä", 65) {
		t.Errorf("cut: %+v", got)
	}
	if got := whole(strings.Repeat("ä", 5000)); len(got) > wholeText+40 || !strings.HasSuffix(got, "… (10,000 bytes)") {
		t.Errorf("whole: %d bytes, %s", len(got), got[len(got)-30:])
	}
}
