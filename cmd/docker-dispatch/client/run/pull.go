package run

import (
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// pulling shows the pull of the image, in the words of docker run: a line when it begins because the image is missing, and one when
// it has succeeded. On a terminal a line between them shows the progress. Events can be redelivered: each line is printed once.
func (c *runClient) pulling(p *event.Pull) {
	if c.line.Quiet || c.pulled {
		return
	}
	image := c.line.FullImage()
	if p.Missing {
		c.missing()
	}
	switch p.Status {
	case event.Pulling:
		c.waits.Show("%s", progress(image, p.Progress))
	case event.Pulled, event.UpToDate:
		c.pulled = true
		text := "Downloaded newer image for "
		if p.Status == event.UpToDate {
			text = "Image is up to date for "
		}
		c.waits.Print(c.stderr, "Status: "+text+image)
		c.waits.Show("docker-dispatch: image pulled on %s", p.Host)
	}
}

// missing prints once that the image is missing.
func (c *runClient) missing() {
	if !c.saidMissing {
		c.saidMissing = true
		c.waits.Print(c.stderr, fmt.Sprintf("Unable to find image '%s' locally", c.line.FullImage()))
	}
}

// longestName is how much of an image's name is shown beside the progress: more would push that off the line. The end of a name
// tells most.
const longestName = 32

// progress returns the line for a pull under way.
func progress(image string, p event.Progress) string {
	if len(image) > longestName {
		image = "..." + image[len(image)-longestName+3:]
	}
	line := image + ": Pulling"
	if p.Layers > 0 {
		line += fmt.Sprintf(": %d of %d layers", p.Complete, p.Layers)
	}
	if p.Total > 0 {
		line += fmt.Sprintf(", %s of %s", decimalSize(p.Bytes), decimalSize(p.Total))
	}
	return line
}

// decimalSize returns a number of bytes in powers of 1000, as docker does.
func decimalSize(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%dB", bytes)
	}
	size, units := float64(bytes)/1000, "kMGT"
	for size >= 1000 && len(units) > 1 {
		size, units = size/1000, units[1:]
	}
	return fmt.Sprintf("%.1f%cB", size, units[0])
}
