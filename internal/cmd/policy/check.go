package policy

import "github.com/mutaphore/docker-dispatch/internal/cmd/message"

// Check decodes a message as the daemon does. Its error is why the daemon would refuse the message: that of Decode, or a
// [*DeniedError]. The daemon refuses more when it knows the message's queue and the engine's answers.
func Check(body []byte, limit int, replies bool, p *Policy) (message.Command, error) {
	c, err := message.Decode(body, limit, replies)
	if err != nil {
		return nil, err
	}
	if err := p.check(c); err != nil {
		return c, &DeniedError{Err: err}
	}
	return c, nil
}
