package amqpsrc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// The broker verifies a message's user_id when it is published, and refuses ours on a copy of somebody else's message. So a
// copy has the user in a header of ours, with a seal that only a holder of the daemon's password at the broker can make. A
// publisher could write the header too.

// users tells the publishers of the messages of a queue.
type users struct {
	password string // the daemon's at the broker; "": none, and no copy has a user
	queue    string
}

func newUsers(c *Config) users {
	to, err := url.Parse(c.URL)
	if err != nil {
		return users{}
	}
	password, _ := to.User.Password()
	return users{password, c.Queue}
}

// of returns the publisher of a message, as far as it is verified; "": unknown.
func (u users) of(d amqp.Delivery) string {
	claimed := wire.Text(d.Headers[wire.HeaderUser])
	seal := wire.Text(d.Headers[wire.HeaderSeal])
	if claimed != "" && seal != "" && hmac.Equal([]byte(seal), []byte(u.seal(claimed, d))) {
		return claimed
	}
	return d.UserId
}

// seal returns the seal of a message for a user, or "" if there is nothing to make it with.
func (u users) seal(user string, d amqp.Delivery) string {
	if u.password == "" || user == "" {
		return ""
	}
	h := hmac.New(sha256.New, []byte(u.password))
	for _, part := range []string{u.queue, user, d.MessageId, string(d.Body)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
