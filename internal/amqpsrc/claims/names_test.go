package claims

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"a": true, "9": true, "node-1.example_org": true, "control": true, "a.seen.b": true, strings.Repeat("h", 63): true,
		"a.control": false, "a.lock": false, "a.b.seen": false, "": false, strings.Repeat("h", 64): false, "-a": false, ".a": false, "_a": false, "a b": false, "a/b": false, "ä": false, "a\n": false, "a\x00": false,
	} {
		if ValidHost(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

// TestParseLife: the name of a host's exchange says whose it is, and no other name is taken for one.
func TestParseLife(t *testing.T) {
	for _, l := range []life{{"0123456789", 0}, {hostHash("jobs", "a"), mostEpochs - 1}} {
		if got, ok := parseLife(l.exchange()); !ok || got != l {
			t.Errorf("%s: %+v, %v", l.exchange(), got, ok)
		}
	}
	for _, name := range []string{"", "direct", "docker-dispatch.h.", "docker-dispatch.h..0", "docker-dispatch.h.012345678.0", "docker-dispatch.h.0123456789", "docker-dispatch.h.0123456789.", "docker-dispatch.h.0123456789.-1",
		"docker-dispatch.h.0123456789.01", "docker-dispatch.h.0123456789.1.1", "docker-dispatch.engine.0123456789.1", "0123456789.1",
	} {
		if l, ok := parseLife(name); ok {
			t.Errorf("%q: %+v", name, l)
		}
	}
}

// TestNames: hosts of several versions of the program share a queue, so no name may change.
func TestNames(t *testing.T) {
	l := life{hostHash("jobs", "a"), 2}
	job, name := intake.ClaimKey{Kind: "job", Key: "0123456789ab"}, intake.NameKey("web")
	for got, want := range map[string]string{
		HostQueue("jobs", "a"): "jobs.host.a", ControlQueue("jobs", "a"): "jobs.host.a.control", lockQueue("jobs", "a"): "jobs.host.a.lock", seenQueue("jobs", "a"): "jobs.host.a.seen", RecordsQueue("jobs"): "jobs.hosts",
		l.exchange(): "docker-dispatch.h.4f1b5dcadb.2", l.marker(): "docker-dispatch.released.4f1b5dcadb.2",
		claimExchange("jobs", job, 0):  "docker-dispatch.claim.33d7f06f5edcdf86288a",
		claimExchange("jobs", job, 1):  "docker-dispatch.claim.f3827c3abbc2ff056099",
		claimExchange("jobs", name, 0): "docker-dispatch.claim.c9bddb423a6907bd2651",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	all := regexp.MustCompile(pattern("my.jobs"))
	for _, name := range []string{HostQueue("my.jobs", "a"), ControlQueue("my.jobs", "a"), lockQueue("my.jobs", "a"), seenQueue("my.jobs", "a"), RecordsQueue("my.jobs"), RecordsQueue("my.jobs") + ".lock",
		l.exchange(), l.marker(), claimExchange("my.jobs", job, 0), enginePrefix + "X:Y",
	} {
		if !all.MatchString(name) {
			t.Errorf("%s does not match %s", name, all)
		}
	}
	for _, name := range []string{"my.jobs", "my.jobs.dead", "my-jobs.host.a", "docker-dispatch.reply.x", "amq.direct"} {
		if all.MatchString(name) {
			t.Errorf("%s matches %s", name, all)
		}
	}
}
