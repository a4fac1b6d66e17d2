package ui

// A Colour is that of a word on a terminal.
type Colour string

// The colours.
const (
	plain  Colour = "\x1b[39m"
	Red    Colour = "\x1b[31m"
	Green  Colour = "\x1b[32m"
	Yellow Colour = "\x1b[33m"
)

// Colours reports whether to write colours to w: it is a terminal, and the user has not set NO_COLOR, see no-color.org.
func Colours(w any, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && IsTerminal(w)
}

// of returns the text in the colour.
func (c Colour) of(text string) string { return string(c) + text + string(plain) }
