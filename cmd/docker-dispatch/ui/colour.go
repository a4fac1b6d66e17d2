package ui

// A Colour is an escape sequence of a terminal; "": none.
type Colour string

// The colours of words that say how something is.
const (
	Plain  Colour = ""
	Bold   Colour = "\x1b[1m"
	Green  Colour = "\x1b[32m"
	Yellow Colour = "\x1b[33m"
	Red    Colour = "\x1b[31m"
)

// Colours reports whether to write colours to a stream: to a terminal, unless the variable NO_COLOR is set.
func Colours(stream any, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && IsTerminal(stream)
}

// on returns the text in that colour.
func (c Colour) on(text string) string {
	if c == Plain {
		return text
	}
	return string(c) + text + "\x1b[0m"
}
