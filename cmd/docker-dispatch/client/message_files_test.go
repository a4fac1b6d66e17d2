package client

import (
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"io"
	"testing"
)

// A typist's input ends with one Ctrl-D, which a terminal tells once.
type typist struct {
	t    *testing.T
	text string
	over bool
}

func (r *typist) Read(p []byte) (int, error) {
	if r.over {
		r.t.Error("read beyond the end")
	}
	n := copy(p, r.text)
	if r.text = r.text[n:]; n > 0 {
		return n, nil
	}
	r.over = true
	return 0, io.EOF
}

func TestReadsNoFurther(t *testing.T) {
	for _, in := range []string{"", "{}", "{\"a\n"} {
		p := &subcommand.Invocation{Stdin: &typist{t: t, text: in}}
		messages, err := messageFiles(t.Context(), p, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		for range messages {
		}
	}
}
