package run

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
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
