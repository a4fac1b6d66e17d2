package exits

import (
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestTell: the first exit of the container is told, and no other.
func TestTell(t *testing.T) {
	e := New(nil, nil, nil, "", nil)
	e.open.Set(true)
	exited := make(chan Exit, 1)
	e.Await(t.Context(), "ab", func(end Exit) { exited <- end })
	e.tell("abc", dockerapi.ExitStatus{Code: new(1)})
	e.tell("a", dockerapi.ExitStatus{Code: new(2)})
	e.tell("ab", dockerapi.ExitStatus{Code: new(3)})
	e.tell("ab", dockerapi.ExitStatus{Code: new(4)}) // of a restart, before anybody has read the first
	if got := <-exited; *got.Code != 3 {
		t.Errorf("exit %d", *got.Code)
	}
}
