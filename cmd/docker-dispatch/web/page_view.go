package web

import (
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Most rows of each table, and most messages with the id of a job on its page. The counts above the tables are exact.
const (
	mostRunning = 100
	mostWaiting = 50
	mostEnded   = 50
	mostEntries = 20
)

// A view is what the templates show.
type view struct {
	status.Status
	Nonce string
	Job   jobView // on a job's page

	// ageless leaves the ages to the page's script: then what is shown changes only with the state.
	ageless bool
}

// A jobView is what is known of a job: the message that waits or runs first, then its attempts that have ended.
type jobView struct {
	ID      string
	Entries []status.Job
}

// of returns the view of one job.
func (v *view) of(id string) *view {
	w := *v
	w.Job.ID = id
	for _, jobs := range [][]status.Job{v.Running.Jobs, v.Waiting.Jobs, v.Status.Ended} {
		for _, j := range jobs {
			if j.Job == id && len(w.Job.Entries) < mostEntries {
				w.Job.Entries = append(w.Job.Entries, j)
			}
		}
	}
	return &w
}

// Log tells the log of a job's present container from those of its other attempts; "": it has no container.
func (j jobView) Log() string {
	if len(j.Entries) == 0 {
		return ""
	}
	return j.Entries[0].ContainerID
}

// In returns the conditions of that state.
func (v *view) In(state status.State) []status.Condition {
	return slices.DeleteFunc(slices.Clone(v.Conditions), func(c status.Condition) bool { return c.State != state })
}

// Rows returns the jobs that a table lists.
func (v *view) Rows(table string) []status.Job {
	jobs, most, _ := v.table(table)
	return jobs[:min(len(jobs), most)]
}

// More returns how many jobs there are besides those that a table lists.
func (v *view) More(table string) int {
	jobs, most, count := v.table(table)
	return count - min(len(jobs), most)
}

func (v *view) table(name string) (jobs []status.Job, most, count int) {
	switch name {
	case "running":
		return v.Running.Jobs, mostRunning, v.Running.Count
	case "waiting":
		return v.Waiting.Jobs, mostWaiting, v.Waiting.Count
	}
	return v.Status.Ended, mostEnded, len(v.Status.Ended)
}

// Total returns how many attempts have ended since the start.
func (v *view) Total() int64 { return v.count(func(status.Outcome) bool { return true }) }

// Bad returns how many of them did not do what their message asked for.
func (v *view) Bad() int64 {
	return v.count(func(o status.Outcome) bool { return tone(o.Status) == "bad" })
}

func (v *view) count(which func(status.Outcome) bool) (n int64) {
	for _, o := range v.Outcomes {
		if which(o) {
			n += o.Count
		}
	}
	return n
}

// Tone returns the class of a status: good, bad, or none of both.
func (v *view) Tone(of string) string { return tone(of) }

func tone(of string) string {
	switch event.Status(of) {
	case event.Succeeded:
		return "good"
	case event.Stopped:
		return ""
	}
	return "bad"
}

// Rate returns how many jobs end a minute.
func (v *view) Rate() string {
	if v.PerMinute > 0 && v.PerMinute < 9.95 {
		return strconv.FormatFloat(v.PerMinute, 'f', 1, 64)
	}
	return number(int64(math.Round(v.PerMinute)))
}

// Left returns how long the queue will take; "": not known.
func (v *view) Left() string {
	if left, ok := v.TimeLeft(); ok {
		return age(left)
	}
	return ""
}

// OldestWaiting returns the waiting job with the oldest message; nil: none waits.
func (v *view) OldestWaiting() *status.Job {
	if j, ok := v.Oldest(); ok {
		return &j
	}
	return nil
}

// Came returns when a job's message was published, or else taken.
func (v *view) Came(j status.Job) time.Time {
	if j.Published != nil {
		return *j.Published
	}
	return j.Taken
}

// Took returns how long an ended job's work took; "": it has none.
func (v *view) Took(j status.Job) string {
	if j.Started == nil || j.Ended == nil {
		return ""
	}
	if d := j.Ended.Sub(*j.Started); d > 0 && d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	} else {
		return age(d)
	}
}

// Key identifies a row, so that the script finds it again in the next update.
func (v *view) Key(j status.Job) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00%d", j.Job, j.Command, j.Attempt, j.Taken.UnixNano())
	return fmt.Sprintf("r%x", h.Sum64())
}

// An ago is a time that is shown as its age.
type ago struct {
	At  time.Time
	Age string // "": the script fills it in
}

// Ago returns a time to be shown as its age. t is a time.Time, or a *time.Time that is not nil.
func (v *view) Ago(t any) ago {
	at, ok := t.(time.Time)
	if !ok {
		at = *t.(*time.Time)
	}
	if v.ageless {
		return ago{At: at}
	}
	return ago{At: at, Age: age(v.At.Sub(at))}
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

// number returns a count with its thousands apart. n is an int, an int64 or a pointer to one.
func number(n any) string {
	s := fmt.Sprint(reflect.Indirect(reflect.ValueOf(n)))
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
