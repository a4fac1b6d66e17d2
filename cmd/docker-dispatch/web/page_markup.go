package web

import (
	"html"
	"strings"
)

// markup is HTML from this package's source and files. The compiler takes no other string for it, and TestMarkup allows no
// conversion.
type markup string

// An htmlWriter writes HTML. Whatever is not markup is escaped.
type htmlWriter struct {
	out strings.Builder // written by put only
}

// put writes markup with texts in its holes, which are marked {}. Holes are between tags or in an attribute's double quotes,
// which no escaped text can leave: TestMarkup checks each call.
func (h *htmlWriter) put(m markup, texts ...string) {
	rest := string(m)
	for _, t := range texts {
		before, after, _ := strings.Cut(rest, "{}")
		h.out.WriteString(before)
		h.out.WriteString(html.EscapeString(t))
		rest = after
	}
	h.out.WriteString(rest)
}

// written returns the HTML that write writes.
func written(write func(*htmlWriter)) string {
	var h htmlWriter
	write(&h)
	return h.out.String()
}
