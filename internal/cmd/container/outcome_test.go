package container

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestRetrySaysItsDelay: the delay that is told is the one that is kept.
func TestRetrySaysItsDelay(t *testing.T) {
	for asked, said := range map[time.Duration]string{100 * time.Millisecond: "1s", 3 * time.Second: "5s", 7 * time.Hour: "8h0m0s"} {
		res := event.Result{Status: event.Failed, Reason: event.ReasonExit}
		setAttempts(&res, &message.Retry{Max: 1, Delay: asked}, 1, false)
		if want := "trying again in " + said + " (attempt 2 of 2)"; !strings.Contains(res.Error, want) {
			t.Errorf("%v: %q, want %q", asked, res.Error, want)
		}
	}
}

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
		var r event.Result
		setError(&r, fmt.Errorf("%w (more)", &tt.err))
		if r.EngineError != tt.want || r.Error != tt.err.Error()+" (more)" {
			t.Errorf("%+v: %q, %q", tt.err, r.EngineError, r.Error)
		}
	}
}
