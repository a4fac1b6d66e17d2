package message

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Pull pulls an image, as `docker pull` does.
type Pull struct {
	Image    string
	Platform string // OS[/ARCH[/VARIANT]]; empty: the engine's own
	Stream   bool   // the publisher wants to see its progress

	Placement Placement // among the hosts that share the queue
}

var pullKeys = []key[Pull]{
	textKey("Image", "the image; without a tag `latest`", func(p *Pull) *string { return &p.Image }),
	boolKey("Stream", "send the progress to the message's reply_to as it comes, see [pull](events.md#pull)", func(p *Pull) *bool { return &p.Stream }),
}

var pullOptions = append([]key[Pull]{
	textKey("Platform", "OS[/ARCH[/VARIANT]], where it has several", func(p *Pull) *string { return &p.Platform }, flagval.ParsePlatform),
}, placementKeys(func(p *Pull) *Placement { return &p.Placement })...)

func finishPull(p *Pull) (Command, error) {
	if p.Image == "" {
		return nil, errors.New(`key "Image" is missing or empty; pull needs the image to pull`)
	}
	return p, nil
}

// Target implements Command.
func (p *Pull) Target() string { return "" }
