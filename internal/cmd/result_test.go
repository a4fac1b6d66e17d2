package cmd

import (
	"fmt"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestEngineError: a result has the engine's own words, as the docker CLI shows them.
func TestEngineError(t *testing.T) {
	for _, tt := range []struct {
		err  dockerapi.Error
		want string
	}{
		{dockerapi.Error{Op: "create container", Status: 400, Message: "Bad."}, "Error response from daemon: Bad."},
		{dockerapi.Error{Op: "pull image", Status: 200, Message: "unexpected EOF"}, "unexpected EOF"},
		{dockerapi.Error{Op: "create container", Message: "refused here"}, ""},
	} {
		var r Result
		r.fail(fmt.Errorf("%w (more)", &tt.err))
		if r.EngineError != tt.want || r.Error != tt.err.Error()+" (more)" {
			t.Errorf("%+v: %q, %q", tt.err, r.EngineError, r.Error)
		}
	}
}
