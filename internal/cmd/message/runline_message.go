package message

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// runMessage is the message of a run.
type runMessage struct {
	Command string `json:"Dockercmd"`
	Image   string
	Cmd     []string       `json:",omitempty"`
	Options map[string]any `json:",omitempty"`
	Stream  bool           `json:",omitempty"`
}

// Message makes the message. stdin is the program's input, if standard input is attached. Its error is the one that a daemon
// would report for the message.
func (l *RunLine) Message(stdin []byte, stream bool) ([]byte, error) {
	m := runMessage{Command: "run", Image: l.Image, Cmd: l.Cmd, Options: make(map[string]any), Stream: stream}
	for _, k := range runOptions {
		if v := l.values[k.name]; v != nil && k.name != "Attach" {
			m.Options[k.name] = k.form.value(v)
		}
	}
	var attach []string
	for _, s := range []string{"stdin", "stdout", "stderr"} {
		if l.Attached(s) {
			attach = append(attach, strings.ToUpper(s))
		}
	}
	if attach != nil {
		m.Options["Attach"] = attach
	}
	if len(stdin) > 0 {
		putInput(m.Options, stdin)
	}
	body := event.Line(m)
	_, err := Decode(body, 0, stream)
	return body, err
}

// putInput puts the program's input into the options, in the shorter form.
func putInput(options map[string]any, stdin []byte) {
	if utf8.Valid(stdin) && len(event.Line(string(stdin))) <= len(event.Line(stdin)) {
		options["Stdin"] = string(stdin)
		return
	}
	options["StdinBase64"] = stdin // package json writes it in base64
}

// value returns the texts as a value of the form in JSON.
func (f form) value(texts []string) any {
	switch f {
	case formBool:
		return texts[0] == "true"
	case formList, formPairs:
		return texts
	case formOther:
		return json.RawMessage(texts[0])
	}
	return texts[0]
}

// Warnings returns the warnings that docker run itself prints before it creates the container.
func (l *RunLine) Warnings() []string {
	for _, ip := range l.values["Dns"] {
		if addr, err := netip.ParseAddr(ip); err == nil && addr.IsLoopback() {
			return []string{fmt.Sprintf("Localhost DNS (%s) may fail in containers.", ip)}
		}
	}
	return nil
}
