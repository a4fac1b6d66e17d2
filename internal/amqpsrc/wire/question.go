package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A question asks the daemons of a queue for their status: a message without a body, published to QuestionExchange with the
// key of QuestionKey. Each daemon binds a queue of its own there, and sends its answer to the reply_to.
const (
	// Asking is the role of a connection that asks or answers.
	Asking = "status"

	// QuestionExchange is a direct exchange that every virtual host has.
	QuestionExchange = "amq.direct"

	// MostAnswer is the largest answer, in bytes. A larger one is not read.
	MostAnswer = 1 << 20
)

// QuestionKey returns the routing key of the questions to the daemons of a queue. A routing key has at most 255 bytes.
func QuestionKey(queue string) string {
	const prefix = "docker-dispatch.status."
	if len(prefix)+len(queue) > 255 {
		sum := sha256.Sum256([]byte(queue))
		queue = hex.EncodeToString(sum[:])
	}
	return prefix + queue
}

// Answerable reports whether a question's reply_to is a queue that belongs to one connection. A stranger must not make a daemon
// write into other queues.
func Answerable(replyTo string) bool {
	return strings.HasPrefix(replyTo, DirectReply+".") || strings.HasPrefix(replyTo, "amq.gen-")
}
