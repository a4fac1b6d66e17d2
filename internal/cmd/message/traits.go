package message

// Traits are what sets commands apart for whoever carries them out.
type Traits struct {
	Verb    string // the command's name, as in the message
	Lasts   bool   // it is work that goes on for a while: it needs a slot, and what comes next on its container need not wait for its end
	Runs    bool   // that is a container of its own, from its creation to its exit
	Makes   bool   // it creates a container
	Control bool   // it may come by the control queue, which nothing is to hold up
	Streams bool   // its sender wants its output as it comes
	Waits   bool   // it lasts as long as something else goes on
	Ends    bool   // it asks for the end of its container
	Stops   bool   // it does nothing else

	// Patient tells whether the engine may take long over it, where the container has that stop timeout of its own; nil: it
	// does not.
	Patient func(own *int) bool

	Retry *Retry // nil: never
}

// Attempts is how often the command is tried at most.
func (t Traits) Attempts() int {
	if t.Retry == nil {
		return 1
	}
	return t.Retry.Max + 1
}
