package cmd

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
