package output

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"
)

// gather is an output whose pieces are kept.
func gather(capture int, budget *atomic.Int64) (*Output, *[]string) {
	var pieces []string
	return NewOutput(func(stream string, offset int64, data []byte) error {
		pieces = append(pieces, fmt.Sprintf("%s@%d:%s", stream, offset, data))
		return nil
	}, nil, capture, budget), &pieces
}

// TestOutputPassesWholeLines: a write is passed on as one piece, with the line that it ends, and without the line that it begins.
func TestOutputPassesWholeLines(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for _, tt := range []struct{ writes, want []string }{
		{[]string{"a\n"}, []string{"stdout@0:a\n"}},
		{[]string{"a\nb\n"}, []string{"stdout@0:a\nb\n"}},
		{[]string{"a", "b", "c\n"}, []string{"stdout@0:abc\n"}},
		{[]string{"a", "b\nc\nd", "e"}, []string{"stdout@0:ab\nc\n", "stdout@5:de"}},
		{[]string{"a", long, "b\nc\nd"}, []string{"stdout@0:a" + long + "b\n", "stdout@40003:c\n", "stdout@40005:d"}}, // too long to be joined
		{[]string{"no newline"}, []string{"stdout@0:no newline"}},
		{[]string{"\n\n", "\n"}, []string{"stdout@0:\n\n", "stdout@2:\n"}},
		{[]string{"\x00\xff", "\xfe\n"}, []string{"stdout@0:\x00\xff\xfe\n"}},
		{[]string{""}, nil},
	} {
		var budget atomic.Int64
		o, pieces := gather(100, &budget)
		for _, w := range tt.writes {
			if n, err := o.Stdout.Write([]byte(w)); n != len(w) || err != nil {
				t.Errorf("Write(%q) = %d, %v", w, n, err)
			}
		}
		o.finish()
		if fmt.Sprintf("%q", *pieces) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("%q: got %q, want %q", tt.writes, *pieces, tt.want)
		}
		if budget.Load() != 0 {
			t.Errorf("%q: %d bytes of the budget not given back", tt.writes, budget.Load())
		}
	}
}

func TestOutputLongLines(t *testing.T) {
	line := strings.Repeat("x", 4<<20) + "\n"
	var budget atomic.Int64
	o, pieces := gather(100, &budget)
	for rest := line; rest != ""; {
		n := min(len(rest), 32<<10)
		o.Stdout.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	if len(*pieces) != 1 || (*pieces)[0] != "stdout@0:"+line {
		t.Errorf("a line of 4 MB came in %d pieces", len(*pieces))
	}
	if budget.Load() != 0 {
		t.Errorf("%d bytes of the budget not given back", budget.Load())
	}

	// What no memory is left for is passed on in parts, and nothing is lost.
	budget.Store(lineBudget)
	o, pieces = gather(100, &budget)
	o.Stderr.Write([]byte(line[:freeLine]))
	if len(*pieces) != 0 {
		t.Errorf("the free part of a line was passed on early")
	}
	o.Stderr.Write([]byte(line[freeLine : freeLine+10]))
	o.Stderr.Write([]byte("end\n"))
	want := []string{"stderr@0:" + line[:freeLine+10], fmt.Sprintf("stderr@%d:end\n", freeLine+10)}
	if fmt.Sprint(*pieces) != fmt.Sprint(want) {
		t.Errorf("got %d pieces, the last %.50q", len(*pieces), (*pieces)[len(*pieces)-1])
	}
	if budget.Load() != lineBudget {
		t.Errorf("budget is off by %d", budget.Load()-lineBudget)
	}

	// A line that never ends is not held for ever either.
	budget.Store(0)
	o, pieces = gather(100, &budget)
	block := make([]byte, 1<<20)
	for range 17 {
		o.Stdout.Write(block)
	}
	if len(*pieces) != 1 || budget.Load() != 0 {
		t.Errorf("17 MB without newline: %d pieces, %d bytes of the budget in use", len(*pieces), budget.Load())
	}
}

// TestOutputReplay cuts a stream at random places, reads it again from the beginning, and expects
// each byte once.
func TestOutputReplay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		data := make([]byte, rng.IntN(200))
		for i := range data {
			data[i] = "ab\n"[rng.IntN(3)]
		}
		var budget atomic.Int64
		var got, raw bytes.Buffer
		o := NewOutput(func(_ string, offset int64, p []byte) error {
			if offset != int64(got.Len()) {
				t.Fatalf("%q: offset %d after %d bytes", data, offset, got.Len())
			}
			got.Write(p)
			return nil
		}, func(_ string, offset int64, p []byte) {
			if offset != int64(raw.Len()) {
				t.Fatalf("%q: raw offset %d after %d bytes", data, offset, raw.Len())
			}
			raw.Write(p)
		}, 50, &budget)
		for cut := range 3 {
			end := len(data)
			if cut < 2 {
				end = rng.IntN(len(data) + 1)
			}
			o.Replay(false)
			for at := 0; at < end; {
				n := 1 + rng.IntN(end-at)
				o.Stdout.Write(data[at : at+n])
				at += n
			}
		}
		if o.finish() || !bytes.Equal(got.Bytes(), data) || !bytes.Equal(raw.Bytes(), data) {
			t.Fatalf("got %q and %q, want %q", got.Bytes(), raw.Bytes(), data)
		}
		want := data[max(0, len(data)-50):]
		if !bytes.Equal(o.Stdout.tail.bytes(), want) {
			t.Fatalf("tail %q, want %q", o.Stdout.tail.bytes(), want)
		}
	}

	var budget atomic.Int64
	o, _ := gather(10, &budget)
	o.Stdout.Write([]byte("hello"))
	o.Replay(false)
	o.Stdout.Write([]byte("hel"))
	if !o.finish() {
		t.Error("a replay that brings less than was seen goes unnoticed")
	}
}

func TestTail(t *testing.T) {
	for _, limit := range []int{0, 1, 7, 100} {
		tl := tail{limit: limit}
		var all []byte
		for i := range 60 {
			p := bytes.Repeat([]byte{byte('a' + i%26)}, i%13)
			tl.write(p)
			all = append(all, p...)
			if want := all[max(0, len(all)-limit):]; !bytes.Equal(tl.bytes(), want) {
				t.Fatalf("limit %d: got %q, want %q", limit, tl.bytes(), want)
			}
			if len(tl.buf) > 2*limit {
				t.Fatalf("limit %d: %d bytes held", limit, len(tl.buf))
			}
		}
	}
	if got := text([]byte("\xa9\xc3\xa9t")); got != "ét" {
		t.Errorf("a tail that begins inside a character: %q", got)
	}
}

// A json-file log has three bytes for each that is not UTF-8. What has been passed on is dropped from it
// all the same, and what has not is known to be altered.
func TestReplayOfText(t *testing.T) {
	const (
		text   = "a\xffb\n\xe4\xb8\xad\n\xe4\xb8\nc\n"
		logged = "a\ufffdb\n\xe4\xb8\xad\n\ufffd\ufffd\nc\n"
	)
	for seen := range len(text) + 1 {
		if !utf8.RuneStart(append([]byte(text), 'x')[seen]) {
			continue // an engine's connection breaks between two writes of the program, not in a character
		}
		var budget atomic.Int64
		o, pieces := gather(100, &budget)
		for i := range seen { // byte by byte
			o.Stdout.Write([]byte(text[i : i+1]))
		}
		o.Replay(true)
		o.Stdout.Write([]byte(logged))
		if short := o.finish(); short {
			t.Errorf("%d bytes seen before: short", seen)
		}
		if want := strings.Contains(text[seen:], "\xff") || seen <= strings.Index(text, "\xe4\xb8\n")+2; o.Altered() != want {
			t.Errorf("%d bytes seen before: altered %v", seen, o.Altered())
		}
		if last := (*pieces)[len(*pieces)-1]; !strings.HasSuffix(last, "c\n") {
			t.Errorf("%d bytes seen before: got %q", seen, *pieces)
		}
		if seen == len(text) && o.Stdout.seen != int64(len(text)) {
			t.Errorf("%d bytes in all, want %d", o.Stdout.seen, len(text))
		}
	}
}

// asText is what a log of text holds of a program's output.
func asText(output string) string {
	var log strings.Builder
	for line := range strings.Lines(output) {
		for len(line) > 0 {
			n := min(len(line), LogRecord)
			for _, r := range line[:n] { // what is not UTF-8 is a replacement character for each byte
				log.WriteRune(r)
			}
			line = line[n:]
		}
	}
	return log.String()
}

// What is longer than a record of the log is cut there, also inside a character.
func TestReplayOfLongLines(t *testing.T) {
	long := "a" + strings.Repeat("\u00e9", 20000) + "\n"
	for _, text := range []string{
		long + "end\n", strings.Repeat("x", LogRecord) + "\n" + long, strings.Repeat("x", LogRecord-1) + "\n\xff\n", "\xff" + long + "\xff\xfe\n" + long,
	} {
		for _, size := range []int{1, 1000, 32 << 10, 1 << 20} {
			var budget atomic.Int64
			o, pieces := gather(100, &budget)
			for rest := text; rest != ""; {
				n := min(len(rest), size)
				o.Stdout.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			before := len(*pieces)
			o.Replay(true)
			o.Stdout.Write([]byte(asText(text)))
			if len(*pieces) != before || o.Stdout.skip != 0 || o.Altered() {
				t.Fatalf("%.20q in pieces of %d: %d pieces came again, %d bytes are to be dropped, altered %v", text, size, len(*pieces)-before, o.Stdout.skip, o.Altered())
			}
			o.Replay(true)
			o.Stdout.Write([]byte(asText(text + "new\n")))
			if got := (*pieces)[len(*pieces)-1]; len(*pieces) != before+1 || !strings.HasSuffix(got, ":new\n") {
				t.Fatalf("%.20q: a second replay brought %q", text, (*pieces)[before:])
			}
		}
	}
}

// A replacement character is seen also where a read cuts it, and half a character at the end is doubtful.
func TestReplayAltered(t *testing.T) {
	for _, cut := range []int{1, 2, 3, 4} {
		var budget atomic.Int64
		o, _ := gather(100, &budget)
		o.Replay(true)
		const text = "a\ufffdb\n"
		o.Stdout.Write([]byte(text[:cut]))
		o.Stdout.Write([]byte(text[cut:]))
		if !o.Altered() {
			t.Errorf("cut at %d: not seen", cut)
		}
	}
	var budget atomic.Int64
	o, _ := gather(100, &budget)
	o.Stdout.Write([]byte("caf\xe9"))
	o.Replay(true)
	if !o.Altered() {
		t.Error("half a character at the end passes for whole")
	}
}
