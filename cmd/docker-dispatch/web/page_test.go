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
	if len(body) > 512<<10 {
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
	live, ended := strings.Index(body, "<dd>started</dd>"), strings.Index(body, "it is tried again")
	if live < 0 || ended < live {
		t.Errorf("not the live attempt, then the one before:\n%s", body[strings.Index(body, "<main>"):])
	}
	if !strings.Contains(body, `data-log="`+strings.Repeat("2", 64)) {
		t.Error("the log is not that of the live attempt's container")
	}
	f.set(func(s *status.Status) { s.Ended = slices.Repeat(s.Ended[len(s.Ended)-1:], 100) })
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
