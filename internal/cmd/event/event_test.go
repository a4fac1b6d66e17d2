package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestEvents: what is written can be read again.
func TestEvents(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, e := range []Event{
		{Pull: &Pull{Job: "j", Command: "run", Host: "h", Image: "<i>", Attempt: 2, Status: Pulling, Missing: true, Progress: Progress{5, 3, 12, 45}}},
		{Started: &Started{Job: "j", Command: "run", Host: "h", ContainerID: "c", ContainerName: "n", Image: "i", Attempt: 2, Adopted: true}},
		{Output: &Output{Job: "j", ContainerName: "n", Attempt: 1, Stream: "stdout", Offset: 7, Data: []byte("<é>\n")}},
		{Output: &Output{Job: "j", Stream: "stderr", Data: []byte("\xff\x00")}},
		{Result: &Result{Job: "j", Status: Failed, Reason: ReasonExit, ExitCode: new(0), FinishedAt: &at, Stdout: "x", StdoutBytes: 9}},
	} {
		var body []byte
		switch {
		case e.Pull != nil:
			body = e.Pull.JSON()
		case e.Started != nil:
			body = e.Started.JSON()
		case e.Output != nil:
			body = e.Output.JSON()
		default:
			body = e.Result.JSON()
		}
		if bytes.Count(body, []byte("\n")) != 1 || bytes.Contains(body, []byte(`\u003c`)) {
			t.Errorf("not one plain line: %q", body)
		}
		if got, err := Decode(body); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for body, want := range map[string]string{
		`{"Event":"result","Status":"succeeded","New":1}`: "",
		`{"Event":"resurt"}`:                              "unknown event",
		`{}`:                                              `"Event" is missing`,
		`hello`:                                           "not an event",
		`{"Event":"output","Offset":"one"}`:               "not an event",
	} {
		_, err := Decode([]byte(body))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// TestPullJSON: programs read these names.
func TestPullJSON(t *testing.T) {
	for want, p := range map[string]Pull{
		`{"Event":"pull","Job":"j","Dockercmd":"run","Host":"h","Image":"i","Status":"pulling","Missing":true}`: {
			Job: "j", Command: "run", Host: "h", Image: "i", Status: Pulling, Missing: true,
		},
		`{"Event":"pull","Job":"j","Dockercmd":"pull","Host":"h","Image":"i","Attempt":2,"Status":"up-to-date","Layers":5,"Complete":3,"Bytes":12,"Total":45}`: {
			Job: "j", Command: "pull", Host: "h", Image: "i", Attempt: 2, Status: UpToDate, Progress: Progress{5, 3, 12, 45},
		},
	} {
		if got := string(p.JSON()); got != want+"\n" {
			t.Errorf("got %swant %s", got, want)
		}
	}
}

// TestOutputLines: each line is an event, and long ones are cut between characters.
func TestOutputLines(t *testing.T) {
	long := strings.Repeat("é", MaxData) // two bytes each: cuts must not fall inside
	data := "short\nx" + long
	o := Output{ContainerName: "web", Stream: "stdout", Offset: 7, Data: []byte(data)}
	var got []byte
	lines := 0
	for l := range o.Lines() {
		lines++
		var e struct{ Data, Base64 string }
		if err := json.Unmarshal(l.JSON(), &e); err != nil {
			t.Fatal(err)
		}
		if int(l.Offset) != 7+len(got) || len(l.Data) > MaxData || e.Data != string(l.Data) || e.Base64 != "" || l.ContainerName != "web" {
			t.Fatalf("event at %d with %d bytes, base64 %q", l.Offset, len(l.Data), e.Base64)
		}
		got = append(got, l.Data...)
	}
	if string(got) != data || lines != 4 {
		t.Errorf("%d lines with %d bytes, want 4 with %d", lines, len(got), len(data))
	}
}

// FuzzOutputJSON: an output event is what encoding/json makes of it.
func FuzzOutputJSON(f *testing.F) {
	f.Add("j", "n", 0, []byte("plain <a&b> \"quoted\" \\ \r\n"))
	f.Add("é\xff", "\u2028", 2, []byte("\x1b[0m\x00\x7f\b\f\t \u2028\u2029\u202a\u2030 \u20ac\U0001F600"))
	f.Add("", "", -1, []byte(nil))
	f.Add("", "\xe2", 1, []byte("\xe2\x80"))
	f.Fuzz(func(t *testing.T, job, name string, attempt int, data []byte) {
		o := Output{Job: job, ContainerName: name, Attempt: attempt, Stream: name, Offset: 1 << 40, Data: data}
		e := struct {
			Event, Job, ContainerName string
			Attempt                   int `json:",omitempty"`
			Stream                    string
			Offset                    int64
			Data                      string `json:",omitempty"`
			Base64                    []byte `json:",omitempty"`
		}{Event: EventOutput, Job: job, ContainerName: name, Attempt: attempt, Stream: name, Offset: 1 << 40}
		if utf8.Valid(data) {
			e.Data = string(data)
		} else {
			e.Base64 = data
		}
		if got, want := string(o.AppendJSON([]byte("x"))), "x"+string(Line(e)); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// FuzzJSON: a result and a started event are what encoding/json makes of them, whichever of their fields are set.
func FuzzJSON(f *testing.F) {
	f.Add(uint(1<<30-1), "plain", int64(1))
	f.Add(uint(0), "", int64(0))
	f.Add(uint(0x15555555), "<é>\xff\u2028\"\n", int64(-62135596800))
	f.Fuzz(func(t *testing.T, set uint, text string, n int64) {
		var r Result
		var s Started
		for _, v := range []reflect.Value{reflect.ValueOf(&r).Elem(), reflect.ValueOf(&s).Elem()} {
			for i := range v.NumField() {
				if set>>i&1 == 1 {
					fill(v.Field(i), text, n)
				}
			}
		}
		wantResult := Line(struct {
			Event string
			Result
		}{eventResult, r})
		if got := r.AppendJSON([]byte("x")); string(got) != "x"+string(wantResult) {
			t.Errorf("got\n%s\nwant\n%s", got, wantResult)
		}
		wantStarted := Line(struct {
			Event string
			Started
		}{EventStarted, s})
		if got := s.AppendJSON([]byte("x")); string(got) != "x"+string(wantStarted) {
			t.Errorf("got\n%s\nwant\n%s", got, wantStarted)
		}
	})
}

// fill sets a field of any type that events have.
func fill(v reflect.Value, text string, n int64) {
	switch v.Addr().Interface().(type) {
	case **int:
		v.Set(reflect.ValueOf(new(int(n))))
	case **time.Time:
		v.Set(reflect.ValueOf(new(time.Unix(max(n%1e11, -62135596800), n%1e9).UTC()))) // years of four digits, as all times that the daemon reads
	case *[]string:
		v.Set(reflect.ValueOf([]string{text, "", text}))
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString(text)
		case reflect.Bool:
			v.SetBool(true)
		default:
			v.SetInt(n)
		}
	}
}

func BenchmarkResultEvent(b *testing.B) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	r := Result{
		Job: "0123456789ab", Command: "run", Host: "host-1", Queue: "jobs", Status: Succeeded, ExitCode: new(0),
		ContainerID: "3c29b3ab4b4f3b3c29b3ab4b4f3b3c29b3ab4b4f3b3c29b3ab4b4f3b3c29b3ab", ContainerName: "dispatch-0123456789ab",
		Image: "lab/bb:1", StartedAt: &at, FinishedAt: &at, Stdout: "hello world!\n", StdoutBytes: 13,
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}

func BenchmarkLine(b *testing.B) {
	o := Output{Job: "0123456789ab", ContainerName: "dispatch-0123456789ab", Stream: "stdout", Offset: 1 << 30, Data: []byte("a line of output of some hundred bytes, which has \"quotation marks\" and <angle> brackets, and an end\n")}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = o.AppendJSON(buf[:0])
	}
}
