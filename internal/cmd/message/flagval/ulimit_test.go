package flagval

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func TestParseUlimit(t *testing.T) {
	const (
		number = `nofile: expected a number, or two with a colon, such as "1024:2048", got `
		order  = `nofile: expected a soft limit that is not above the hard one, got `
	)
	nofile := func(soft, hard int64) dockerapi.Ulimit {
		return dockerapi.Ulimit{Name: "nofile", Soft: soft, Hard: hard}
	}
	good := []taken[dockerapi.Ulimit]{
		{"nofile=1024", nofile(1024, 1024)},
		{"nofile=1024:2048", nofile(1024, 2048)},
		{"nofile=-1", nofile(-1, -1)},
		{"nofile=5:-1", nofile(5, -1)},
		{"nofile=-3:-2", nofile(-3, -2)},
	}
	for _, name := range ulimitNames() {
		good = append(good, taken[dockerapi.Ulimit]{name + "=0", dockerapi.Ulimit{Name: name}})
	}
	testParse(t, ParseUlimit, good, []refused{
		{"", `expected a limit such as "nofile=1024:2048", got ""`},
		{"nofile", `expected a limit such as "nofile=1024:2048", got "nofile"`},
		{"NOFILE=1", `unknown limit "NOFILE"; did you mean "nofile"?`},
		{"threads=1", `unknown limit "threads"; expected "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending" or "stack"`},
		{"nofile=", number + `""`},
		{"nofile=x:1", number + `"x:1"`},
		{"nofile=1:", number + `"1:"`},
		{"nofile=1:2:3", number + `"1:2:3"`},
		{"nofile=unlimited", number + `"unlimited"`},
		{"nofile=9223372036854775808", number + `"9223372036854775808"`},
		{"nofile=6:5", order + `"6:5"`},
		{"nofile=-1:5", order + `"-1:5"`},
		{"nofile=-2:-3", order + `"-2:-3"`},
	})
}
