package main

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestPage looks at the page of a real daemon: a job that runs, its log while it is written, its end, and why there is no log.
func TestPage(t *testing.T) {
	l := newLab(t)
	d := l.start("--listen", "127.0.0.1:0")
	d.awaitLog("taking messages")
	address := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(d.log())
	if address == nil {
		t.Fatalf("no address in the log:\n%s", d.log())
	}
	get := func(path string) *http.Response {
		answer, err := http.Get("http://" + address[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	text := func(path string) (string, int) {
		answer := get(path)
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), answer.StatusCode
	}
	shows := func(path string, words ...string) {
		t.Helper()
		l.eventually(path+" shows "+strings.Join(words, ", "), func() bool {
			body, _ := text(path)
			for _, w := range words {
				if !strings.Contains(body, w) {
					return false
				}
			}
			return true
		})
	}

	shows("/", "Ready.", "No job runs.", "0 <span class=\"unit\">of 16")
	l.publish(publication{"a <b>", `{"Dockercmd":"run","Image":"busybox","Cmd":["sh","-c","trap 'echo bye; exit 7' TERM; echo one; sleep 1000 & wait"],"Options":{"Attach":"STDOUT"}}`})
	shows("/", "a &lt;b&gt;", "started", "1 <span class=\"unit\">of 16")
	shows("/job?id=a+%3cb%3e", "busybox", "started")

	log := bufio.NewReader(get("/log?id=a+%3cb%3e").Body)
	line := func(want string) {
		t.Helper()
		if got, err := log.ReadString('\n'); got != want+"\n" {
			t.Fatalf("the log has %q, %v, want %q", got, err, want)
		}
	}
	line("one")
	l.publish(publication{"", `{"Dockercmd":"stop","Job":"a <b>"}`})
	line("bye")
	line("--- docker-dispatch: the log ends here: the container has exited")
	shows("/job?id=a+%3cb%3e", "stopped", "code 7")
	if body, code := text("/log?id=a+%3cb%3e"); code != 200 || !strings.HasPrefix(body, "one\nbye\n") {
		t.Errorf("the log after the end: %d %q", code, body)
	}

	l.publish(
		publication{"removed", `{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Attach":"STDOUT","Remove":true}}`},
		publication{"silent", `{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Attach":"STDOUT","LogDriver":"none"}}`},
		publication{"none", `{"Dockercmd":"stop","Container":"no-such-container"}`},
	)
	d.done(5)
	for job, want := range map[string]string{"removed": "was removed", "silent": `log driver "none"`, "none": "no container", "other": "no container"} {
		l.eventually("why "+job+" has no log", func() bool {
			body, code := text("/log?id=" + job)
			return code == http.StatusNotFound && strings.Contains(body, want)
		})
	}
	for _, path := range []string{"/", "/readyz"} {
		if body, _ := text(path); strings.Contains(body, ":guest@") {
			t.Errorf("%s has the broker's password", path)
		}
	}
	if code := d.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
