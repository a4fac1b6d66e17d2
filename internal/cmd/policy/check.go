package policy

import "github.com/mutaphore/docker-dispatch/internal/cmd/message"

// Check decodes a message as the daemon does, and says what it would be refused for: what Decode
// finds, or what the policy denies. Only what the engine must be asked for shows later.
func Check(body []byte, limit int, replies bool, p *Policy) (message.Command, error) {
	c, err := message.Decode(body, limit, replies)
	if err != nil {
		return nil, err
	}
	if err := p.check(c); err != nil {
		return c, &DeniedError{err}
	}
	return c, nil
}
