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

// outputEvent is the JSON form of Output. Data that is not UTF-8 is in Base64, because a JSON string cannot hold it.
type outputEvent struct {
	Event         string
	Job           string
	ContainerName string
	Attempt       int `json:",omitempty"`
	Stream        string
	Offset        int64
	Data          string `json:",omitempty"`
	Base64        []byte `json:",omitempty"`
}

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
		var o outputEvent
		err = json.Unmarshal(body, &o)
		data := o.Base64
		if data == nil {
			data = []byte(o.Data)
		}
		e.Output = &Output{Job: o.Job, ContainerName: o.ContainerName, Attempt: o.Attempt, Stream: o.Stream, Offset: o.Offset, Data: data}
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
