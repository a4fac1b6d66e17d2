package message

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Pull pulls an image, as `docker pull` does.
type Pull struct {
	Image    string
	Platform string // OS[/ARCH[/VARIANT]]; empty: the engine's own
}

var pullKeys = []key[Pull]{
	textKey("Image", "the image; without a tag `latest`", func(p *Pull) *string { return &p.Image }),
}

var pullOptions = []key[Pull]{
	textKey("Platform", "OS[/ARCH[/VARIANT]], where it has several", func(p *Pull) *string { return &p.Platform }, flagval.ParsePlatform),
}

func decodePull(members []member) (Command, error) {
	p := new(Pull)
	if err := decodeKeys(p, "pull", members, pullKeys, pullOptions); err != nil {
		return nil, err
	}
	if p.Image == "" {
		return nil, errors.New(`key "Image" is missing or empty; pull needs the image to pull`)
	}
	return p, nil
}

// Traits implements Command.
func (p *Pull) Traits() Traits {
	return Traits{Verb: "pull"}
}

// Target implements Command.
func (p *Pull) Target() string { return "" }
