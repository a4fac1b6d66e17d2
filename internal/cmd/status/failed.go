package status

// Failed reports whether the job has ended, and did not do what its message asked for. An attempt after which another one
// follows has failed too.
func (j Job) Failed() bool { return j.Status != "" && failed(j.Status) }

// Failed is the same of the jobs that it counts.
func (o Outcome) Failed() bool { return failed(o.Status) }

// failed reports whether a status is one of failure. An event.Status has the words.
func failed(s string) bool { return s != "succeeded" && s != "stopped" }

// Totals returns how many jobs have ended since the start, and how many of them failed.
func (s *Status) Totals() (ended, failed int64) {
	for _, o := range s.Outcomes {
		ended += o.Count
		if o.Failed() {
			failed += o.Count
		}
	}
	return ended, failed
}

// MessageOf says where the message of a job that ended is.
func (s *Status) MessageOf(j Job) string {
	switch {
	case j.Retrying:
		return "tried again"
	case j.DeadLetter && s.DeadLetterQueue != "":
		return "in " + s.DeadLetterQueue
	case j.DeadLetter:
		return "rejected"
	}
	return "acked"
}
