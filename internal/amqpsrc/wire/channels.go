package wire

const (
	// Publishers is how many channels publish, each with at most one unconfirmed message. If the broker closes a
	// channel, such as over a message that is too large, no other message is lost. A returned message is always
	// the one just sent. Messages of a caller that holds a channel keep their order.
	Publishers = 8

	// ChannelsNeeded is how many channels a connection must allow: Publishers, the lanes of streams, some for calls.
	ChannelsNeeded = 2 * Publishers
)
