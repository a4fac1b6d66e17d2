package publish

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// The broker verifies a message's user_id when it is published, and refuses ours on a copy of somebody else's message. So a
// copy has the user in a header of ours, with a seal that only a holder of the daemon's password at the broker can make. A
// publisher could write the header too.

// Users tells the publishers of the messages of a queue.
type Users struct {
	key   func() []byte // makes the key of seals; nil: there is no password to make it of, and no copy has a user
	queue string
}

// sealRounds makes it slow to guess the password: whoever may read a copy can try passwords on its seal.
const sealRounds = 100_000

// NewUsers returns the Users of a queue, for the daemon that connects to an address.
func NewUsers(address, queue string) Users {
	to, err := url.Parse(address)
	if err != nil {
		return Users{}
	}
	password, _ := to.User.Password()
	if password == "" {
		return Users{}
	}
	return Users{queue: queue, key: sync.OnceValue(func() []byte {
		key, err := pbkdf2.Key(sha256.New, password, []byte("docker-dispatch "+queue), sealRounds, sha256.Size)
		if err != nil { // only of wrong lengths
			panic(err)
		}
		return key
	})}
}

// Of returns the publisher of a message, as far as it is verified; "": unknown.
func (u Users) Of(d amqp.Delivery) string {
	claimed := wire.Text(d.Headers[wire.HeaderUser])
	seal := wire.Text(d.Headers[wire.HeaderSeal])
	if claimed != "" && seal != "" && hmac.Equal([]byte(seal), []byte(u.seal(claimed, d))) {
		return claimed
	}
	return d.UserId
}

// seal returns the seal of a message for a user, or "" if there is nothing to make it with. It holds for a copy with the same
// id, body and answers.
func (u Users) seal(user string, d amqp.Delivery) string {
	if u.key == nil || user == "" {
		return ""
	}
	if wire.IsDirect(d.ReplyTo) { // a copy has none
		d.ReplyTo = ""
	}
	h := hmac.New(sha256.New, u.key())
	for _, part := range []string{u.queue, user, d.MessageId, d.ReplyTo, d.CorrelationId, string(d.Body)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
