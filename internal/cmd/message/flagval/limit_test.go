package flagval

import (
	"math"
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

const notBelowDev = `expected a device below /dev, a colon and a number, got `

func TestParseWeightDevice(t *testing.T) {
	weight := func(got, in string) string {
		return `expected a weight from 10 to 1000, or 0 for none, got ` + got + ` in ` + in
	}
	testParse(t, ParseWeightDevice, []taken[dockerapi.WeightDevice]{
		{"/dev/sda:0", dockerapi.WeightDevice{Path: "/dev/sda"}},
		{"/dev/sda:10", dockerapi.WeightDevice{Path: "/dev/sda", Weight: 10}},
		{"/dev/sda:1000", dockerapi.WeightDevice{Path: "/dev/sda", Weight: 1000}},
	}, []refused{
		{"", notBelowDev + `""`},
		{"/dev/sda", notBelowDev + `"/dev/sda"`},
		{"sda:100", notBelowDev + `"sda:100"`},
		{"/dev/sda:9", weight(`"9"`, `"/dev/sda:9"`)},
		{"/dev/sda:1001", weight(`"1001"`, `"/dev/sda:1001"`)},
		{"/dev/sda:-1", weight(`"-1"`, `"/dev/sda:-1"`)},
		{"/dev/a:b:100", weight(`"b:100"`, `"/dev/a:b:100"`)},
	})
}

func TestParseThrottleBps(t *testing.T) {
	testParse(t, ParseThrottleBps, []taken[dockerapi.ThrottleDevice]{
		{"/dev/sda:0", dockerapi.ThrottleDevice{Path: "/dev/sda"}},
		{"/dev/sda:1mb", dockerapi.ThrottleDevice{Path: "/dev/sda", Rate: 1 << 20}},
		{"/dev/sda:1.5k", dockerapi.ThrottleDevice{Path: "/dev/sda", Rate: 1536}},
	}, []refused{
		{"/devx:1", notBelowDev + `"/devx:1"`},
		{"/dev/sda:", `expected a size such as "512m" or "1.5g", with b, k, m, g, t or p, got ""`},
		{"/dev/sda:-1", `expected a size of 0 or more, got "-1"`},
	})
}

func TestParseThrottleIOps(t *testing.T) {
	number := func(got, in string) string {
		return `expected a number of operations a second, got ` + got + ` in ` + in
	}
	testParse(t, ParseThrottleIOps, []taken[dockerapi.ThrottleDevice]{
		{"/dev/sda:1000", dockerapi.ThrottleDevice{Path: "/dev/sda", Rate: 1000}},
		{"/dev/sda:18446744073709551615", dockerapi.ThrottleDevice{Path: "/dev/sda", Rate: math.MaxUint64}},
	}, []refused{
		{"sda:1", notBelowDev + `"sda:1"`},
		{"/dev/sda:1k", number(`"1k"`, `"/dev/sda:1k"`)},
		{"/dev/sda:-1", number(`"-1"`, `"/dev/sda:-1"`)},
	})
}
