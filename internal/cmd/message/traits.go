package message

// Traits are the properties of a command that decide how it is carried out.
type Traits struct {
	Verb string // the command's name, as in the message
	// Lasts: it runs a program. It takes a slot, except from the control queue. The next command on its container does not
	// wait for its end.
	Lasts   bool
	Runs    bool // the program is a container's, from its creation to its exit
	Makes   bool // it creates a container
	Control bool // the control queue takes it, which nothing may hold up
	Streams bool // its publisher wants the output and the progress of a pull as they come
	Waits   bool // it lasts until something else has ended
	Ends    bool // it asks for the end of its container
	Stops   bool // it does nothing but that
	Removes bool // it leaves no container

	NewName string // the name that it leaves the container with; "": the name it had

	// Patient reports whether the engine may take over a minute. own is the container's stop timeout. A nil Patient means no.
	Patient func(own *int) bool

	Retry *Retry // nil: never
}

// Attempts returns how often the command is tried at most.
func (t Traits) Attempts() int {
	if t.Retry == nil {
		return 1
	}
	return t.Retry.Max + 1
}
