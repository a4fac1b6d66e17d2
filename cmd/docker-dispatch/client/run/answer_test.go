package run

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// TestAnswer: whatever order pieces come in, and however often, each byte is written once and in its place.
func TestAnswer(t *testing.T) {
	var text []byte
	for i := range 2000 {
		text = fmt.Appendf(text, "%d,", i)
	}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var pieces []event.Output
		for range 3 { // three times, in different pieces
			for at := 0; at < len(text); {
				n := min(1+rnd.IntN(500), len(text)-at)
				pieces = append(pieces, event.Output{Job: "j", Stream: "stderr", Offset: int64(at), Data: text[at : at+n]})
				at += n
			}
		}
		if seed > 0 { // else in order
			for i := range pieces {
				j := min(i+rnd.IntN(20), len(pieces)-1)
				pieces[i], pieces[j] = pieces[j], pieces[i]
			}
		}
		var out, errs bytes.Buffer
		a := newAnswer("j", &out, &errs)
		for _, p := range pieces {
			if err := a.output(&p); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, errs.Bytes()) {
				t.Fatalf("seed %d: written %q", seed, errs.Bytes())
			}
		}
		r := &event.Result{Job: "j", StderrBytes: int64(len(text))}
		if !a.result(r) || a.missing(r) != 0 || out.Len() > 0 || !bytes.Equal(errs.Bytes(), text) || a.streams["stderr"].held != 0 {
			t.Fatalf("seed %d: %d bytes, %d missing, %d held", seed, errs.Len(), a.missing(r), a.streams["stderr"].held)
		}
	}
}

// TestAnswerOfOthers: other jobs, earlier attempts and streams that are not attached are not shown, and
// what is missing is counted.
func TestAnswerOfOthers(t *testing.T) {
	var out bytes.Buffer
	a := newAnswer("j", &out, nil)
	put := func(job, stream string, attempt int, offset int64, text string) {
		if err := a.output(&event.Output{Job: job, Stream: stream, Attempt: attempt, Offset: offset, Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	put("j", "stdout", 1, 0, "one ")
	put("other", "stdout", 1, 4, "no")
	put("j", "stderr", 1, 0, "no")
	put("j", "stdin", 1, 4, "no")
	put("j", "stdout", 1, math.MinInt64, "no")
	put("j", "stdout", 9, -1, "no")
	if a.result(&event.Result{Job: "j", StdoutBytes: -1}) || a.result(&event.Result{Job: "j", StderrBytes: math.MinInt64}) {
		t.Error("a result with a number below 0 is a daemon's")
	}
	if a.result(&event.Result{Job: "j", Attempt: 1, Retrying: true, StdoutBytes: 6}) || a.lost != 2 {
		t.Errorf("the first attempt: %d lost", a.lost)
	}
	put("j", "stdout", 2, 0, "two ")
	put("j", "stdout", 1, 4, "no")
	put("j", "stdout", 2, 9, "beyond a gap")
	if a.result(&event.Result{Job: "other"}) || a.result(&event.Result{Job: "j", Attempt: 1}) {
		t.Error("another's result is ours")
	}
	r := &event.Result{Job: "j", Attempt: 2, StdoutBytes: 21, StderrBytes: 5}
	if !a.result(r) || a.missing(r) != 17 || out.String() != "one two " {
		t.Errorf("%d missing, %q", a.missing(r), out.String())
	}
}

// TestAnswerKeepsFewPieces: pieces after a gap are bounded however small they are, and none is kept in the end.
func TestAnswerKeepsFewPieces(t *testing.T) {
	a := newAnswer("j", io.Discard, nil)
	put := func(offset int64) {
		if err := a.output(&event.Output{Job: "j", Stream: "stdout", Offset: offset, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	const pieces = mostEarly / perPiece
	for i := range int64(pieces) {
		put(1 + i)
		put(1 + i) // redelivered
	}
	s := a.streams["stdout"]
	if n := len(s.early); n < pieces/2 || n >= pieces {
		t.Errorf("%d pieces are kept", n)
	}
	kept := int64(len(s.early))
	if put(0); len(s.early) != 0 || s.held != 0 || s.written != 1+kept {
		t.Errorf("%d pieces and %d bytes are held, %d of %d written", len(s.early), s.held, s.written, 1+kept)
	}
}

// FuzzAnswer: no event that somebody sends to the reply queue panics, and no exit code is a success to the caller alone.
func FuzzAnswer(f *testing.F) {
	for _, n := range []int64{math.MinInt64, -1, 0, 256, math.MaxInt64} {
		f.Add(event.Output{Job: "j", Attempt: int(n), Stream: "stdout", Offset: n, Data: []byte("data")}.JSON())
		f.Add(event.Output{Job: "j", Stream: "stdout", Offset: n, Data: []byte("data")}.JSON())
		f.Add(event.Result{Job: "j", ExitCode: new(int(n)), StdoutBytes: n, StderrBytes: n}.JSON())
		f.Add(event.Result{Job: "j", Attempt: int(n), StdoutBytes: n, Retrying: true}.JSON())
		f.Add(event.Pull{Job: "j", Status: event.Pulling, Progress: event.Progress{Layers: int(n), Complete: int(n), Bytes: n, Total: n}}.JSON())
	}
	line, err := message.ParseRunLine([]string{"busybox"}, nil, message.Caller{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &runClient{line: line, job: "j", stderr: io.Discard, answer: newAnswer("j", io.Discard, io.Discard)}
		for range 3 { // redelivered
			e, _ := event.Decode(body)
			c.answer.tooEarly(e)
			r, err := c.take(client.Received{}, e)
			if err != nil {
				t.Fatal(err)
			}
			if r == nil {
				continue
			}
			if code := c.ended(r, 0); code != 0 && code&0xff == 0 {
				t.Errorf("exit code %d", code)
			}
		}
	})
}
