package dead

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
)

// TestLetterWhat: list shows what each dead letter is for, as far as the body says it.
func TestLetterWhat(t *testing.T) {
	for body, want := range map[string]string{
		`{"Dockercmd": "run", "Image": "alpine", "Cmd": ["x"]}`: "run alpine",
		`{"Dockercmd": "stop", "Container": "web"}`:             "stop web",
		`{"Dockercmd": "stop", "Job": "nightly"}`:               "stop nightly",
		`{"Dockercmd": "kill", "Job": 7, "Container": "web"}`:   "kill web",
		`{"Dockercmd": "wait"}`:                                 "wait",
		`{"Job": "nightly"}`:                                    `{"Job": "nightly"}`,
		``:                                                      "(empty)",
	} {
		if got := letterOf(client.Received{Message: client.Message{Body: []byte(body)}}, time.Now()).what(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
