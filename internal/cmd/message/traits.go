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

	Image   string // the image that it names; "": none
	NewName string // the name that it leaves the container with; "": the name it had

	// Placement chooses among the hosts that share the queue. Nil: neither the message nor the policy can.
	Placement *Placement

	// Patient reports whether the engine may take over a minute. own is the container's stop timeout. A nil Patient means no.
	Patient func(own *int) bool

	Retry *Retry // nil: never
}

// The traits of each command.

func (r *Run) Traits() Traits {
	return Traits{Verb: "run", Lasts: true, Runs: true, Makes: true, Placement: &r.Placement, Streams: r.Stream, Retry: r.Retry, Image: r.Image}
}
func (c *Create) Traits() Traits {
	return Traits{Verb: "create", Control: true, Makes: true, Placement: &c.Placement, Image: c.Image}
}
func (s *Start) Traits() Traits { return Traits{Verb: "start", Control: true} }
func (s *Stop) Traits() Traits {
	return Traits{Verb: "stop", Control: true, Ends: true, Stops: true, Patient: s.patient}
}
func (r *Restart) Traits() Traits {
	return Traits{Verb: "restart", Control: true, Patient: (*Stop)(r).patient}
}
func (k *Kill) Traits() Traits {
	return Traits{Verb: "kill", Control: true, Ends: k.ends(), Stops: k.ends()}
}
func (p *Pause) Traits() Traits   { return Traits{Verb: "pause", Control: true} }
func (u *Unpause) Traits() Traits { return Traits{Verb: "unpause", Control: true} }
func (r *Rename) Traits() Traits  { return Traits{Verb: "rename", Control: true, NewName: r.NewName} }
func (r *Remove) Traits() Traits {
	return Traits{Verb: "remove", Control: true, Ends: true, Removes: true}
}
func (w *Wait) Traits() Traits { return Traits{Verb: "wait", Control: true, Waits: true} }
func (l *Logs) Traits() Traits {
	return Traits{Verb: "logs", Control: true, Streams: l.Stream, Waits: l.Follow}
}
func (i *Inspect) Traits() Traits { return Traits{Verb: "inspect", Control: true} }
func (e *Exec) Traits() Traits {
	return Traits{Verb: "exec", Lasts: true, Control: true, Streams: e.Stream}
}
func (p *Pull) Traits() Traits {
	return Traits{Verb: "pull", Placement: &p.Placement, Streams: p.Stream, Image: p.Image}
}

// Attempts returns how often the command is tried at most.
func (t Traits) Attempts() int {
	if t.Retry == nil {
		return 1
	}
	return t.Retry.Max + 1
}
