package ui

import "io"

// A Colour is that of a word on a terminal. All are of one length: a column whose words all have one stays straight.
type Colour string

// The colours.
const (
	Plain  Colour = "\x1b[39m"
	Red    Colour = "\x1b[31m"
	Green  Colour = "\x1b[32m"
	Yellow Colour = "\x1b[33m"
)

// Colours reports whether to write colours to w: it is a terminal, and the user has not set NO_COLOR, see no-color.org.
func Colours(w any, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && IsTerminal(w)
}

// On returns the text in the colour if w takes colours.
func (c Colour) On(w io.Writer, getenv func(string) string, text string) string {
	if !Colours(w, getenv) {
		return text
	}
	return c.of(text)
}

// of returns the text in the colour.
func (c Colour) of(text string) string { return string(c) + text + string(Plain) }
