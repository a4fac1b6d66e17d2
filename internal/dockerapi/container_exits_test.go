package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const died = `{"status":"die","id":"x","Type":"container","Action":"die","Actor":{"ID":"%s","Attributes":{"docker-dispatch.job":"j","exitCode":"%s"}},"scope":"local"}` + "\n"

// TestWatchExits: each exit is told once, with its code if the engine knows it. What is no exit is skipped, also an event
// that is endless. What no engine sends ends the stream.
func TestWatchExits(t *testing.T) {
	long := strings.Repeat("x", maxEvent)
	for _, tt := range []struct {
		name, answer string
		want         []string
		is           error
		says         string
	}{
		{"none", "", nil, io.ErrUnexpectedEOF, "lost the connection"},
		{"two in one chunk", fmt.Sprintf(died+died, fullID, "0", "b", "137"), []string{fullID + " 0", "b 137"}, io.ErrUnexpectedEOF, ""},
		{"one and a half", fmt.Sprintf(died, "a", "1") + `{"Action":"die","Actor":{"ID":"b"`, []string{"a 1"}, io.ErrUnexpectedEOF, ""},
		{"empty lines", "\r\n\n" + fmt.Sprintf(died, "a", "1") + "\n", []string{"a 1"}, io.ErrUnexpectedEOF, ""},
		{"other events", `{"Action":"start","Actor":{"ID":"a"}}` + "\n" + `{"Action":"exec_die","Actor":{"ID":"a","Attributes":{"exitCode":"1"}}}` + "\n{}\n", nil, io.ErrUnexpectedEOF, ""},
		{"no code", fmt.Sprintf(died+died+died, "a", "", "b", "-1", "c", "1e3"), []string{"a ?", "b ?", "c ?"}, io.ErrUnexpectedEOF, ""},
		{"too long", fmt.Sprintf(died+died, long, "1", "b", "2"), []string{"b 2"}, io.ErrUnexpectedEOF, ""},
		{"endless", long + long + long, nil, io.ErrUnexpectedEOF, ""},
		{"no JSON", fmt.Sprintf(died, "a", "1") + "<html>\n" + fmt.Sprintf(died, "b", "2"), []string{"a 1"}, ErrUnreachable, "a proxy changed its answer"},
		{"no event", "[]\n", nil, ErrUnreachable, "a proxy changed its answer"},
		{"half an object", `{"Action":"die","Actor":{"ID":"a"}` + "\n", nil, ErrUnreachable, "a proxy changed its answer"},
		{"an open string", `{"Action":"die","Actor":{"ID":"a}}` + "\n", nil, ErrUnreachable, "a proxy changed its answer"},
		{"more than an object", `{"Action":"die","Actor":{"ID":"a"}}}` + "\n", nil, ErrUnreachable, "a proxy changed its answer"},
		{"a string before it", `"a"{"Action":"die"}` + "\n", nil, ErrUnreachable, "a proxy changed its answer"},
		{"elsewhere too", `{"Action":"die","Actor":{"ID":"a","Attributes":{"exitCode":"1","ID":"b","x":{"exitCode":"2"}},"y":{"ID":"b","exitCode":"3"},"ID":["b"]},` +
			`"z":{"Attributes":{"exitCode":"4"},"y":{"exitCode":"5"},"ID":"b"},"Actor":["b"],"ID":"b","exitCode":"6"}` + "\n", []string{"a 1"}, io.ErrUnexpectedEOF, ""},
		{"elsewhere", `{"Action":["die"],"x":{"Action":"die"},"Actor":{"Action":"die","x":{"ID":"a"},"Attributes":{"Action":"die","ID":"a"}}}` + "\n", nil, io.ErrUnexpectedEOF, ""},
		{"other order", `{ "Actor" : {"Attributes":{"x":[[{"exitCode":"4"}]],"exitCode":"3"}, "ID": "a"}, "n":[1,"Action"], "Action" :"die" } ` + "\r\n", []string{"a 3"}, io.ErrUnexpectedEOF, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
				if !answerPing(w, r) {
					io.WriteString(w, tt.answer)
				}
			})
			join, err := c.WatchExits(background(t), "a=b")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			err = join(func(id string, s ExitStatus) {
				code := "?"
				if s.Code != nil {
					code = fmt.Sprint(*s.Code)
				}
				got = append(got, id+" "+code)
			})
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.is) || !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// FuzzEvent: whatever the labels, an event says what a decoder reads from it.
func FuzzEvent(f *testing.F) {
	f.Add("exitCode", "7", "x", "y")
	f.Add(`a","exitCode`, `0","exitCode":"7`, `\`, `\"`)
	f.Add("Action", "die", "Actor", `{"ID":"b"}`)
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		attributes := map[string]string{"exitCode": "0", key1: value1, key2: value2}
		actor := map[string]any{"ID": fullID, "Attributes": attributes}
		for _, v := range []any{
			map[string]any{"Action": "die", "Actor": actor, "status": value1, key1 + "-": value2},
			struct {
				Status, ID, From, Type, Action string
				Actor                          any
				Time                           int64
			}{"die", value1, value2, "container", "die", actor, 1},
		} {
			line, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			code, _ := json.Marshal(attributes["exitCode"])
			e, ok := parseEvent(line)
			if !ok || string(e.action) != "die" || string(e.id) != fullID || string(e.exitCode) != string(code[1:len(code)-1]) {
				t.Errorf("%s: %q, %q, %q, %v", line, e.action, e.id, e.exitCode, ok)
			}
		}
	})
}

// TestWatchExitsReal: the engine tells of the containers with the label only, and repeats an exit of before.
func TestWatchExitsReal(t *testing.T) {
	anyEngine(t, func(t *testing.T, ctx context.Context, c *Client) {
		label := testName()
		run := func(labels map[string]string, code int) string {
			id := createReal(t, ctx, c, testName(), ContainerConfig{Labels: labels, Cmd: []string{"sh", "-c", fmt.Sprint("exit ", code)}})
			exit, err := c.WaitContainer(ctx, id, NextExit)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.StartContainer(ctx, id); err != nil {
				t.Fatal(err)
			}
			if _, err := exit(); err != nil {
				t.Fatal(err)
			}
			return id
		}
		before := run(map[string]string{"queue": label}, 1)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		join, err := c.WatchExits(ctx, "queue="+label)
		if err != nil {
			t.Fatal(err)
		}
		run(map[string]string{"queue": label + "-other"}, 2)
		during := run(map[string]string{"queue": label}, 3)
		var got []string
		err = join(func(id string, s ExitStatus) {
			if got = append(got, fmt.Sprint(id, " ", *s.Code)); len(got) == 2 {
				cancel()
			}
		})
		if want := []string{before + " 1", during + " 3"}; err != context.Canceled || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	})
}
