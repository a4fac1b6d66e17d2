package event

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// fields is the beginning of a JSON object. Its methods append a field as encoding/json does with omitempty, but without
// reflection: a daemon writes an event for each job, and for each line of output.
type fields []byte

func (f *fields) name(name string) {
	*f = append(append(append(*f, ',', '"'), name...), '"', ':')
}

// always appends a text, also an empty one.
func (f *fields) always(name, value string) {
	f.name(name)
	f.value(value)
}

func (f *fields) text(name, value string) {
	if value != "" {
		f.always(name, value)
	}
}

func (f *fields) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	f.name(name)
	for i, value := range list {
		*f = append(*f, "[,"[min(i, 1)])
		f.value(value)
	}
	*f = append(*f, ']')
}

func (f *fields) value(value string) {
	if !utf8.ValidString(value) {
		*f = append(*f, bytes.TrimSuffix(Line(value), []byte("\n"))...)
		return
	}
	*f = appendText(*f, value)
}

func (f *fields) number(name string, n int64) {
	if n != 0 {
		f.count(name, n)
	}
}

// count appends a number, also 0.
func (f *fields) count(name string, n int64) {
	f.name(name)
	*f = strconv.AppendInt(*f, n, 10)
}

func (f *fields) flag(name string, on bool) {
	if on {
		f.name(name)
		*f = append(*f, "true"...)
	}
}

func (f *fields) time(name string, t *time.Time) {
	if t != nil {
		f.name(name)
		*f = t.AppendFormat(*f, `"`+time.RFC3339Nano+`"`)
	}
}

// appendText appends valid UTF-8 as a JSON string, escaped as encoding/json does without EscapeHTML.
func appendText[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0 // the first byte that is not yet appended
	for i := 0; i < len(s); i++ {
		c := s[i]
		if ' ' <= c && c != '"' && c != '\\' && c != 0xe2 {
			continue
		}
		escape, n := "", 1
		switch c {
		case '"', '\\':
			escape = `\` + string(rune(c))
		case '\n':
			escape = `\n`
		case '\r':
			escape = `\r`
		case '\t':
			escape = `\t`
		case '\b':
			escape = `\b`
		case '\f':
			escape = `\f`
		case 0xe2: // perhaps U+2028 or U+2029, which end a line of JavaScript
			if r := string(s[i : i+3]); r != "\u2028" && r != "\u2029" {
				continue
			}
			escape, n = `\u202`+string(rune(s[i+2]-0xa8+'8')), 3
		default:
			escape = `\u00` + hex.EncodeToString([]byte{c})
		}
		b = append(append(b, s[from:i]...), escape...)
		i += n - 1
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}
