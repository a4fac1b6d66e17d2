package event

import (
	"encoding/hex"
	"strconv"
	"unicode/utf8"
)

// JSON returns the event as one line.
func (o Output) JSON() []byte { return o.AppendJSON(nil) }

// AppendJSON appends the event to b, as one line. A container can write millions of lines, so it does without reflection
// what Line does.
func (o Output) AppendJSON(b []byte) []byte {
	if !utf8.Valid(o.Data) || !utf8.ValidString(o.Job) || !utf8.ValidString(o.ContainerName) || !utf8.ValidString(o.Stream) {
		e := outputEvent{Event: EventOutput, Job: o.Job, ContainerName: o.ContainerName, Attempt: o.Attempt, Stream: o.Stream, Offset: o.Offset}
		if utf8.Valid(o.Data) {
			e.Data = string(o.Data)
		} else {
			e.Base64 = o.Data
		}
		return append(b, Line(e)...)
	}
	b = append(b, `{"Event":"`+EventOutput+`","Job":`...)
	b = appendText(b, o.Job)
	b = append(b, `,"ContainerName":`...)
	b = appendText(b, o.ContainerName)
	if o.Attempt != 0 {
		b = append(b, `,"Attempt":`...)
		b = strconv.AppendInt(b, int64(o.Attempt), 10)
	}
	b = append(b, `,"Stream":`...)
	b = appendText(b, o.Stream)
	b = append(b, `,"Offset":`...)
	b = strconv.AppendInt(b, o.Offset, 10)
	if len(o.Data) > 0 {
		b = append(b, `,"Data":`...)
		b = appendText(b, o.Data)
	}
	return append(b, '}', '\n')
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
