package hosts

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestKeyOf: only a name of exactly the derived form leads to a job.
func TestKeyOf(t *testing.T) {
	const job = "0123456789ab"
	for ref, want := range map[string]intake.ClaimKey{
		"dispatch-" + job + "-cdef0123":  {Kind: "job", Key: job},
		"dispatch-" + job:                {},
		"dispatch-" + job + "-cdef012":   {},
		"dispatch-" + job + "-cdef01234": {},
		"dispatch-" + job + "-cdef012G":  {},
		"dispatch-0123456789a-cdef01234": {},
		"dispatch-ended-" + job:          {},
		job + "-cdef0123":                {},
		"web":                            {},
		"":                               {},
	} {
		if want == (intake.ClaimKey{}) {
			want = intake.NameKey(ref)
		}
		if got := keyOf(ref); got != want {
			t.Errorf("%q: %v, want %v", ref, got, want)
		}
	}
}

// TestJobKey: the keys of different jobs and names differ, and a derived name tells its job's key.
func TestJobKey(t *testing.T) {
	job := intake.JobKey("v", "q", "j")
	if job == intake.JobKey("v", "q2", "j") || job == intake.JobKey("v2", "q", "j") || keyOf("dispatch-"+job.Key+"-01234567") != job ||
		keyOf("dispatch-"+job.Key) != intake.NameKey("dispatch-"+job.Key) {
		t.Error("keys that should differ are the same, or the other way round")
	}
}
