package web

import (
	"runtime"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A Metric is a family of samples, and how it is described to Prometheus and in the manual.
type Metric struct {
	Name, Type string // "counter", "gauge" or "histogram"
	Labels     string // with commas between them
	Help       string

	show func(w *samples, s scrape)
}

// Metrics returns the metrics, in their order. A label has only words of this program, of Go or of the engine's API, and what
// the operator has named. Otherwise a publisher could make series without end.
func Metrics() []Metric {
	return []Metric{
		{"docker_dispatch_build_info", "gauge", "version,goversion", "1; the program's version, and that of Go",
			func(w *samples, s scrape) { w.add(1, s.Version, runtime.Version()) }},
		{"docker_dispatch_daemon_info", "gauge", "host,queue", "1; the --host of the daemon, else the name of its machine; its queue",
			func(w *samples, s scrape) { w.add(1, s.Host, s.Queue) }},

		{"docker_dispatch_ready", "gauge", "", "1 if messages are taken and can be settled, as /readyz has it; else 0",
			func(w *samples, s scrape) { w.flag(s.Ready) }},
		{"docker_dispatch_condition", "gauge", "condition", "1 if a condition is met; 0 if not, then the daemon is not ready",
			func(w *samples, s scrape) {
				for _, c := range s.Conditions {
					if c.State != status.Warning {
						w.flag(c.State == status.Met, c.Name)
					}
				}
			}},
		{"docker_dispatch_warning", "gauge", "warning", "1 for each thing that somebody should look at; the daemon works",
			func(w *samples, s scrape) {
				for _, c := range s.Conditions {
					if c.State == status.Warning {
						w.add(1, c.Name)
					}
				}
			}},

		{"docker_dispatch_slots", "gauge", "", "runs and execs that may go on at a time: --concurrency",
			func(w *samples, s scrape) { w.count(int64(s.Slots)) }},
		{"docker_dispatch_slots_used", "gauge", "", "slots that are taken",
			func(w *samples, s scrape) { w.count(int64(s.InUse)) }},
		{"docker_dispatch_jobs", "gauge", "state", "jobs that the daemon has: `running`, `waiting` here, or `settling` (ended, and not acked yet)",
			func(w *samples, s scrape) {
				w.count(int64(s.Running.Count), "running")
				w.count(int64(s.Waiting.Count), "waiting")
				w.count(int64(s.Settling), "settling")
			}},
		{"docker_dispatch_oldest_job_age_seconds", "gauge", "state", "how long the oldest job has been `running`; how long ago the oldest message that is `waiting` here was published, or taken if that is not known; 0 if there is none; no sample if messages wait in the queue and none here",
			func(w *samples, s scrape) {
				w.add(secondsSince(s.OldestRunning, s.At), "running")
				if s.Waiting.Count > 0 || s.Queued == nil || *s.Queued == 0 {
					w.add(secondsSince(s.OldestWaiting, s.At), "waiting")
				}
			}},
		{"docker_dispatch_attempts_total", "counter", "command,status,reason", "attempts of jobs that ended; a job without Retry has one. A message that cannot be decoded has no command",
			func(w *samples, s scrape) {
				for _, o := range s.Outcomes {
					w.count(o.Count, o.Command, o.Status, o.Reason)
				}
			}},
		{"docker_dispatch_ended_total", "counter", "", "attempts that ended, of all outcomes; 0 from the start",
			func(w *samples, s scrape) { w.count(ends(s, func(status.Outcome) bool { return true })) }},
		{"docker_dispatch_failed_total", "counter", "", "attempts that failed, ended in an error or were refused, except cancelled jobs; 0 from the start",
			func(w *samples, s scrape) { w.count(ends(s, failed)) }},
		{"docker_dispatch_retries_total", "counter", "", "attempts after which another one follows",
			func(w *samples, s scrape) { w.count(s.Retried) }},
		{"docker_dispatch_publish_to_start_seconds", "histogram", "", "from the publishing of a run to the start of its container, for first attempts whose message has a timestamp of the last 30 days",
			func(w *samples, s scrape) { w.histogram(s.ToStart, status.Bounds[:]) }},
		{"docker_dispatch_start_to_end_seconds", "histogram", "", "from the start to the end of a run or an exec",
			func(w *samples, s scrape) { w.histogram(s.ToEnd, status.Bounds[:]) }},
		{"docker_dispatch_output_bytes_total", "counter", "", "output that was read from containers",
			func(w *samples, s scrape) { w.count(s.OutputBytes) }},
		{"docker_dispatch_adopted_containers_total", "counter", "", "containers of earlier processes that the daemon has adopted",
			func(w *samples, s scrape) { w.count(s.Adopted) }},

		{"docker_dispatch_deliveries_total", "counter", "", "deliveries that the daemon has taken",
			func(w *samples, s scrape) { w.count(s.Taken) }},
		{"docker_dispatch_redelivered_total", "counter", "", "deliveries with the redelivered flag",
			func(w *samples, s scrape) { w.count(s.Redelivered) }},
		{"docker_dispatch_joined_total", "counter", "", "deliveries of a job that the daemon had already",
			func(w *samples, s scrape) { w.count(s.Joined) }},
		{"docker_dispatch_forwarded_total", "counter", "", "deliveries that were forwarded to the host that has the job, with --host",
			func(w *samples, s scrape) { w.count(s.Forwarded) }},
		{"docker_dispatch_claims_total", "counter", "", "claims of jobs and of names of containers, with --host",
			func(w *samples, s scrape) { w.count(s.Claimed) }},
		{"docker_dispatch_lost_claims_total", "counter", "", "claims that led to no host, or to a host that has no such container any more, with --host",
			func(w *samples, s scrape) { w.count(s.LostClaims) }},
		{"docker_dispatch_broker_sessions_total", "counter", "", "connections that were opened to take messages, from QUEUE and from the control queue: one each, and one more for each reconnect",
			func(w *samples, s scrape) { w.count(s.Broker.Sessions) }},
		{"docker_dispatch_published_total", "counter", "", "results, answers, dead letters and next attempts that were sent to the broker",
			func(w *samples, s scrape) { w.count(s.Broker.Published) }},
		{"docker_dispatch_unconfirmed", "gauge", "", "published messages that the broker has not confirmed yet",
			func(w *samples, s scrape) { w.count(s.Broker.Unconfirmed) }},
		{"docker_dispatch_dropped_answers_total", "counter", "", "answers that could not be sent to their reply_to",
			func(w *samples, s scrape) { w.count(s.Broker.Dropped) }},
		{"docker_dispatch_dead_letters_total", "counter", "", "messages that the daemon has stored in the dead-letter queue",
			func(w *samples, s scrape) { w.count(s.Broker.DeadLetters) }},
		{"docker_dispatch_queue_messages", "gauge", "", "messages that wait in the queue, if known",
			func(w *samples, s scrape) { w.known(s.Queued) }},
		{"docker_dispatch_retry_queue_messages", "gauge", "", "messages that wait for their next attempt, if known",
			func(w *samples, s scrape) { w.known(s.Retrying) }},
		{"docker_dispatch_dead_letter_queue_messages", "gauge", "", "messages in the dead-letter queue, if known",
			func(w *samples, s scrape) { w.known(s.DeadLetters) }},

		{"docker_dispatch_engine_calls_total", "counter", "route,code", "calls of the engine, by the status of the answer; `none`: there was no answer",
			func(w *samples, s scrape) {
				for _, c := range s.Calls {
					code := "none"
					if c.Status != 0 {
						code = strconv.Itoa(c.Status)
					}
					w.count(c.Took.Count(), c.Route, code)
				}
			}},
		{"docker_dispatch_engine_call_seconds", "histogram", "route", "from a call of the engine to the header of the answer",
			func(w *samples, s scrape) {
				for i := 0; i < len(s.Calls); {
					route, took := s.Calls[i].Route, status.Histogram{}
					for ; i < len(s.Calls) && s.Calls[i].Route == route; i++ { // they are sorted by route
						took.Join(s.Calls[i].Took)
					}
					w.histogram(took, []float64{.005, .025, .1, .5, 2.5, 10, 60}, route) // few: there are up to 26 routes
				}
			}},
		{"docker_dispatch_disk_free_bytes", "gauge", "", "free on the disk of the engine's data, with --min-free",
			func(w *samples, s scrape) { w.some(float64(s.Disk.Free), s.Disk.Root != "") }},
		{"docker_dispatch_disk_needed_bytes", "gauge", "", "what --min-free demands",
			func(w *samples, s scrape) { w.some(float64(s.Disk.Need), s.Disk.Need > 0) }},

		{"process_start_time_seconds", "gauge", "", "when the daemon started, in seconds since 1970",
			func(w *samples, s scrape) { w.add(float64(s.Since.UnixMilli()) / 1000) }},
		{"process_cpu_seconds_total", "counter", "", "processor time of the daemon",
			func(w *samples, s scrape) { w.some(s.cpu, s.resident > 0) }},
		{"process_resident_memory_bytes", "gauge", "", "memory of the daemon",
			func(w *samples, s scrape) { w.some(float64(s.resident), s.resident > 0) }},
		{"process_open_fds", "gauge", "", "open descriptors",
			func(w *samples, s scrape) { w.some(float64(s.open), s.open > 0) }},
		{"process_max_fds", "gauge", "", "descriptors that may be open",
			func(w *samples, s scrape) { w.some(float64(s.most), s.most > 0) }},
		{"go_goroutines", "gauge", "", "goroutines",
			func(w *samples, s scrape) { w.count(int64(s.goroutines)) }},
	}
}

// ends returns how many attempts ended in such outcomes.
func ends(s scrape, such func(status.Outcome) bool) (n int64) {
	for _, o := range s.Outcomes {
		if such(o) {
			n += o.Count
		}
	}
	return n
}

// failed reports whether an operator has to know of an outcome.
func failed(o status.Outcome) bool {
	return o.Status != string(event.Succeeded) && o.Status != string(event.Stopped) && o.Reason != event.ReasonCancelled
}

// known writes a number that may not be known.
func (s *samples) known(n *int) {
	if n != nil {
		s.add(float64(*n))
	}
}

// some writes a value if it means something.
func (s *samples) some(value float64, is bool) {
	if is {
		s.add(value)
	}
}

// secondsSince returns the seconds since then; 0 for the zero time, and for clocks that differ.
func secondsSince(then, now time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, now.Sub(then).Seconds())
}
