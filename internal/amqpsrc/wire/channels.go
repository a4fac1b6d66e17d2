package wire

const (
	// Publishers is how many messages may be unconfirmed at a time: one on each of so many channels.
	// One a channel, because then an error that the broker closes a channel for, such as a message
	// that is too large, costs no other message; because a returned message is surely the one that
	// was sent; and because what one caller publishes on a channel that it holds keeps its order.
	Publishers = 8

	// ChannelsNeeded is how many channels the connection has at most: those, the lanes, and some for calls.
	ChannelsNeeded = 2 * Publishers
)
