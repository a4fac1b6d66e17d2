package flagval

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func TestParseRestart(t *testing.T) {
	const name = `expected "no", "always", "unless-stopped" or "on-failure", got `
	testParse(t, ParseRestart, []taken[dockerapi.RestartPolicy]{
		{"", dockerapi.RestartPolicy{}},
		{"no", dockerapi.RestartPolicy{Name: "no"}},
		{"always", dockerapi.RestartPolicy{Name: "always"}},
		{"unless-stopped", dockerapi.RestartPolicy{Name: "unless-stopped"}},
		{"on-failure", dockerapi.RestartPolicy{Name: "on-failure"}},
		{"on-failure:", dockerapi.RestartPolicy{Name: "on-failure"}},
		{"on-failure:3", dockerapi.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}},
		{"on-failure:-1", dockerapi.RestartPolicy{Name: "on-failure", MaximumRetryCount: -1}}, // the engine refuses it, and the next
		{"always:3", dockerapi.RestartPolicy{Name: "always", MaximumRetryCount: 3}},
	}, []refused{
		{":3", name + `":3"`},
		{"on-failure:x", `expected a number of restarts such as "on-failure:3", got "on-failure:x"`},
		{"on-failure:1:2", `expected a number of restarts such as "on-failure:3", got "on-failure:1:2"`},
		// The docker CLI leaves these to the engine.
		{"On-Failure", name + `"On-Failure"`},
		{"foo", name + `"foo"`},
	})
}
