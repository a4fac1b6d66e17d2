package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/web"
)

// A scraped is what one scrape has read: the values of all samples, by name and labels as they stand in the text.
type scraped struct {
	text   string
	values map[string]float64
	order  []string
}

// scrape reads the metrics of a daemon that listens on a port of this host.
func (p *process) scrape() scraped {
	p.l.t.Helper()
	p.awaitLog("msg=listening")
	address := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(p.log())[1]
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		p.l.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		p.l.t.Fatalf("/metrics: %s %v", answer.Status, err)
	}
	s := scraped{text: string(text), values: make(map[string]float64)}
	for line := range strings.Lines(s.text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		sample, value := line[:at], strings.TrimSpace(line[at:])
		if _, twice := s.values[sample]; twice {
			p.l.t.Fatalf("%s is there twice", sample)
		}
		if s.values[sample], err = strconv.ParseFloat(value, 64); err != nil {
			p.l.t.Fatalf("%s: %v", line, err)
		}
		s.order = append(s.order, sample)
	}
	return s
}

// metricOf returns the metric that a name of a sample, or in a query, belongs to, and whether it is a part of a histogram.
func metricOf(name string) (m web.Metric, part, ok bool) {
	for _, m := range web.Metrics() {
		suffix, is := strings.CutPrefix(name, m.Name)
		part := slices.Contains([]string{"_bucket", "_sum", "_count"}, suffix)
		if is && (suffix == "" && m.Type != "histogram" || part && m.Type == "histogram") {
			return m, part, true
		}
	}
	return web.Metric{}, false, false
}

// consistent checks a scrape against the metrics that there are, and against the one before it.
func (s scraped) consistent(t *testing.T, before scraped) {
	t.Helper()
	below, series := 0.0, ""
	for _, sample := range s.order {
		name, labels, _ := strings.Cut(sample, "{")
		m, part, ok := metricOf(name)
		if !ok {
			t.Fatalf("%s is no metric of the table", sample)
		}
		if (m.Type == "counter" || part) && s.values[sample] < before.values[sample] {
			t.Errorf("%s went from %v down to %v", sample, before.values[sample], s.values[sample])
		}
		switch {
		case strings.HasSuffix(name, "_bucket") && part:
			le := strings.LastIndex(labels, "le=")
			if of := name + labels[:le]; of != series {
				below, series = 0, of
			}
			if s.values[sample] < below {
				t.Errorf("%s is %v, the bucket below has %v", sample, s.values[sample], below)
			}
			below = s.values[sample]
		case strings.HasSuffix(name, "_count") && part && s.values[sample] != below:
			t.Errorf("%s is %v, the last bucket has %v", sample, s.values[sample], below)
		}
	}
	for sample := range before.values {
		if _, is := s.values[sample]; !is && !strings.HasPrefix(sample, "docker_dispatch_warning") {
			t.Errorf("%s is not there any more", sample)
		}
	}
}

// TestMetricsOfDaemon: a daemon counts what it does, and what it counts goes up only. Nothing that a publisher chooses is in it.
func TestMetricsOfDaemon(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--listen", "127.0.0.1:0", "--concurrency", "1", "--pull", "never", "--results", l.queue+".results", "--declare", "classic")
	defer l.deleteQueues(".results")
	p.awaitLog("taking messages")
	send := func(bodies ...string) {
		var all []amqp.Publishing
		for i, body := range bodies {
			all = append(all, amqp.Publishing{MessageId: fmt.Sprintf("%s-%d", l.serial, i), Timestamp: time.Now(), Body: []byte(body)})
		}
		l.broker.Send(l.queue, all...)
	}
	first := p.scrape()
	first.consistent(t, scraped{})
	send(runMessage("", "echo hello"), runMessage("n"+l.serial, "echo hello >&2"), runMessage("", "exit 3"),
		`{"Dockercmd": "run", "Iamge": "busybox"}`, `{"Dockercmd": "stop", "Container": "none`+l.serial+`"}`,
		`{"Dockercmd": "run", "Image": "missing`+l.serial+`", "Options": {"Attach": "STDOUT"}}`)
	last := first
	sum := func(metric string) (n float64) {
		for sample, v := range last.values {
			if name, _, _ := strings.Cut(sample, "{"); name == metric {
				n += v
			}
		}
		return n
	}
	l.eventually("six jobs counted, and acked", func() bool {
		s := p.scrape()
		s.consistent(t, last)
		last = s
		return sum("docker_dispatch_attempts_total") == 6 && sum("docker_dispatch_jobs") == 0
	})
	for sample, want := range map[string]float64{
		"docker_dispatch_ready":                                                                     1,
		`docker_dispatch_condition{condition="engine"}`:                                             1,
		`docker_dispatch_condition{condition="results"}`:                                            1,
		"docker_dispatch_slots":                                                                     1,
		"docker_dispatch_slots_used":                                                                0,
		"docker_dispatch_deliveries_total":                                                          6,
		"docker_dispatch_broker_sessions_total":                                                     2,
		"docker_dispatch_published_total":                                                           8, // a result each, and two dead letters
		"docker_dispatch_unconfirmed":                                                               0,
		"docker_dispatch_dead_letters_total":                                                        2,
		"docker_dispatch_output_bytes_total":                                                        12,
		"docker_dispatch_publish_to_start_seconds_count":                                            3,
		`docker_dispatch_attempts_total{command="run",status="succeeded",reason=""}`:                2,
		`docker_dispatch_attempts_total{command="run",status="failed",reason="exit"}`:               1,
		`docker_dispatch_attempts_total{command="",status="refused",reason="invalid-message"}`:      1,
		`docker_dispatch_attempts_total{command="stop",status="failed",reason="no-such-container"}`: 1,
		`docker_dispatch_attempts_total{command="run",status="error",reason="no-such-image"}`:       1,
		`docker_dispatch_engine_calls_total{route="POST /containers/create",code="201"}`:            3,
		`docker_dispatch_engine_calls_total{route="POST /containers/create",code="404"}`:            1,
		`docker_dispatch_engine_call_seconds_count{route="POST /containers/create"}`:                4,
		`docker_dispatch_oldest_job_age_seconds{state="running"}`:                                   0,
	} {
		if got, ok := last.values[sample]; !ok || got != want {
			t.Errorf("%s is %v, not %v", sample, got, want)
		}
	}

	send(runMessage("", "echo more; sleep 1000"), runMessage("", "true"))
	l.eventually("one runs and has written, one waits", func() bool {
		s := p.scrape()
		s.consistent(t, last)
		last = s
		return s.values[`docker_dispatch_jobs{state="running"}`] == 1 && s.values[`docker_dispatch_jobs{state="waiting"}`] == 1 &&
			s.values["docker_dispatch_output_bytes_total"] == 17 && s.values["docker_dispatch_slots_used"] == 1 &&
			s.values[`docker_dispatch_oldest_job_age_seconds{state="running"}`] > 0 && s.values[`docker_dispatch_oldest_job_age_seconds{state="waiting"}`] > 0
	})
	for line := range strings.Lines(last.text) {
		if strings.Contains(line, l.serial) && !strings.HasPrefix(line, "docker_dispatch_daemon_info{") || strings.Contains(line, "busybox") {
			t.Errorf("a publisher chose a part of %s", line)
		}
	}
	promtool(t, last.text, "check", "metrics")
}

// promtool runs Prometheus's own checks. scripts/test installs it.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	c := exec.Command("promtool", args...)
	if c.Err != nil && os.Getenv("DISPATCH_TEST_REQUIRE_SERVERS") == "" {
		t.Skip("no promtool: scripts/services install promtool")
	}
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// metricNames returns the names of the metrics that begin so.
func metricNames(prefix string) (names []string) {
	for _, m := range web.Metrics() {
		if strings.HasPrefix(m.Name, prefix) {
			names = append(names, m.Name)
		}
	}
	return names
}

// TestEngineCalls: an engine that answers with any number makes few series of a route.
func TestEngineCalls(t *testing.T) {
	var e engineCalls
	for code := -1; code < 1000; code++ {
		e.observe("GET /info", code, time.Second)
	}
	var codes []int
	total := int64(0)
	for _, c := range e.list() {
		codes = append(codes, c.Status)
		total += c.Took.Count()
	}
	if total != 1001 || len(codes) > 70 || !slices.IsSorted(codes) {
		t.Errorf("%d calls, of the codes %d", total, codes)
	}
	for _, want := range []int{0, 100, 200, 204, 404, 500} {
		if !slices.Contains(codes, want) {
			t.Errorf("no %d among the codes %d", want, codes)
		}
	}
}
