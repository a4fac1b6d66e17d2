package event

import (
	"encoding/base64"
	"unicode/utf8"
)

// JSON returns the event as one line.
func (o Output) JSON() []byte { return o.AppendJSON(nil) }

// AppendJSON appends the event to b, as one line.
func (o Output) AppendJSON(b []byte) []byte {
	f := fields(append(b, `{"Event":"`+EventOutput+`"`...))
	f.always("Job", o.Job)
	f.always("ContainerName", o.ContainerName)
	f.number("Attempt", int64(o.Attempt))
	f.always("Stream", o.Stream)
	f.count("Offset", o.Offset)
	switch {
	case len(o.Data) == 0:
	case utf8.Valid(o.Data):
		f.name("Data")
		f = appendText(f, o.Data)
	default:
		f.name("Base64")
		f = append(base64.StdEncoding.AppendEncode(append(f, '"'), o.Data), '"')
	}
	return append(f, '}', '\n')
}
