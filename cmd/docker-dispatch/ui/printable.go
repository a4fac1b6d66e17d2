package ui

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine puts a text on one line, with one space between words.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// PlainLine returns text from outside as one line that is safe for a terminal.
func PlainLine(s string) string { return Printable(OneLine(s)) }

// controls reports whether a character can command a terminal, reverse or begin a line, or is invisible.
func controls(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || c == '\uFEFF'
}

// Printable replaces control and bidirectional characters by ? in text from outside, such as a message_id. They could
// forge lines, or command the terminal. It cuts the text at 1000 bytes.
func Printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if controls(c) {
			return '?'
		}
		return c
	}, s)
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "..."
	}
	return s
}

// Escaped makes a container's output safe to print. Control and bidirectional characters, and bytes that are not UTF-8,
// become Go escapes such as \x1b. They could forge lines, or command the terminal. Tabs, newlines, and carriage returns
// before a newline stay.
func Escaped(data []byte) []byte {
	plain := func(b []byte) int { // the length of b before the first byte to escape
		for i := 0; i < len(b); {
			for len(b)-i >= 8 && allPlain(binary.NativeEndian.Uint64(b[i:])) { // as most bytes are
				i += 8
			}
			for i < len(b) && b[i]-' ' < 0x7f-' ' {
				i++
			}
			if i == len(b) {
				break
			}
			c, size := utf8.DecodeRune(b[i:])
			switch {
			case c == '\n', c == '\t':
			case c == '\r' && i+1 < len(b) && b[i+1] == '\n':
			case c == utf8.RuneError && size == 1, controls(c):
				return i
			}
			i += size
		}
		return len(b)
	}
	n := plain(data)
	if n == len(data) {
		return data
	}
	text := make([]byte, 0, len(data)+len(data)/8)
	for {
		text, data = append(text, data[:n]...), data[n:]
		if len(data) == 0 {
			return text
		}
		c, size := utf8.DecodeRune(data)
		if c == utf8.RuneError {
			text = fmt.Appendf(text, `\x%02x`, data[0])
		} else {
			quoted := strconv.AppendQuoteRune(nil, c)
			text = append(text, quoted[1:len(quoted)-1]...)
		}
		data = data[size:]
		n = plain(data)
	}
}

// allPlain reports whether each of the eight bytes of x is printable ASCII: from a space to a tilde. Then no byte of the two sums has
// its highest bit set. Else the lowest one that is not has: of the difference below a space and from 0xa0 on, of the sum from 0x7f to 0xfe.
func allPlain(x uint64) bool {
	const each = 0x0101010101010101
	return ((x-' '*each)|(x+each))&(0x80*each) == 0
}
