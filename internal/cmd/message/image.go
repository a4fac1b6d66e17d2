package message

// ImageOf returns the image that a command names, or "" if it names none.
func ImageOf(c Command) string {
	if c, ok := c.(interface{ image() string }); ok {
		return c.image()
	}
	return ""
}

func (r *Run) image() string  { return r.Image }
func (p *Pull) image() string { return p.Image }
