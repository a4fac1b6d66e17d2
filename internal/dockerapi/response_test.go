package dockerapi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// TestResponse: what ends a header and a body, and what is refused.
func TestResponse(t *testing.T) {
	const refused = -1
	for _, tt := range []struct {
		name, method, text string
		status             int
		body               string
		last               bool
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\na\r\n1;x=y\r\nb\r\n0\r\n\r\n", 200, "ab", false},
		{"to the end", "GET", "HTTP/1.1 200\r\n\r\nab", 200, "ab", true},
		{"no body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab", 204, "", false},
		{"not modified", "POST", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\nab", 304, "", false},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "", false},
		{"a switch", "POST", "HTTP/1.1 101 UPGRADED\r\n\r\nab", 101, "", false},
		{"interim", "GET", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "", false},
		{"line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length:2\t\n\nab", 200, "ab", false},
		{"a long line", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 700) + "\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false},
		{"an empty line where a buffer begins", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 512-3) + "\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nab", 200, "ab", true},
		{"an old version", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", true},
		{"a length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false},

		{"nothing", "GET", "", refused, "", false},
		{"half a status", "GET", "HTTP/1.1 200", refused, "", false},
		{"half a header", "GET", "HTTP/1.1 200 OK\r\nX: y\r\n", refused, "", false},
		{"an empty line first", "GET", "\r\nHTTP/1.1 204 x\r\n\r\n", refused, "", false},
		{"a version to come", "GET", "HTTP/2.0 204 x\r\n\r\n", refused, "", false},
		{"a status of letters", "GET", "HTTP/1.1 2o4 x\r\n\r\n", refused, "", false},
		{"a signed status", "GET", "HTTP/1.1 +20 x\r\n\r\n", refused, "", false},
		{"a status too long", "GET", "HTTP/1.1 0204 x\r\n\r\n", refused, "", false},
		{"a status too low", "GET", "HTTP/1.1 099 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", refused, "", false},
		{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", refused, "", false},
		{"a length and chunks", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, "", false},
		{"chunks of an old version", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, "", false},
		{"two codings", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", refused, "", false},
		{"a coding twice", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused, "", false},
		{"a negative length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab", refused, "", false},
		{"a signed length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab", refused, "", false},
		{"a length too long", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nab", refused, "", false},
		{"an empty length", "GET", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nab", refused, "", false},
		{"a folded line", "GET", "HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 2\r\n\r\nab", refused, "", false},
		{"a space before the colon", "GET", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab", refused, "", false},
		{"no name", "GET", "HTTP/1.1 200 OK\r\n: 2\r\n\r\nab", refused, "", false},
		{"no colon", "GET", "HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nab", refused, "", false},
		{"a bare return", "GET", "HTTP/1.1 200 OK\r\nX: y\rContent-Length: 2\r\n\r\nab", refused, "", false},
		{"a NUL", "GET", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\nab", refused, "", false},
		{"a short body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", refused, "", false},
		{"no last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", refused, "", false},
		{"no end of the last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", refused, "", false},
		{"a trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n", refused, "", false},
		{"a chunk longer than it says", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", refused, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, source := range map[string]io.Reader{"at once": strings.NewReader(tt.text), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.text))} {
				r, body, err := readAnswer(source, tt.method)
				switch {
				case tt.status == refused && err == nil:
					t.Errorf("%s: %d, %q, not refused", name, r.status, body)
				case tt.status == refused:
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case r.status != tt.status || body != tt.body || r.last != tt.last:
					t.Errorf("%s: %d, %q, last %v", name, r.status, body, r.last)
				}
			}
		})
	}
}

// TestResponseField: a field is found by its name in any case.
func TestResponseField(t *testing.T) {
	r, _, err := readAnswer(strings.NewReader("HTTP/1.1 204 x\r\nX-Server: no\r\nserver: \t yes \r\nServer: late\r\napi-version: 1.41\r\n\r\n"), "GET")
	if err != nil || r.field("Server") != "yes" || r.field("Location") != "" || r.apiVersion != "1.41" {
		t.Errorf("%+v, %v", r, err)
	}
}

// readAnswer reads a whole answer, through a buffer as small as that of a stream.
func readAnswer(source io.Reader, method string) (r *response, body string, err error) {
	if r, err = readResponse(bufio.NewReaderSize(source, streamBuffer), method); err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(r)
	return r, string(text), err
}

// FuzzResponse: what readResponse accepts, net/http understands in the same way, to the first byte of the next answer.
func FuzzResponse(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\n" + engineHeader + "Content-Length: 2\r\n\r\nabHTTP/1.1",
		"HTTP/1.1 201 Created\r\n" + engineHeader + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nHTTP/1.1",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: keep-alive, close\r\n\r\nHTTP/1.1",
		"HTTP/1.0 500 x\nContent-Length: 2\nContent-Length: 2\n\nab",
		upgraded + "ab",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		ours := bufio.NewReader(strings.NewReader(text))
		r, err := readResponse(ours, method)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r)
		theirs := bufio.NewReader(strings.NewReader(text))
		want, wantErr := http.ReadResponse(theirs, &http.Request{Method: method})
		for wantErr == nil && want.StatusCode < 200 && want.StatusCode != http.StatusSwitchingProtocols {
			want, wantErr = http.ReadResponse(theirs, &http.Request{Method: method})
		}
		if wantErr != nil {
			t.Fatalf("net/http refuses %q: %v", text, wantErr)
		}
		wantBody, wantErr := io.ReadAll(want.Body)
		if r.status != want.StatusCode || !bytes.Equal(body, wantBody) && err == nil || err == nil && wantErr != nil {
			t.Fatalf("%q: %d, %q, %v; net/http: %d, %q, %v", text, r.status, body, err, want.StatusCode, wantBody, wantErr)
		}
		if want.Close && !r.last {
			t.Fatalf("%q: another answer is expected", text)
		}
		for _, name := range []string{"Api-Version", "Content-Type", "Location", "Server"} {
			if got := r.field(name); got != want.Header.Get(name) {
				t.Fatalf("%q: %s: %q; net/http: %q", text, name, got, want.Header.Get(name))
			}
		}
		if err == nil && !r.last {
			rest, _ := io.ReadAll(ours)
			wantRest, _ := io.ReadAll(theirs)
			if !bytes.Equal(rest, wantRest) {
				t.Fatalf("%q: then %q; net/http: %q", text, rest, wantRest)
			}
		}
	})
}
