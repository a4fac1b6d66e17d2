package cmd

// Start starts a container that was created or has ended, as `docker start` does.
type Start struct {
	Ref
}

var startKeys = refKeys(func(s *Start) *Ref { return &s.Ref })

// Verb implements Command.
func (s *Start) Verb() string { return "start" }

func (s *Start) do(t *task) (Result, func() error, error) {
	return t.change(s.Container, func() error {
		if err := t.stays(s.Container); err != nil {
			return err
		}
		return t.pool.Docker.StartContainer(t.ctx, s.Container)
	}, nil)
}
