package web

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A view is what the pages show.
type view struct {
	status.Status

	// ageless leaves the ages to the page's script: then what is shown changes only with the state.
	ageless bool
}

// withoutAges returns the view for the events.
func (v *view) withoutAges() *view { return &view{v.Status, true} }

// tone returns the class of a status: good, bad, or none of both.
func tone(of string) string {
	switch event.Status(of) {
	case event.Succeeded:
		return "good"
	case event.Stopped:
		return ""
	}
	return "bad"
}

// rate returns how many jobs end a minute.
func (v *view) rate() string {
	if v.PerMinute > 0 && v.PerMinute < 9.95 {
		return strconv.FormatFloat(v.PerMinute, 'f', 1, 64)
	}
	return number(int64(math.Round(v.PerMinute)))
}

// began returns when a job began to run.
func began(j status.Job) time.Time { return *cmp.Or(j.Started, &j.Taken) }

// took returns how long an ended job's work took; "": it has none.
func took(j status.Job) string {
	if j.Started == nil || j.Ended == nil {
		return ""
	}
	if d := j.Ended.Sub(*j.Started); d > 0 && d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	} else {
		return age(d)
	}
}

// key identifies a row: by it the script finds the row again in the next update.
func key(j status.Job) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", j.Job, j.Command, j.Attempt, j.Taken.UnixNano())
	return fmt.Sprintf("r%x", h.Sum64())
}

// ago writes a time, shown as its age. Without ages the script fills that in.
func (v *view) ago(h *htmlWriter, at time.Time) {
	shown := age(v.At.Sub(at))
	if v.ageless {
		shown = ""
	}
	h.put(`<time datetime="{}" title="{}">{}</time>`, at.Format(time.RFC3339), at.Format("2006-01-02 15:04:05 MST"), shown)
}

// age returns a duration for a person. The page's script does the same.
func age(d time.Duration) string {
	s := max(0, int64(d/time.Second))
	switch m := s / 60; {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case m < 60:
		return fmt.Sprintf("%d min", m)
	case m < 48*60:
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	default:
		return fmt.Sprintf("%d d %d h", m/(24*60), m/60%24)
	}
}

// number returns a count with its thousands apart.
func number[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// A text is a stranger's text as it is shown in a row.
type text struct {
	Short string
	Whole string // if that is longer
}

// text writes a text, unless it is empty. bdi keeps its writing direction from what follows.
func (h *htmlWriter) text(t text) {
	switch {
	case t.Whole != "":
		h.put(`<bdi title="{}">{}</bdi>`, t.Whole, t.Short)
	case t.Short != "":
		h.put("<bdi>{}</bdi>", t.Short)
	}
}

// wholeText is how many bytes of a text are shown where it is shown as a whole.
const wholeText = 1000

// name returns a text for a row, and sentence a longer one.
func name(s string) text     { return cut(s, 64) }
func sentence(s string) text { return cut(s, 160) }

// cut cuts a text after that many characters.
func cut(s string, most int) text {
	s = whole(s)
	if runes := []rune(s); len(runes) > most {
		return text{string(runes[:most-1]) + "…", s}
	}
	return text{Short: s}
}

// whole returns a stranger's text on one line, with its control characters and bytes that are not UTF-8 as escapes.
func whole(s string) string {
	more := ""
	if len(s) > wholeText {
		s, more = strings.ToValidUTF8(s[:wholeText], ""), fmt.Sprintf("… (%s bytes)", number(len(s)))
	}
	s = string(ui.Escaped([]byte(s)))
	for _, c := range []string{"\n", "\t", "\r"} { // which Escaped leaves
		s = strings.ReplaceAll(s, c, strings.Trim(strconv.Quote(c), `"`))
	}
	return s + more
}
