package ps

import (
	"fmt"
	"io"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// enterScreen shows the terminal's second screen, without a cursor. leave shows the first again, as it was.
func enterScreen(w io.Writer) (leave func()) {
	fmt.Fprint(w, "\x1b[?1049h\x1b[?25l")
	return func() { fmt.Fprint(w, "\x1b[?25h\x1b[?1049l") }
}

// redraw writes lines over those of before. It counts the lines that have no room.
func redraw(w io.Writer, text string) error {
	_, rows := ui.Screen(w)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if most := max(rows-1, 1); len(lines) > most {
		left := len(lines) - most
		lines = append(lines[:most], fmt.Sprintf("… and %s: a larger window shows more", ui.Counted(left, "line")))
	}
	_, err := fmt.Fprintf(w, "\x1b[H%s\x1b[K\x1b[J", strings.Join(lines, "\x1b[K\n"))
	return err
}
