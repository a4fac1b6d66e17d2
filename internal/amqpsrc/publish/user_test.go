package publish

import (
	"maps"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// TestUserOfCopy: a copy that the daemon made has the message's user, and no other can claim one.
func TestUserOfCopy(t *testing.T) {
	of := NewUsers
	ours := of("amqp://d:secret@host/", "q")
	d := amqp.Delivery{MessageId: "m", Body: []byte("body"), UserId: "ci"}
	if got := ours.Of(d); got != "ci" {
		t.Errorf("the broker's user_id is %q", got)
	}
	d.Headers = amqp.Table{wire.HeaderUser: "ci", wire.HeaderSeal: ours.seal("ci", d)}
	d.UserId = ""
	if got := ours.Of(d); got != "ci" {
		t.Errorf("the user of a copy is %q", got)
	}
	for name, change := range map[string]func(d *amqp.Delivery, u *Users){
		"another body":     func(d *amqp.Delivery, _ *Users) { d.Body = []byte("other") },
		"another id":       func(d *amqp.Delivery, _ *Users) { d.MessageId = "n" },
		"another reply_to": func(d *amqp.Delivery, _ *Users) { d.ReplyTo = "mine" },
		"another user":     func(d *amqp.Delivery, _ *Users) { d.Headers[wire.HeaderUser] = "root" },
		"without a seal":   func(d *amqp.Delivery, _ *Users) { delete(d.Headers, wire.HeaderSeal) },
		"another queue":    func(_ *amqp.Delivery, u *Users) { *u = of("amqp://d:secret@host/", "other") },
		"another password": func(_ *amqp.Delivery, u *Users) { *u = of("amqp://d:guess@host/", "q") },
		"no password": func(d *amqp.Delivery, u *Users) {
			*u = of("amqps://host/", "q")
			d.Headers[wire.HeaderSeal] = u.seal("ci", *d)
		},
	} {
		changed, u := d, ours
		changed.Headers = maps.Clone(d.Headers)
		change(&changed, &u)
		if got := u.Of(changed); got != "" {
			t.Errorf("%s: the user is %q", name, got)
		}
	}
	d.UserId = "mallory"
	d.Headers[wire.HeaderSeal] = "forged"
	if got := ours.Of(d); got != "mallory" {
		t.Errorf("with a forged seal the user is %q", got)
	}
}
