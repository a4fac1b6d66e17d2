package cmd

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// slowLists is an engine that takes a while for a list.
type slowLists struct{ container.Docker }

func (s slowLists) ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error) {
	time.Sleep(100 * time.Millisecond)
	return s.Docker.ListContainers(ctx, o)
}

// TestEqualOrphans: equal messages without an id come back to a new process. Each adopts another container, and together they list the
// containers a few times.
func TestEqualOrphans(t *testing.T) {
	const n, body = 100, `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
	onBench(t, func(c *Config) { c.Concurrency, c.Docker = n, slowLists{c.Docker} }, func(b *bench) {
		left, all := make([]*fakeContainer, n), make([]*delivery, n)
		for i := range n {
			left[i] = b.leave(fmt.Sprint("left", i), "running", identity.Of(intake.Job{Queue: "q", Body: []byte(body)}).Labels(true))
		}
		for i := range n {
			all[i] = b.post(fmt.Sprint("m", i), "", true, body)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if created, lists := b.made("create"), b.made("list"); created != 0 || lists > 5 {
			t.Errorf("%d containers created, %d lists", created, lists)
		}
		for _, c := range left {
			c.exit(0)
		}
		time.Sleep(time.Minute)
		for _, d := range all {
			d.want(intake.Ack, "")
		}
		if b.docker.count() != 0 {
			t.Errorf("%d containers left", b.docker.count())
		}
	})
}
