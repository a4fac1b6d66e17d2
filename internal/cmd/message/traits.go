package message

// Ends tells whether a command asks for the end of its container.
func Ends(c Command) bool {
	switch c := c.(type) {
	case *Stop, *Remove:
		return true
	case *Kill:
		return c.Ends()
	}
	return false
}

// Lasts tells whether a command is work on the host that goes on for a while: it needs a slot, and what
// comes next on its container need not wait for its end.
func Lasts(c Command) bool {
	switch c.(type) {
	case *Run, *Exec:
		return true
	}
	return false
}

// Streams tells whether a command is asked for its output as it comes.
func Streams(c Command) bool {
	switch c := c.(type) {
	case *Run:
		return c.Stream
	case *Exec:
		return c.Stream
	case *Logs:
		return c.Stream
	}
	return false
}

// Shortly tells whether a command is one for the control queue, which nothing is to hold up.
func Shortly(c Command) bool {
	switch c.(type) {
	case *Run, *Pull:
		return false
	}
	return true
}

// LastAttempt is the highest number that an attempt of the command can have.
func LastAttempt(c Command) int {
	if r, ok := c.(*Run); ok && r.Retry != nil {
		return r.Retry.Max + 1
	}
	return 1
}
