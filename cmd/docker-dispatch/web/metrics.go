package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// exposition is the media type of Prometheus's text format.
const exposition = "text/plain; version=0.0.4; charset=utf-8"

// metrics answers with all metrics.
func metrics(cfg Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		plain(w)
		w.Header().Set("Content-Type", exposition)
		w.Write(expose(scrape{cfg.Measured(), readProcess()}))
	}
}

// A scrape is what the metrics are made of.
type scrape struct {
	status.Status
	process
}

// expose returns the metrics in Prometheus's text format.
func expose(s scrape) []byte {
	var text bytes.Buffer
	for _, m := range Metrics() {
		m.show(&samples{text: &text, of: m}, s)
	}
	return text.Bytes()
}

// samples writes the samples of one metric.
type samples struct {
	text   *bytes.Buffer
	of     Metric
	headed bool // HELP and TYPE are written: a metric without samples has neither
}

// add writes a sample of a counter or gauge, with the values of the metric's labels.
func (s *samples) add(value float64, labels ...string) { s.line("", value, "", labels) }

// count is add for whole numbers.
func (s *samples) count(n int64, labels ...string) { s.add(float64(n), labels...) }

// flag writes 1 or 0.
func (s *samples) flag(on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	s.add(value, labels...)
}

// histogram writes the samples of a histogram: how many durations are at most as long as each bound.
func (s *samples) histogram(h status.Histogram, bounds []float64, labels ...string) {
	total := int64(0)
	for i, bound := range status.Bounds {
		total += h.Buckets[i]
		if slices.Contains(bounds, bound) {
			s.line("_bucket", float64(total), decimal(bound), labels)
		}
	}
	total = h.Count()
	s.line("_bucket", float64(total), "+Inf", labels)
	s.line("_sum", h.Sum, "", labels)
	s.line("_count", float64(total), "", labels)
}

// line writes a sample. le is the bound of a bucket; "": it is none.
func (s *samples) line(suffix string, value float64, le string, values []string) {
	if !s.headed {
		s.headed = true
		fmt.Fprintf(s.text, "# HELP %s %s\n# TYPE %s %s\n", s.of.Name, escaped(s.of.Help, ""), s.of.Name, s.of.Type)
	}
	var pairs []string
	for i, name := range strings.FieldsFunc(s.of.Labels, func(r rune) bool { return r == ',' }) {
		pairs = append(pairs, name+`="`+escaped(values[i], `"`)+`"`)
	}
	if le != "" {
		pairs = append(pairs, `le="`+le+`"`)
	}
	labels := ""
	if len(pairs) > 0 {
		labels = "{" + strings.Join(pairs, ",") + "}"
	}
	fmt.Fprintf(s.text, "%s%s%s %s\n", s.of.Name, suffix, labels, decimal(value))
}

// escaped returns a text with backslashes before backslashes and quotes, and \n for the end of a line.
func escaped(s, quote string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), `\`, `\\`)
	if quote != "" {
		s = strings.ReplaceAll(s, quote, `\`+quote)
	}
	return strings.ReplaceAll(s, "\n", `\n`)
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
