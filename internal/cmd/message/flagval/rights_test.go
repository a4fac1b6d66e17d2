package flagval

import (
	"strings"
	"testing"
)

func TestParseSecurityOpts(t *testing.T) {
	const option = `expected an option such as "label=disable", got `
	const files = `seccomp takes the profile's JSON text, a message has no files; got `
	type result struct {
		opts             string // joined by spaces
		masked, readonly bool   // empty lists of them
	}
	// Several are separated by spaces here.
	parse := func(s string) (result, error) {
		opts, masked, readonly, err := ParseSecurityOpts(strings.Split(s, " "))
		if masked != nil && len(*masked) > 0 || readonly != nil && len(*readonly) > 0 {
			t.Errorf("%q: %v, %v", s, *masked, *readonly)
		}
		return result{strings.Join(opts, " "), masked != nil, readonly != nil}, err
	}
	good := []taken[result]{
		{"systempaths=unconfined", result{"", true, true}},
		{"label=disable systempaths=unconfined no-new-privileges", result{"label=disable no-new-privileges", true, true}},
		{"seccomp={\n\"a\":\t\"x=y:z\"}", result{`seccomp={"a":"x=y:z"}`, false, false}},
		{`seccomp:{"a":"="}`, result{`seccomp={"a":"="}`, false, false}},
	}
	for _, s := range []string{
		"no-new-privileges", "no-new-privileges=true", "no-new-privileges:false", "no-new-privileges=", "seccomp=unconfined",
		"seccomp:unconfined", "seccomp=builtin", "apparmor=p", "label:disable", "label=type:x", "label:level=s0", "foo=bar",
		"systempaths=x", "systempaths:unconfined", // the engine refuses these two
	} {
		good = append(good, taken[result]{s, result{opts: s}})
	}
	testParse(t, parse, good, []refused{
		{"", option + `""`},
		{"label", option + `"label"`},
		{"label=", option + `"label="`},
		{"label:", option + `"label:"`},
		{"seccomp=", option + `"seccomp="`},
		{"no-new-privilegesx", option + `"no-new-privilegesx"`},
		{"seccomp=/etc/p.json", files + `"/etc/p.json"`},
		{"seccomp=default", files + `"default"`},
		{"seccomp=[]", files + `"[]"`},
		{"seccomp={}{}", `the seccomp profile is not JSON: invalid character '{' after top-level value`},
		{"seccomp={", `the seccomp profile is not JSON: unexpected end of JSON input`},
		{"=x", option + `"=x"`}, // the docker CLI sends it
	})
}
