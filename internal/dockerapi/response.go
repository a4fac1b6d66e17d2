package dockerapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// A response is what the engine answered to a request. It is also the reader of the answer's body.
type response struct {
	status     int
	header     string // its lines, without the status line
	apiVersion string // the field Api-Version, which nearly every answer has
	length     int64  // of the body, as the header says; -1: it does not
	chunked    bool
	last       bool // the connection ends with this answer

	reader *bufio.Reader
	chunks io.Reader // decodes a chunked body; nil: there is none
	left   int64     // bytes of the body that were not read; -1: unknown
}

// readResponse reads the header of the answer to a request, and skips interim answers such as 100 Continue.
// The caller's limit on the header's length also ends an endless series of them.
//
// http.ReadResponse does the same, takes three times as long, and accepts more. Folded lines, spaces in a name, two codings
// of the body and a trailer are refused here: no engine sends them, and a proxy could understand them differently.
func readResponse(reader *bufio.Reader, method string) (*response, error) {
	for {
		text, err := readHeader(reader)
		status, header, _ := strings.Cut(text, "\n")
		code, is11, ok := parseStatus(status)
		switch {
		case err != nil && strings.HasPrefix("HTTP/", text[:min(len(text), 5)]):
			return nil, err
		case !ok && strings.Contains(status, " "): // so it may be a status line
			return nil, malformed("status line", status)
		case !ok: // before err: a TLS alert has no line end
			return nil, malformed("response", status)
		case err != nil:
			return nil, err
		}
		r := &response{status: code, header: header, length: -1, last: !is11, reader: reader}
		for line := range strings.Lines(header) {
			if err := r.parseField(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
				return nil, err
			}
		}
		if r.chunked && (!is11 || r.length >= 0) {
			return nil, errors.New("malformed HTTP header: it has two lengths of the body")
		}
		if code >= 200 || code == http.StatusSwitchingProtocols {
			r.begin(method)
			return r, nil
		}
	}
}

// readHeader returns the status line and the header's other lines, without the empty line that ends them. With an error
// it returns what was read.
func readHeader(reader *bufio.Reader) (string, error) {
	text := make([]byte, 0, 512) // on the stack
	for begin := 0; ; {          // of the present line
		part, err := reader.ReadSlice('\n')
		text = append(text, part...)
		switch line := bytes.TrimSuffix(bytes.TrimSuffix(text[begin:], []byte("\n")), []byte("\r")); {
		case err == bufio.ErrBufferFull: // the line is longer than the buffer
		case err == io.EOF:
			return string(text), io.ErrUnexpectedEOF
		case err != nil:
			return string(text), err
		case len(line) == 0:
			return string(text[:begin]), nil
		default:
			begin = len(text)
		}
	}
}

// parseStatus returns the status of a status line such as "HTTP/1.1 200 OK". is11: it is of HTTP/1.1, not 1.0.
func parseStatus(line string) (code int, is11, ok bool) {
	version, rest, _ := strings.Cut(line, " ")
	digits, _, _ := strings.Cut(strings.TrimSuffix(rest, "\r"), " ")
	n, err := strconv.ParseUint(digits, 10, 16)
	is11 = version == "HTTP/1.1"
	return int(n), is11, (is11 || version == "HTTP/1.0") && err == nil && len(digits) == 3 && n >= 100
}

// parseField takes what counts from a line of the header.
func (r *response) parseField(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isName(name) || !isValue(value) {
		return malformed("header", line)
	}
	value = strings.Trim(value, " \t")
	switch {
	case strings.EqualFold(name, "Api-Version"):
		r.apiVersion = value
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || r.length >= 0 && r.length != int64(n) {
			return malformed("header", line)
		}
		r.length = int64(n)
	case strings.EqualFold(name, "Transfer-Encoding"):
		if r.chunked || !strings.EqualFold(value, "chunked") {
			return malformed("header", line)
		}
		r.chunked = true
	case strings.EqualFold(name, "Connection"):
		for option := range strings.SplitSeq(value, ",") {
			r.last = r.last || strings.EqualFold(strings.Trim(option, " \t"), "close")
		}
	}
	return nil
}

// isName reports whether s can be the name of a field: RFC 9110, 5.1.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := c | 0x20; (letter < 'a' || 'z' < letter) && (c < '0' || '9' < c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s can be the value of a field: RFC 9110, 5.5.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// malformed returns the error of a line that is no HTTP.
func malformed(what, line string) error {
	return fmt.Errorf("malformed HTTP %s %q", what, shorten(strings.TrimSuffix(line, "\r"), maxExcerpt))
}

// begin finds out where the body ends.
func (r *response) begin(method string) {
	switch {
	case method == http.MethodHead, r.status < 200, r.status == http.StatusNoContent, r.status == http.StatusNotModified:
	case r.chunked:
		r.chunks, r.left = httputil.NewChunkedReader(r.reader), -1
	case r.length >= 0:
		r.left = r.length
	default: // with the connection
		r.left, r.last = -1, true
	}
}

// field returns the value of a field of the header, or "".
func (r *response) field(name string) string {
	for line := range strings.Lines(r.header) {
		if key, value, _ := strings.Cut(line, ":"); strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Read reads the body.
func (r *response) Read(p []byte) (int, error) {
	switch {
	case r.left == 0:
		return 0, io.EOF
	case r.chunks != nil:
		n, err := r.chunks.Read(p)
		if err == io.EOF {
			err = r.endChunks()
		}
		return n, err
	case r.left < 0:
		n, err := r.reader.Read(p)
		if err == io.EOF {
			r.left = 0
		}
		return n, err
	}
	n, err := r.reader.Read(p[:min(int64(len(p)), r.left)])
	if r.left -= int64(n); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// endChunks reads the empty line after the last chunk, and returns io.EOF.
func (r *response) endChunks() error {
	end, err := r.reader.Peek(2)
	switch {
	case string(end) == "\r\n":
		r.reader.Discard(2)
		r.left = 0
		return io.EOF
	case len(end) == 2:
		return errors.New("malformed HTTP body: something follows its last chunk")
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// ended reports whether the body was read to its end.
func (r *response) ended() bool { return r.left == 0 }
