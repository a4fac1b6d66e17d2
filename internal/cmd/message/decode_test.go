package message

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

func TestDecode(t *testing.T) {
	five, zero := 5, 0
	for _, tt := range []struct {
		body string
		want Command
	}{
		{`{"Dockercmd":"run","Image":"busybox"}`, &Run{Image: "busybox"}},
		{` { "Options" : {} , "Image" : "busybox" , "Dockercmd" : "run" } ` + "\n", &Run{Image: "busybox"}},
		{`{"Dockercmd":"run","Image":"a","Cmd":["echo","h\u00e9\n"]}`, &Run{Image: "a", Cmd: []string{"echo", "hé\n"}}},
		{`{"Dockercmd":"run","Image":"a","Cmd":[]}`, &Run{Image: "a", Cmd: []string{}}},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":"web","Entrypoint":"sh","Attach":["STDIN","STDOUT","STDERR"],"Remove":true}}`,
			&Run{Image: "a", Name: "web", Entrypoint: []string{"sh"}, Stdin: true, Stdout: true, Stderr: true, Remove: true}},
		{`{"Dockercmd":"run","Image":"a","Options":{"Attach":"stdout","Entrypoint":["sh","-c"]}}`, &Run{Image: "a", Stdout: true, Entrypoint: []string{"sh", "-c"}}},
		{`{"Dockercmd":"run","Image":"a","Options":{"Attach":[],"Entrypoint":""}}`, &Run{Image: "a", Entrypoint: []string{""}}},
		{`{"Dockercmd":"run","Image":"a","Options":{"Entrypoint":[]}}`, &Run{Image: "a", Entrypoint: []string{""}}},
		{`{"Dockercmd":"run","Image":"a","Options":{"Detach":true,"Remove":true}}`, &Run{Image: "a", Detach: true, Remove: true}},
		{`{"Dockercmd":"stop","Container":"web"}`, &Stop{Ref: Ref{Container: "web"}}},
		{`{"Dockercmd":"stop","Container":"web","Options":{"Time":5}}`, &Stop{Ref: Ref{Container: "web"}, Time: &five}},
		{`{"Dockercmd":"stop","Container":"web","Options":{"Time":0}}`, &Stop{Ref: Ref{Container: "web"}, Time: &zero}},
		{`{"Dockercmd":"remove","Container":"0123abc","Options":{"Volumes":true,"Force":true}}`, &Remove{Ref: Ref{Container: "0123abc"}, Volumes: true, Force: true}},
		{`{"Dockercmd":"rm","Container":"a.b-c_d","Options":{"Force":false}}`, &Remove{Ref: Ref{Container: "a.b-c_d"}}},
	} {
		got, err := Decode([]byte(tt.body), 1<<20, false)
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.body, got, tt.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	long := strings.Repeat("x", 131072)
	for _, tt := range []struct{ body, want string }{
		{``, `the message is empty; expected a JSON object such as {"Dockercmd": "run", "Image": "busybox"}`},
		{" \n", `the message is empty; expected a JSON object such as {"Dockercmd": "run", "Image": "busybox"}`},
		{`hello`, `not JSON: line 1, column 1: invalid character 'h' looking for beginning of value`},
		{"{\n  \"Dockercmd\": \"run\",\n  \"Image\": busybox\n}", `not JSON: line 3, column 12: the value busybox has no quotation marks`},
		{`{"Dockercmd":"run"`, `not JSON: line 1, column 18: unexpected end of JSON input`},
		{`{"Dockercmd":"run","Image":"a"} {}`, `not JSON: line 1, column 33: invalid character '{' after top-level value`},
		{`{"Dockercmd":"run","Image":"x","Options":{"Name":"dispatch-0123456789ab"}}`, `Options.Name: a name that begins with dispatch- is reserved for the daemon; choose another, or leave it out`},
		{`{"Dockercmd":"rename","Container":"x","NewName":"dispatch-x"}`, `NewName: a name that begins with dispatch- is reserved for the daemon; choose another, or leave it out`},
		{`{"Dockercmd":"inspect","Container":"x","Options":{"Format":1}}`, `Options: unknown key "Format"; inspect takes no options`},
		{"{\"Dockercmd\":\"run\",\"Image\":\"\xff\"}", `not JSON: line 1, column 29: byte 29 is not UTF-8, the encoding of JSON; the message is in another, such as ISO 8859-1 or Windows-1252, or holds what is not text`},
		{`[]`, `expected an object, got an array`},
		{`null`, `expected an object, got null`},
		{`"run"`, `expected an object, got a string`},
		{`17`, `expected an object, got a number`},
		{`{}`, `key "Dockercmd" is missing; it says what to do: "run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "rename", "remove", "rm", "wait", "logs", "inspect", "exec" or "pull"`},
		{`{"command":"run"}`, `unknown key "command"; did you mean "Dockercmd"?`},
		{`{"Command":"run","Image":"a"}`, `unknown key "Command"; did you mean "Dockercmd"?`},
		{`{"Dockercmd":"run","Image":"a","Command":"run"}`, `unknown key "Command"; did you mean "Dockercmd"?`},
		{`{"dockerCmd":"run","Image":"a"}`, `unknown key "dockerCmd"; did you mean "Dockercmd"?`},
		{`{"Dockercmd":1}`, `Dockercmd: expected a string, got a number`},
		{`{"Dockercmd":null}`, `Dockercmd: expected a string, got null`},
		{`{"Dockercmd":""}`, `Dockercmd: unknown command ""; expected "run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "rename", "remove", "rm", "wait", "logs", "inspect", "exec" or "pull"`},
		{`{"Dockercmd":"Run"}`, `Dockercmd: unknown command "Run"; did you mean "run"?`},
		{`{"Dockercmd":"strop","Container":"a"}`, `Dockercmd: unknown command "strop"; did you mean "stop"?`},
		{`{"Dockercmd":"dance"}`, `Dockercmd: unknown command "dance"; expected "run", "create", "start", "stop", "restart", "kill", "pause", "unpause", "rename", "remove", "rm", "wait", "logs", "inspect", "exec" or "pull"`},
		{`{"Dockercmd":"run","Dockercmd":"run","Image":"a"}`, `duplicate key "Dockercmd"`},
		{`{"Dockercmd":"run","Image":"a","Image":"b"}`, `duplicate key "Image"`},
		{`{"Dockercmd":"run","Image":"a","Imagine":"b"}`, `unknown key "Imagine"; did you mean "Image"?`},
		{`{"Dockercmd":"run","Image":"a","Name":"b"}`, `unknown key "Name"; did you mean Options: {"Name": ...}?`},
		{`{"Dockercmd":"run","Image":"a","Zzzzzz":"b"}`, `unknown key "Zzzzzz"; run takes "Image", "Cmd", "Stream" and "Options"`},
		{`{"Dockercmd":"run","Image":"a","Container":"b"}`, `unknown key "Container"; run takes "Image", "Cmd", "Stream" and "Options"`},
		{`{"Dockercmd":"run"}`, `key "Image" is missing or empty; run needs the image to run`},
		{`{"Dockercmd":"run","Image":""}`, `key "Image" is missing or empty; run needs the image to run`},
		{`{"Dockercmd":"run","Image":["a"]}`, `Image: expected a string, got an array`},
		{`{"Dockercmd":"run","Image":"a","Cmd":"echo hi"}`, `Cmd: expected an array of strings, got a string; write one item for each argument, ["echo", "hi"], or ["sh", "-c", "..."] for a shell`},
		{`{"Dockercmd":"run","Image":"a","Cmd":["a",1]}`, `Cmd: item 2: expected a string, got a number`},
		{`{"Dockercmd":"run","Image":"a","Cmd":null}`, `Cmd: expected an array of strings, got null`},
		{`{"Dockercmd":"run","Image":"a","Cmd":["` + long + `"]}`, `Cmd: item 1 has 131072 bytes; Linux gives a program at most 131071 in one argument`},
		{`{"Dockercmd":"run","Image":"a","Cmd":["a\u0000b"]}`, `Cmd: item 1 holds a NUL byte, which no argument can`},
		{`{"Dockercmd":"run","Image":"a","Options":[]}`, `Options: expected an object, got an array`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Nmae":"b"}}`, `Options: unknown key "Nmae"; did you mean "Name"?`},
		{`{"Dockercmd":"run","Image":"a","Options":{"name":"b"}}`, `Options: unknown key "name"; did you mean "Name"?`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Rm":true}}`, `Options: unknown key "Rm"; did you mean "Remove"?`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Cmd":["b"]}}`, `Options: unknown key "Cmd"; did you mean "Cmd" beside Options?`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Zzzzzz":1}}`, `Options: unknown key "Zzzzzz"; run takes the options of the docker CLI, such as --stop-timeout 5 as "StopTimeout": 5`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":"b","Name":"c"}}`, `Options: duplicate key "Name"`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":"b"}}`, `Options.Name: "b" is too short; a container's name has at least two characters`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":""}}`, `Options.Name: expected a container's name, got an empty string`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":"` + strings.Repeat("n", 256) + `"}}`, `Options.Name: "` + strings.Repeat("n", 60) + `"... has 256 characters; at most 255 are taken`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Name":"../etc"}}`, `Options.Name: "../etc" is not a container's name; it has letters, digits, and behind the first also _ . -`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Entrypoint":7}}`, `Options.Entrypoint: expected a string or an array of strings, got a number`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Attach":["STDOT"]}}`, `Options.Attach: unknown stream "STDOT"; did you mean "STDOUT"?`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Attach":["screen"]}}`, `Options.Attach: unknown stream "screen"; expected "STDIN", "STDOUT" or "STDERR"`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Remove":"true"}}`, `Options.Remove: expected true or false, got a string`},
		{`{"Dockercmd":"run","Image":"a","Options":{"Detach":true,"Attach":["STDOUT"]}}`, `Options: only one of Attach and Detach can be given; a detached run is done when its container has started`},
		{`{"Dockercmd":"stop"}`, `key "Container" is missing; stop needs the name or id of a container, or a Job`},
		{`{"Dockercmd":"stop","Container":"a","Image":"b"}`, `unknown key "Image"; stop takes "Container", "Job" and "Options"`},
		{`{"Dockercmd":"stop","Container":"a/b"}`, `Container: "a/b" is not a container's name; it has letters, digits, and behind the first also _ . -`},
		{`{"Dockercmd":"stop","Container":"a","Options":{"Time":"5"}}`, `Options.Time: expected a whole number of seconds, got a string`},
		{`{"Dockercmd":"stop","Container":"a","Options":{"Time":1.5}}`, `Options.Time: expected a whole number of seconds from 0 to 2147483647, got "1.5"`},
		{`{"Dockercmd":"stop","Container":"a","Options":{"Time":-1}}`, `Options.Time: expected a whole number of seconds from 0 to 2147483647, got "-1"`},
		{`{"Dockercmd":"stop","Container":"a","Options":{"Time":99999999999999999999}}`, `Options.Time: expected a whole number of seconds from 0 to 2147483647, got "99999999999999999999"`},
		{`{"Dockercmd":"stop","Container":"a","Options":{"Force":true}}`, `Options: unknown key "Force"; stop takes "Time" and "Signal"`},
		{`{"Dockercmd":"remove","Container":""}`, `Container: expected a container's name, got an empty string`},
		{`{"Dockercmd":"remove","Container":"a","Options":{"Volume":true}}`, `Options: unknown key "Volume"; did you mean "Volumes"?`},
		{`{"Dockercmd":"rm","Container":"a","Options":{"Force":1}}`, `Options.Force: expected true or false, got a number`},
		{strings.Repeat("[", 10001) + strings.Repeat("]", 10001), `not JSON: line 1, column 10001: invalid character '[' exceeded max depth`},
		{`{"Dockercmd":"run","Image":"a","` + strings.Repeat("k", 100) + `":1}`, `unknown key "` + strings.Repeat("k", 60) + `"...; run takes "Image", "Cmd", "Stream" and "Options"`},
	} {
		got, err := Decode([]byte(tt.body), 1<<20, false)
		name := tt.body[:min(len(tt.body), 100)]
		if err == nil {
			t.Errorf("%s: decoded to %+v; want error %q", name, got, tt.want)
		} else if err.Error() != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, err, tt.want)
		}
	}
}

func TestDecodeTooLarge(t *testing.T) {
	body := []byte(`{"Dockercmd":"run","Image":"busybox"}`)
	if _, err := Decode(body, len(body), false); err != nil {
		t.Errorf("message of the limit's size: %v", err)
	}
	const want = "the message is larger than the 36 bytes that are read (--max-message)"
	if _, err := Decode(body, len(body)-1, false); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzDecode looks for messages that panic, that are taken though encoding/json would not, or that
// are taken in two readings.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web","Attach":["STDOUT"],"Remove":true}}`,
		`{"Dockercmd":"stop","Container":"web","Options":{"Time":5}}`,
		`{"Dockercmd":"remove","Container":"web","Options":{"Volumes":true,"Force":true}}`,
		`{"Dockercmd":"run","Image":"a","Options":{"Nmae":"b"}}`,
		"\ufeff{}", `{"Dockercmd":"\ud800"}`, `{"":""}`, `{"Dockercmd":"rm","Container":"a","Container":"b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Decode(body, 1<<16, false)
		if err != nil {
			if err.Error() == "" || strings.ContainsRune(err.Error(), 0) {
				t.Errorf("error says nothing, or holds raw bytes of the message: %q", err)
			}
			return
		}
		var plain struct{ Dockercmd, Image, Container string }
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("taken, but no JSON: %v", err)
		}
		switch c := c.(type) {
		case *Run:
			if plain.Dockercmd != "run" || c.Image != plain.Image || c.Image == "" {
				t.Errorf("read as %+v, by encoding/json as %+v", c, plain)
			}
		case *Stop:
			if plain.Dockercmd != "stop" || c.Container != plain.Container || flagval.CheckRef(c.Container) != nil {
				t.Errorf("read as %+v, by encoding/json as %+v", c, plain)
			}
		case *Remove:
			if c.Container != plain.Container || flagval.CheckRef(c.Container) != nil {
				t.Errorf("read as %+v, by encoding/json as %+v", c, plain)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, bb := range []struct{ name, body string }{
		{"plain", `{"Dockercmd":"run","Options":{"Attach":["STDERR","STDOUT"],"Remove":true},"Image":"lab/bb:1","Cmd":["echo","hello world!"]}`},
		{"20 options", `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web","Attach":["STDOUT","STDERR"],"Remove":true,
			"Memory":"512m","Cpus":1.5,"PidsLimit":100,"Env":{"A":"b","C":"d"},"Label":["x=y"],"User":"1000:1000","Workdir":"/srv","Hostname":"h","ReadOnly":true,
			"CapDrop":["ALL"],"StopTimeout":5,"Publish":["127.0.0.1:8080:80"],"Mount":"type=volume,src=data,dst=/data","Tmpfs":"/tmp:size=1m","Network":"backend",
			"Timeout":"90s","LogOpt":{"max-size":"1m"}}}`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode([]byte(bb.body), 1<<20, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
