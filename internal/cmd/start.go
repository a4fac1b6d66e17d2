package cmd

// Start starts a container that was created or has ended, as `docker start` does.
type Start struct {
	Container string // name or id
}

var startKeys = []key[Start]{containerKey(func(s *Start) *string { return &s.Container })}

// Verb implements Command.
func (s *Start) Verb() string { return "start" }

// Target implements Command.
func (s *Start) Target() string { return s.Container }

func (s *Start) do(t *task) (Result, func() error, error) {
	return t.change(s.Container, func() error {
		if err := t.stays(s.Container); err != nil {
			return err
		}
		return t.pool.Docker.StartContainer(t.ctx, s.Container)
	}, nil)
}
