package main

import (
	"fmt"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// otherDescriptors is more than a daemon has open besides a connection for each running container: those to the broker, some to the
// engine, the listener and files.
const otherDescriptors = 64

// enoughDescriptors returns an error if so many containers cannot run at a time. most is how many descriptors may be open; 0: it is
// not known.
func enoughDescriptors(concurrency int, most int64) error {
	if most == 0 || int64(concurrency)+otherDescriptors <= most {
		return nil
	}
	return ui.UsageError(
		fmt.Sprintf("--concurrency %d: each running container takes a connection to the engine, and this process may open %d files", concurrency, most),
		fmt.Sprintf("give %d or less, or raise the limit: ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of docker run", max(1, most-otherDescriptors)))
}
