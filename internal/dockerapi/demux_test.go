package dockerapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readers are ways in which the same bytes may come.
var readers = map[string]func(io.Reader) io.Reader{
	"at once":       func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"by halves":     iotest.HalfReader,
	"EOF with data": iotest.DataErrReader,
}

func TestDemux(t *testing.T) {
	large := strings.Repeat("0123456789", 10000)
	for _, test := range []struct {
		name, in    string
		out, errOut string
		err         error  // or
		text        string // in the error
	}{
		{name: "nothing"},
		{name: "stdout", in: frame(1, "a\n"), out: "a\n"},
		{name: "both", in: frame(1, "a") + frame(2, "b") + frame(1, "c"), out: "ac", errOut: "b"},
		{name: "stdin counts as stdout", in: frame(0, "a"), out: "a"},
		{name: "empty frames", in: frame(1, "") + frame(2, "") + frame(1, "a") + frame(1, ""), out: "a"},
		{name: "large", in: frame(2, large) + frame(1, large) + frame(1, "x"), out: large + "x", errOut: large},
		{name: "many", in: strings.Repeat(frame(1, "abc")+frame(2, "d"), 9000), out: strings.Repeat("abc", 9000), errOut: strings.Repeat("d", 9000)},
		{name: "cut payload", in: frame(1, "a") + frame(1, "bc")[:9], out: "ab", err: io.ErrUnexpectedEOF},
		{name: "no payload", in: frame(1, "a") + frame(1, "bc")[:8], out: "a", err: io.ErrUnexpectedEOF},
		{name: "cut header", in: frame(1, "a") + "\x01\x00", out: "a", err: io.ErrUnexpectedEOF},
		{name: "cut first header", in: "\x01", err: io.ErrUnexpectedEOF},
		{name: "a length that nobody sends", in: "\x01\x00\x00\x00\xff\xff\xff\xffab", out: "ab", err: io.ErrUnexpectedEOF},
		{name: "engine's error", in: frame(1, "a") + frame(3, "log is gone\n") + frame(1, "b"), out: "a", text: "log is gone\n"},
		{name: "empty error", in: frame(3, ""), text: ""},
		{name: "endless error", in: "\x03\x00\x00\x00\xff\xff\xff\xff" + large, text: large[:maxInBand]},
		{name: "unknown stream", in: frame(1, "a") + frame(4, "b"), out: "a", text: "no stream frames"},
		{name: "padding", in: "\x01\x00\x01\x00\x00\x00\x00\x01a", text: "no stream frames"},
		{name: "a TTY's text", in: "hello, world\r\n", text: "the container probably has a TTY"},
	} {
		for how, wrap := range readers {
			t.Run(test.name+"/"+how, func(t *testing.T) {
				var out, errOut bytes.Buffer
				err := demux(wrap(strings.NewReader(test.in)), &out, &errOut)
				if out.String() != test.out || errOut.String() != test.errOut {
					t.Errorf("got %.50q and %.50q\nwant %.50q and %.50q", out.String(), errOut.String(), test.out, test.errOut)
				}
				var inBand *inBandError
				if errors.As(err, &inBand) {
					if test.err != nil || !strings.Contains(inBand.message, test.text) {
						t.Errorf("error %q, want %q, %v", inBand.message, test.text, test.err)
					}
				} else if err != test.err || test.text != "" {
					t.Errorf("error %v, want %v %q", err, test.err, test.text)
				}
			})
		}
	}
}

func TestDemuxNilWriters(t *testing.T) {
	var out bytes.Buffer
	if err := demux(strings.NewReader(frame(2, "x")+frame(1, "a")), &out, nil); err != nil || out.String() != "a" {
		t.Error(err, out.String())
	}
}

type failingWriter struct {
	n   int
	err error
}

func (w failingWriter) Write(p []byte) (int, error) { return min(w.n, len(p)), w.err }

func TestDemuxWriterErrors(t *testing.T) {
	failure := errors.New("disk full")
	var sink *sinkError
	for name, copyTo := range map[string]func(io.Reader, io.Writer) error{
		"frames": func(r io.Reader, w io.Writer) error { return demux(r, w, w) },
		"raw":    copyRaw,
	} {
		in := frame(1, "abc")
		if err := copyTo(strings.NewReader(in), failingWriter{0, failure}); !errors.As(err, &sink) || sink.err != failure {
			t.Errorf("%s: %v", name, err)
		}
		if err := copyTo(strings.NewReader(in), failingWriter{1, nil}); !errors.As(err, &sink) || sink.err != io.ErrShortWrite {
			t.Errorf("%s, short: %v", name, err)
		}
		// EOF of a writer must not pass for the end of the stream.
		if err := copyTo(strings.NewReader(in), failingWriter{0, io.EOF}); !errors.As(err, &sink) {
			t.Errorf("%s, EOF: %v", name, err)
		}
		if err := copyTo(iotest.ErrReader(failure), io.Discard); err != failure {
			t.Errorf("%s, reader: %v", name, err)
		}
		if err := copyTo(io.MultiReader(strings.NewReader(in), iotest.ErrReader(failure)), io.Discard); err != failure {
			t.Errorf("%s, reader behind a frame: %v", name, err)
		}
	}
	if err := copyRaw(stuckReader{}, io.Discard); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) { return 0, nil }

func TestCopyRaw(t *testing.T) {
	for _, size := range []int{0, 1, smallRead - 1, smallRead, smallRead + 1, 32<<10 + smallRead, 100_000} {
		want := strings.Repeat("x", size)
		for how, wrap := range readers {
			var out bytes.Buffer
			if err := copyRaw(wrap(strings.NewReader(want)), &out); err != nil || out.String() != want {
				t.Errorf("%d %s: %v, %d bytes", size, how, err, out.Len())
			}
		}
	}
}

// FuzzDemux compares with the plainest way to do it, over any split of reads.
func FuzzDemux(f *testing.F) {
	f.Add([]byte(frame(1, "a")+frame(2, "b")), uint8(1))
	f.Add([]byte(frame(1, "abc")[:9]), uint8(3))
	f.Add([]byte(frame(3, "gone")), uint8(0))
	f.Add([]byte("plain text of a TTY"), uint8(2))
	f.Add([]byte("\x01\x00\x00\x00\xff\xff\xff\xff"), uint8(7))
	f.Add([]byte(frame(0, "")+frame(1, strings.Repeat("x", 300))+"\x02"), uint8(9))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		var out, errOut bytes.Buffer
		err := demux(&chunkReader{in, int(chunk) + 1}, &out, &errOut)
		wantOut, wantErr, want := plainDemux(in)
		if out.String() != wantOut || errOut.String() != wantErr {
			t.Errorf("got %q and %q\nwant %q and %q", out.String(), errOut.String(), wantOut, wantErr)
		}
		got := "none"
		var inBand *inBandError
		switch {
		case errors.As(err, &inBand):
			got = "in band"
		case err != nil:
			got = err.Error()
		}
		if got != want {
			t.Errorf("error %q, want %q", got, want)
		}
	})
}

func plainDemux(in []byte) (out, errOut, err string) {
	for len(in) > 0 {
		if len(in) < 8 {
			return out, errOut, io.ErrUnexpectedEOF.Error()
		}
		if in[0] > 3 || in[1]|in[2]|in[3] != 0 {
			return out, errOut, "in band"
		}
		size := int(binary.BigEndian.Uint32(in[4:]))
		payload := in[8:min(len(in), 8+size)]
		switch in[0] {
		case 2:
			errOut += string(payload)
		case 3:
			if len(payload) < size && len(payload) < maxInBand {
				return out, errOut, io.ErrUnexpectedEOF.Error()
			}
			return out, errOut, "in band"
		default:
			out += string(payload)
		}
		if len(payload) < size {
			return out, errOut, io.ErrUnexpectedEOF.Error()
		}
		in = in[8+size:]
	}
	return out, errOut, "none"
}

// chunkReader reads at most size bytes at a time.
type chunkReader struct {
	rest []byte
	size int
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.size)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func BenchmarkDemux(b *testing.B) {
	for _, size := range []int{20, 1 << 10, 16 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("frames of %d", size), func(b *testing.B) {
			in := []byte(strings.Repeat(frame(1, strings.Repeat("x", size))+frame(2, strings.Repeat("y", size)), 1+(1<<20)/size))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			reader := bytes.NewReader(in)
			for b.Loop() {
				reader.Reset(in)
				if err := demux(reader, io.Discard, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
