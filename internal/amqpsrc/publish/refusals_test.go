package publish

import (
	"testing"
	"testing/synctest"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// The time that a reply_to has to store something is its own, not that of each message.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r refusals
		want := func(what string, got, want any) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		want("first refusal", r.vain("full", wire.ErrNacked), false)
		time.Sleep(impatience / 2)
		want("half a minute later", r.vain("full", wire.ErrNacked), false)
		want("time left", r.patience("full"), impatience/2)
		time.Sleep(impatience / 2)
		want("a minute later", r.vain("full", wire.ErrNacked), true)
		want("another message at once", r.vain("full", wire.ErrNacked), true)
		want("time left", r.patience("full"), shortly)
		want("another queue", r.vain("other", wire.ErrNacked), false)
		r.stored("full")
		want("when it has stored one", r.vain("full", wire.ErrNacked), false)

		want("a whole minute without an answer", r.vain("mute", wire.ErrUnanswered), true)
		want("time left", r.patience("mute"), shortly)
		time.Sleep(stale + 1)
		want("long after", r.patience("mute"), impatience)
		want("refused long after", r.vain("mute", wire.ErrNacked), false)

		want("no connection of its own", r.vain("suspect", errApart), false)
		time.Sleep(impatience)
		want("none for a minute", r.vain("suspect", errApart), true)
		r.stored("suspect")

		want("a lost connection", r.vain("q", wire.ErrLine), false)
		for _, code := range []int{amqp.AccessRefused, amqp.PreconditionFailed, amqp.ContentTooLarge} {
			want("what is refused for good", r.vain("q", &amqp.Error{Code: code, Server: true}), true)
		}
		if len(r.queues) != 1 {
			t.Errorf("what is long past is kept: %v", r.queues)
		}
	})
}
