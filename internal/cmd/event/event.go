package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// Names of events.
const (
	EventPull    = "pull"
	EventStarted = "started"
	EventOutput  = "output"
	eventResult  = "result"
)

// MaxData bounds the bytes of a container's output in one event.
const MaxData = 64 << 10

// Line encodes v as one line of JSON. It panics if v cannot be encoded, which is impossible for events.
func Line(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Lines splits a piece of output into lines, and a line of more than MaxData bytes into parts.
func (o Output) Lines() iter.Seq[Output] {
	return func(yield func(Output) bool) {
		piece := o
		for line := range bytes.Lines(o.Data) {
			for len(line) > 0 {
				n := Cut(line)
				piece.Data = line[:n]
				if !yield(piece) {
					return
				}
				piece.Offset += int64(n)
				line = line[n:]
			}
		}
	}
}

// Cut returns how many bytes of data go into one event: at most MaxData, and no part of a character.
func Cut(data []byte) int {
	if len(data) <= MaxData {
		return len(data)
	}
	for n := MaxData; n > MaxData-utf8.UTFMax; n-- {
		if utf8.RuneStart(data[n]) {
			return n
		}
	}
	return MaxData
}

// An Event is one event of a job: exactly one field is set.
type Event struct {
	Pull    *Pull
	Started *Started
	Output  *Output
	Result  *Result
}

// Decode reads an event from its JSON. It ignores unknown keys, which a later version may have written.
func Decode(body []byte) (Event, error) {
	var kind struct{ Event string }
	if err := json.Unmarshal(body, &kind); err != nil {
		return Event{}, fmt.Errorf("not an event: %w", err)
	}
	var e Event
	var err error
	switch kind.Event {
	case EventPull:
		e.Pull = new(Pull)
		err = json.Unmarshal(body, e.Pull)
	case EventStarted:
		e.Started = new(Started)
		err = json.Unmarshal(body, e.Started)
	case EventOutput:
		var o struct {
			Output
			Data   string // in place of Output's
			Base64 []byte // for bytes that are not UTF-8, which a JSON string cannot hold
		}
		err = json.Unmarshal(body, &o)
		e.Output = &o.Output
		if e.Output.Data = o.Base64; o.Base64 == nil {
			e.Output.Data = []byte(o.Data)
		}
	case eventResult:
		e.Result = new(Result)
		err = json.Unmarshal(body, e.Result)
	case "":
		err = errors.New(`key "Event" is missing`)
	default:
		err = fmt.Errorf("unknown event %.60q", kind.Event)
	}
	if err != nil {
		return Event{}, fmt.Errorf("not an event: %w", err)
	}
	return e, nil
}
