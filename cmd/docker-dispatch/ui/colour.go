package ui

import "io"

// A Colour is that of a word on a terminal. All are of one length, so that a column whose words all have one stays straight.
type Colour string

// The colours.
const (
	Plain Colour = "\x1b[39m"
	Red   Colour = "\x1b[31m"
)

// On returns the text in the colour if w is a terminal and the user has not set NO_COLOR, see no-color.org.
func (c Colour) On(w io.Writer, getenv func(string) string, text string) string {
	if getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" || !IsTerminal(w) {
		return text
	}
	return string(c) + text + string(Plain)
}
