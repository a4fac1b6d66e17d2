package amqpsrc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

func TestCheckURL(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		url  string
		want string // a part of the error; "" for none
		show string // what Redact makes of it
	}{
		{"amqp://h", "", "amqp://h"},
		{"AMQP://h/", "", "amqp://h/"},
		{"amqp://guest:s3cret@h:5673/vh", "", "amqp://guest:xxxxx@h:5673/vh"},
		{"amqp://u:@h", "", "amqp://u:xxxxx@h"},
		{"amqp://u:s3cret%2F%40@[::1]:5673/a%2Fb?heartbeat=5", "", "amqp://u:xxxxx@[::1]:5673/a%2Fb?heartbeat=5"},
		{"amqp://u:s3cret@x@h", "", "amqp://u:xxxxx@h"},
		{"amqps://u@h?auth_mechanism=EXTERNAL", "", "amqps://u@h?auth_mechanism=EXTERNAL"},
		{"amqp://h?heartbeat=0&connection_timeout=1&channel_max=0", "", "amqp://h?heartbeat=0&connection_timeout=1&channel_max=0"},
		{"", "is empty", ""},
		{"h:5672", "must begin with amqp://", ""},
		{"guest:s3cret@h", "must begin with amqp://", ""},
		{"amqp:h", "must begin with amqp://", ""},
		{"http://u:s3cret@h", `scheme "http"`, ""},
		{"amqp://u:s3cret@h /", "a space", ""},
		{"amqp://u:s3cret@h\n", "control character", ""},
		{"amqp://", "no host", ""},
		{"amqp:///vh", "no host", ""},
		{"amqp://:5672", "no host", ""},
		{"amqp://u:s3cret@", "no host", ""},
		{"amqp://u:s3%zz@h", "cannot be read", ""},
		{"amqp://u:s3/cret@h", "@ behind", ""},
		{"amqp://u:12/s3cret@h", "@ behind", ""},
		{"amqp://u:12?s3cret@h", "@ behind", ""},
		{"amqp://u:12#s3cret@h", "@ behind", ""},
		{"amqp://u:s3cret@h#f", "a # in it", ""},
		{"amqp://u:s3cret@h#", "a # in it", ""},
		{"amqp://u:s3cret@h:0", "1 to 65535", ""},
		{"amqp://u:s3cret@h:65536", "1 to 65535", ""},
		{"amqp://u:s3cret@h:http", "port must be a number", ""},
		{"amqp://u:s3cret@h1:5672,h2:5672/v", "several hosts", ""},
		{"amqp://u:s3cret@h1,h2/v", "several hosts", ""},
		{"amqp://u@h", "without a password", ""},
		{"amqp://:s3cret@h", "no user name", ""},
		{"amqp://h/" + strings.Repeat("v", 256), "vhost of more than 255", ""},
		{"amqp://h?verify=verify_none", "unknown parameter verify", ""},
		{"amqp://h?s3cret=1", "unknown parameter", ""},
		{"amqp://h?S3-cret=1", "unknown parameter", ""},
		{"amqp://h?heartbeat=%zz", "cannot be read", ""},
		{"amqp://h?heartbeat=1;x=2", "cannot be read", ""},
		{"amqp://h?heartbeat=70000", "heartbeat", ""},
		{"amqp://h?heartbeat=1&heartbeat=2", "heartbeat twice", ""},
		{"amqp://h?connection_timeout=-5", "connection_timeout", ""},
		{"amqp://h?connection_timeout=0", "connection_timeout", ""},
		{"amqp://h?channel_max=3", "channel_max", ""},
		{"amqp://h?auth_mechanism=foo", "auth_mechanism", ""},
		{"amqp://h?cacertfile=x", "not amqps://", ""},
		{"amqps://h?certfile=x", "only one of", ""},
		{"amqps://h?cacertfile=" + dir + "/none.pem", "none.pem", "amqps://h?cacertfile=" + dir + "/none.pem"},
		{"amqps://h?cacertfile=" + empty, "without a certificate", "amqps://h?cacertfile=" + empty},
		{"amqps://h?certfile=" + empty + "&keyfile=" + empty, "cannot be used", "amqps://h?certfile=" + empty + "&keyfile=" + empty},
	}
	for _, tt := range tests {
		err := CheckURL(tt.url)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("CheckURL(%q): %v", tt.url, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("CheckURL(%q): %v, want %q", tt.url, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "s3") && !strings.Contains(tt.url, "?s3"):
			t.Errorf("CheckURL(%q) tells of the password: %v", tt.url, err)
		}
		show := tt.show
		if show == "" {
			show = "(unreadable AMQP address)"
		}
		if got := Redact(tt.url); got != show {
			t.Errorf("Redact(%q) = %q, want %q", tt.url, got, show)
		}
	}
}

// FuzzRedact: whatever stands between the scheme and the host, neither the error nor the log shows it.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"x", "a/b", "12#x", "1?x", "%zz", "p@ss", "a:b", "[", "]", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, password string) {
		// In a frame, so that a part of it is known when it shows.
		const mark = "q9Zw7"
		raw := "amqp://user:" + mark + password + mark + "@host/vhost"
		if s := Redact(raw); strings.Contains(s, mark) {
			t.Errorf("Redact(%q) = %q", raw, s)
		}
		if err := CheckURL(raw); err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("CheckURL(%q): %v", raw, err)
		}
	})
}

func TestAddress(t *testing.T) {
	a, err := parseURL("amqps://u:p%2Fw@h/a%2Fb?heartbeat=7&connection_timeout=1500&channel_max=100&auth_mechanism=plain&auth_mechanism=external&server_name_indication=n")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(a.hostPort(), " ", a.user, a.password, a.vhost, a.heartbeat, a.timeout, a.channelMax, a.mechanisms, a.tls, len(a.sasl()))
	if want := "h:5671 up/wa/b7s 1.5s 100 [PLAIN EXTERNAL] true 2"; got != want {
		t.Errorf("address is %s, want %s", got, want)
	}
	c, err := a.tlsConfig()
	if err != nil || c.ServerName != "n" || c.InsecureSkipVerify {
		t.Errorf("TLS config %+v, %v", c, err)
	}
	a, err = parseURL("amqp://[::1]")
	if err != nil || a.hostPort() != "[::1]:5672" || a.user != "guest" || a.password != "guest" || a.vhost != "/" || a.heartbeat != 10*time.Second {
		t.Errorf("address is %+v, %v", a, err)
	}
}

func TestBackoff(t *testing.T) {
	for range 100 {
		b := reconnecting()
		for i := range 40 {
			d := b.next()
			if d < 250*time.Millisecond || d > 30*time.Second {
				t.Fatalf("delay %d is %v", i, d)
			}
			if i == 0 && d > 500*time.Millisecond {
				t.Fatalf("the first delay is %v", d)
			}
			if i > 10 && d < 15*time.Second {
				t.Fatalf("delay %d is only %v", i, d)
			}
		}
		b.reset()
		if d := b.next(); d > 500*time.Millisecond {
			t.Fatalf("the first delay after a reset is %v", d)
		}
	}
}

func server(code int, reason string) *amqp.Error {
	return &amqp.Error{Code: code, Reason: reason, Server: true}
}

func TestExplainDial(t *testing.T) {
	tests := []struct {
		err  error
		read error
		took time.Duration
		want error // nil: waited for
	}{
		{amqp.ErrCredentials, io.EOF, 3 * time.Second, ErrLogin},
		{amqp.ErrCredentials, &os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}, 3 * time.Second, ErrLogin},
		{amqp.ErrCredentials, io.EOF, time.Second, nil},
		{amqp.ErrCredentials, os.ErrDeadlineExceeded, 30 * time.Second, nil},
		{amqp.ErrCredentials, nil, 30 * time.Second, nil},
		{server(403, "ACCESS_REFUSED - Login was refused"), nil, 0, ErrLogin},
		{amqp.ErrSASL, nil, 0, ErrLogin},
		{amqp.ErrVhost, io.EOF, 3 * time.Second, nil},
		{server(530, "NOT_ALLOWED - vhost x not found"), nil, 0, ErrVhost},
		{server(530, "NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (1) is reached"), nil, 0, nil},
		{server(541, "INTERNAL_ERROR - access to vhost '/' refused for user 'u': vhost '/' is down"), nil, 0, nil},
		{server(320, "CONNECTION_FORCED - broker forced connection closure"), nil, 0, nil},
		{&amqp.Error{Code: 501, Reason: "EOF"}, io.EOF, 0, nil},
		{&amqp.Error{Code: 501, Reason: "frame size exceeds negotiated frame_max"}, nil, 0, ErrNotAMQP},
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, nil, 0, ErrCertificate},
		{errors.New("tls: first record does not look like a TLS handshake"), nil, 0, nil},
		{syscall.ECONNREFUSED, nil, 0, nil},
	}
	for _, tt := range tests {
		got := explainDial(tt.err, "u", "v", tt.read, tt.took)
		if tt.want == nil && fatal(got) || tt.want != nil && !errors.Is(got, tt.want) {
			t.Errorf("explainDial(%v, %v, %v) = %v, want %v", tt.err, tt.read, tt.took, got, tt.want)
		}
		if strings.Contains(got.Error(), "Exception") {
			t.Errorf("not for people: %v", got)
		}
	}
}

func TestExplainQueue(t *testing.T) {
	tests := []struct {
		err  error
		want error // nil: waited for
	}{
		{server(404, "NOT_FOUND - no queue 'q' in vhost '/'"), ErrNoQueue},
		{server(404, "NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible"), nil},
		{server(403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'"), ErrForbidden},
		{server(403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), nil},
		{server(405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'"), nil},
		{server(406, "PRECONDITION_FAILED - inequivalent arg"), nil},
		{server(541, "INTERNAL_ERROR"), nil},
		{&amqp.Error{Code: 404, Reason: "no queue"}, nil}, // not the broker's word
		{amqp.ErrClosed, nil},
	}
	for _, tt := range tests {
		got := explainQueue(tt.err, "q", "read permission")
		if tt.want == nil && fatal(got) || tt.want != nil && !errors.Is(got, tt.want) {
			t.Errorf("explainQueue(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestAckTimedOut(t *testing.T) {
	e := server(406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This timeout value can be configured, see consumers doc guide to learn more")
	if ms, ok := ackTimedOut(plain(e)); !ok || ms != 1800000 {
		t.Errorf("ackTimedOut = %d, %v", ms, ok)
	}
	if _, ok := ackTimedOut(server(406, "PRECONDITION_FAILED - unknown delivery tag 3")); ok {
		t.Error("an unknown tag is taken for a timeout")
	}
	var book logbook
	book.added = make(chan struct{})
	r := reporter{log: slog.New(slog.NewTextHandler(&book, nil)), lost: "lost", back: "back"}
	r.fail(plain(e))
	if s := book.String(); !strings.Contains(s, "timeout_ms=1800000") || !strings.Contains(s, "consumer_timeout") {
		t.Errorf("logged: %s", s)
	}
}

func TestReporter(t *testing.T) {
	book := newLogbook()
	r := reporter{log: slog.New(slog.NewTextHandler(book, nil)), lost: "lost", back: "back"}
	r.well() // nothing was wrong
	for range 3 {
		r.fail(server(320, "CONNECTION_FORCED - bye"))
		r.fail(errors.New("read tcp 127.0.0.1:41234->127.0.0.1:5672: connection reset by peer"))
		r.fail(errors.New("dial tcp 127.0.0.1:5672: connect: connection refused"))
		r.fail(io.EOF)
		r.fail(plain(amqp.ErrClosed))
	}
	if book.count("msg=lost") != 1 {
		t.Errorf("one outage is logged as\n%s", book)
	}
	r.fail(fmt.Errorf("%w: %q", ErrNoQueue, "q1"))
	r.fail(errors.New("lookup broker: no such host"))
	if book.count("msg=lost") != 2 || book.count("queue unavailable") != 1 {
		t.Errorf("another error is logged as\n%s", book)
	}
	r.well()
	r.well()
	r.fail(io.EOF)
	if book.count("msg=back") != 1 || book.count("msg=lost") != 3 {
		t.Errorf("the next outage is logged as\n%s", book)
	}
	for _, refusal := range []error{
		server(403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"),
		server(530, "NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (1) is reached"),
		server(530, "NOT_ALLOWED - number of channels opened (16) has reached the negotiated channel_max (16)"),
	} {
		r.well()
		before := book.count("broker refuses, waiting")
		r.fail(plain(refusal))
		if book.count("broker refuses, waiting") != before+1 || book.count("msg=lost") != 3 {
			t.Errorf("%v is logged as\n%s", refusal, book)
		}
	}
	r.well()
	r.fail(server(541, "INTERNAL_ERROR"))
	if book.count("msg=lost") != 4 {
		t.Errorf("a broker that is broken is logged as\n%s", book)
	}
	second := reporter{log: r.log, lost: "second lost", back: "second back", second: true}
	second.fail(io.EOF)
	second.well()
	if book.count("second") != 0 {
		t.Errorf("what the first connection says is logged twice\n%s", book)
	}
	second.fail(fmt.Errorf("%w: q", ErrNoQueue))
	second.well()
	if book.count("queue unavailable") != 2 || book.count("second back") != 1 {
		t.Errorf("its own trouble is logged as\n%s", book)
	}
}

// A fakeAck counts what is settled.
type fakeAck struct {
	mu   sync.Mutex
	log  []string
	fail error
}

func (f *fakeAck) add(s string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, s)
	return f.fail
}
func (f *fakeAck) Ack(tag uint64, multiple bool) error {
	return f.add(fmt.Sprint("ack ", tag, multiple))
}
func (f *fakeAck) Nack(tag uint64, multiple, requeue bool) error {
	return f.add(fmt.Sprint("nack ", tag, multiple, requeue))
}
func (f *fakeAck) Reject(tag uint64, requeue bool) error {
	return f.add(fmt.Sprint("reject ", tag, requeue))
}

func fakeSession(ack *fakeAck, deadLetter string) (*session, amqp.Delivery) {
	s := &session{config: &Config{Queue: "q", DeadLetter: deadLetter}, link: new(link), done: make(chan struct{}), fences: make(chan struct{}, 1)}
	return s, amqp.Delivery{Acknowledger: ack, DeliveryTag: 7}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		verdict cmd.Verdict
		want    string
	}{
		{cmd.Ack, "[ack 7 false]"},
		{cmd.Requeue, "[nack 7 false true]"},
		{cmd.DeadLetter, "[reject 7 false]"},
	}
	for _, tt := range tests {
		var ack fakeAck
		s, d := fakeSession(&ack, "d")
		j := s.job(d)
		var wg sync.WaitGroup
		var good atomic.Int32
		for range 20 {
			wg.Go(func() {
				if err := j.Settle(context.Background(), tt.verdict, event.Result{}); err == nil {
					good.Add(1)
				} else if !errors.Is(err, errSettledTwice) {
					t.Errorf("settle: %v", err)
				}
			})
		}
		wg.Wait()
		if got := fmt.Sprint(ack.log); got != tt.want || good.Load() != 1 {
			t.Errorf("%v: %d times: %s, want once: %s", tt.verdict, good.Load(), got, tt.want)
		}
	}
}

func TestSettleLost(t *testing.T) {
	for _, v := range []cmd.Verdict{cmd.Ack, cmd.Requeue, cmd.DeadLetter} {
		var ack fakeAck
		s, d := fakeSession(&ack, "d")
		j := s.job(d)
		close(s.done)
		if err := j.Settle(context.Background(), v, event.Result{}); !errors.Is(err, cmd.ErrDeliveryLost) || len(ack.log) != 0 || !j.Lost() {
			t.Errorf("%v: %v, %v", v, err, ack.log)
		}
	}
	// The write of the ack fails.
	ack := fakeAck{fail: amqp.ErrClosed}
	s, d := fakeSession(&ack, "d")
	if err := s.job(d).Settle(context.Background(), cmd.Ack, event.Result{}); !errors.Is(err, cmd.ErrDeliveryLost) {
		t.Errorf("%v", err)
	}
}

// Only a source with a dead-letter queue stores copies.
func TestStore(t *testing.T) {
	var ack fakeAck
	s, d := fakeSession(&ack, "d")
	if s.job(d).Store == nil {
		t.Error("a source with a dead-letter queue stores no copies")
	}
	s, d = fakeSession(&ack, "")
	if s.job(d).Store != nil {
		t.Error("a source without a dead-letter queue stores copies")
	}
}

func TestDeadLetterCopy(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	d := amqp.Delivery{
		Headers: amqp.Table{"keep": int32(1), "x-death": []any{}, "x-first-death-queue": "a", "x-last-death-reason": "b", "x-delivery-count": int64(1),
			"x-acquired-count": int64(1), "CC": []any{"x"}, "BCC": []any{"x"}, "x-dispatch-host": "forged", "x-dispatch-user-id": "forged",
			"bad": uint64(1), "worse": []any{amqp.Table{"x": struct{}{}}}, "x-deaths": "kept"},
		ContentType: "ct", ContentEncoding: "ce", DeliveryMode: 1, Priority: 9, CorrelationId: "c", ReplyTo: directReply, Expiration: "10",
		MessageId: "m", Timestamp: now, Type: "t", UserId: "u", AppId: "a", Body: []byte("body"),
	}
	r := event.Result{Reason: strings.Repeat("r", 200), Error: strings.Repeat("é", 2000) + "\xff"}
	p := deadLetter(d, "jobs", "host\xff", "copy-1", r, now, frameSize)
	h := p.Headers
	p.Headers = nil
	want := amqp.Publishing{ContentType: "ct", ContentEncoding: "ce", DeliveryMode: 2, Priority: 9, CorrelationId: "c", MessageId: "m", Timestamp: now, Type: "t", AppId: "a", Body: []byte("body")}
	if fmt.Sprintf("%+v", p) != fmt.Sprintf("%+v", want) {
		t.Errorf("properties are\n%+v, want\n%+v", p, want)
	}
	for k, v := range (amqp.Table{"keep": int32(1), "x-deaths": "kept", headerHost: "host\uFFFD", headerQueue: "jobs", headerTime: "2026-01-02T02:04:05Z",
		headerUser: "u", headerReply: directReply, headerDropped: "bad worse", headerCopy: "copy-1"}) {
		if h[k] != v {
			t.Errorf("header %s is %v, want %v", k, h[k], v)
		}
		delete(h, k)
	}
	if s := h[headerReason].(string); len(s) > maxReason {
		t.Errorf("reason has %d bytes", len(s))
	}
	if s := h[headerError].(string); len(s) > maxError || !utf8.ValidString(s) || !strings.HasSuffix(s, "...") || len(s) < maxError-4 {
		t.Errorf("error is %d bytes: %q", len(s), s)
	}
	if len(h) != 2 {
		t.Errorf("more headers: %v", h)
	}
}

// The largest headers that a message can have leave room for ours by dropping the largest of them.
func TestDeadLetterRoom(t *testing.T) {
	for _, frameMax := range []int{0, 8192, frameSize} {
		headers := amqp.Table{"s": nil, "large": strings.Repeat("x", 130000), "larger": bytes.Repeat([]byte{1}, 2<<20)}
		for i := range 9000 {
			headers[fmt.Sprintf("k%05d", i)] = nil
		}
		long := strings.Repeat("x", 255)
		d := amqp.Delivery{Headers: headers, ContentType: long, ContentEncoding: long, CorrelationId: long, ReplyTo: long, MessageId: long, Type: long, AppId: long, UserId: long}
		p := deadLetter(d, long, long, "copy", event.Result{Reason: long, Error: strings.Repeat("x", 9999)}, time.Now(), frameMax)
		if err := p.Headers.Validate(); err != nil {
			t.Error(err)
		}
		size := 8 + 14 + 10 + 7*256 + 4 + tableSize(p.Headers)
		if limit := frameMax; limit > 0 && size > limit || len(p.Headers) > maxEntries {
			t.Errorf("frame of %d: %d bytes, %d headers", frameMax, size, len(p.Headers))
		}
		if _, ok := p.Headers["s"]; !ok || p.Headers["larger"] != nil || len(p.Headers) < 100 {
			t.Errorf("frame of %d: the wrong headers were dropped", frameMax)
		}
		if s := fmt.Sprint(p.Headers[headerDropped]); !strings.Contains(s, " more") || len(s) > maxDroppedSize {
			t.Errorf("dropped are %q", s)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct{ in, want string }{{"abc", "abc"}, {"abcdefgh", "abcdefgh"}, {"abcdefghi", "abcde..."}, {"abcdéfghi", "abcd..."}, {"a\xff", "a\uFFFD"}, {"", ""}} {
		if got := clip(tt.in, 8); got != tt.want {
			t.Errorf("clip(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// wireTable encodes a table as RabbitMQ does.
func wireTable(pairs ...[]byte) []byte { return bytes.Join(pairs, nil) }

func wirePair(key string, field ...byte) []byte {
	return append(append([]byte{byte(len(key))}, key...), field...)
}

func wireField(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content))), content...)
}

// wireFrame makes a content header frame with a content type, headers and an app_id.
func wireFrame(table []byte) []byte {
	b := []byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}
	b = binary.BigEndian.AppendUint16(b, 0x8000|0x2000|0x0008)
	b = append(b, 2, 'c', 't')
	b = binary.BigEndian.AppendUint32(b, uint32(len(table)))
	b = append(b, table...)
	b = append(b, 3, 'a', 'p', 'p')
	f := binary.BigEndian.AppendUint32([]byte{frameHeader, 0, 1}, uint32(len(b)))
	return append(append(f, b...), 0xCE)
}

func TestFilter(t *testing.T) {
	nest := func(n int, kind byte) []byte {
		b := []byte("\x01kV")
		if kind == 'A' {
			b = []byte("V")
		}
		for range n {
			b = wireField(kind, b)
			if kind == 'F' {
				b = wirePair("k", b...)
			}
		}
		if kind == 'A' {
			b = wirePair("k", b...)
		}
		return b
	}
	tests := []struct {
		name     string
		table    []byte
		readable bool
	}{
		{"empty", nil, true},
		{"all types", wireTable(wirePair("a", 't', 1), wirePair("b", 'b', 1), wirePair("c", 'B', 1), wirePair("d", 's', 1, 2), wirePair("e", 'u', 1, 2),
			wirePair("f", 'I', 1, 2, 3, 4), wirePair("g", 'i', 1, 2, 3, 4), wirePair("h", 'f', 1, 2, 3, 4), wirePair("i", 'D', 1, 1, 2, 3, 4),
			wirePair("j", 'l', 1, 2, 3, 4, 5, 6, 7, 8), wirePair("k", 'd', 1, 2, 3, 4, 5, 6, 7, 8), wirePair("l", 'T', 1, 2, 3, 4, 5, 6, 7, 8),
			wirePair("m", wireField('S', []byte("x"))...), wirePair("n", wireField('x', nil)...), wirePair("o", 'V'), wirePair("", 'V')), true},
		{"depth 32", nest(32, 'F'), true},
		{"depth 33", nest(33, 'F'), false},
		{"array depth 32", nest(32, 'A'), true},
		{"array depth 33", nest(33, 'A'), false},
		{"8192 entries", bytes.Repeat(wirePair("k", 'V'), 8192), true},
		{"8193 entries", bytes.Repeat(wirePair("k", 'V'), 8193), false},
		{"8193 elements", wirePair("k", wireField('A', bytes.Repeat([]byte{'V'}, 8193))...), false},
		{"unknown type", wirePair("k", '?'), false},
		{"cut key", []byte{9, 'k'}, false},
		{"cut field", wirePair("k", 'l', 1), false},
		{"cut length", wirePair("k", 'S', 0, 0), false},
		{"length too large", wirePair("k", 'S', 255, 255, 255, 255), false},
		{"no field", wirePair("k"), false},
	}
	before := []byte{frameMethod, 0, 1, 0, 0, 0, 2, 0, 60, 0xCE}
	after := []byte{frameBody, 0, 1, 0, 0, 0, 3, frameHeader, 2, 3, 0xCE, frameHeartbeat, 0, 0, 0, 0, 0, 0, 0xCE}
	for _, tt := range tests {
		in := wireFrame(tt.table)
		want := in
		if !tt.readable {
			want = wireFrame(wirePair(unreadableHeader, 't', 1))
		}
		stream := bytes.Join([][]byte{before, in, after, in}, nil)
		wanted := bytes.Join([][]byte{before, want, after, want}, nil)
		for name, r := range map[string]io.Reader{
			"whole":        newFilter(bytes.NewReader(stream)),
			"bytes in":     newFilter(iotest.OneByteReader(bytes.NewReader(stream))),
			"bytes out":    iotest.OneByteReader(newFilter(bytes.NewReader(stream))),
			"halves, data": newFilter(iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(stream)))),
		} {
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, wanted) {
				t.Errorf("%s, %s: %v, %d bytes, want %d", tt.name, name, err, len(got), len(wanted))
			}
		}
	}
	// What is no frame after one that is goes on as it is.
	for _, s := range []string{string(before) + "HTTP/1.1 400 Bad Request\r\n"} {
		if got, err := io.ReadAll(newFilter(strings.NewReader(s))); err != nil || string(got) != s {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	for _, n := range []int{3, 20} {
		if _, err := io.ReadAll(newFilter(bytes.NewReader(append(bytes.Clone(before), wireFrame(nil)[:n]...)))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// FuzzFilter: a content header comes out with a table that is readable, or it was no table at all.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{})
	f.Add(wirePair("k", 'V'))
	f.Add(wirePair("k", wireField('F', wirePair("k", wireField('A', []byte{'V'})...))...))
	f.Fuzz(func(t *testing.T, table []byte) {
		if len(table) > maxHeaderFrame/2 {
			return
		}
		got, err := io.ReadAll(&filter{in: bufio.NewReader(bytes.NewReader(wireFrame(table))), amqp: true})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, wireFrame(table)) && !bytes.Equal(got, wireFrame(wirePair(unreadableHeader, 't', 1))) {
			t.Errorf("frame of %x became %x", table, got)
		}
		raw := append([]byte(nil), table...) // as a whole frame too
		io.Copy(io.Discard, newFilter(bytes.NewReader(append([]byte{frameMethod, 0, 0, 0, 0, 0, 0, 0xCE, frameHeader, 0, 1, 0, 0, 0, byte(min(len(raw), 255))}, raw...))))
	})
}

// FuzzDeadLetter: whatever the headers, the copy can be sent, in a frame that the broker takes.
func FuzzDeadLetter(f *testing.F) {
	f.Add([]byte("abc"), 3, uint16(1000))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 5, uint16(8192))
	f.Fuzz(func(t *testing.T, data []byte, repeat int, frame uint16) {
		frameMax := 8192 + int(frame)
		next := func() byte {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return b
		}
		var value func(depth int) any
		value = func(depth int) any {
			switch k := next() % 20; k {
			case 0:
				return nil
			case 1:
				return true
			case 2:
				return next()
			case 3:
				return int8(-1)
			case 4:
				return int16(1)
			case 5:
				return uint16(1)
			case 6:
				return int32(1)
			case 7:
				return uint32(math.MaxUint32)
			case 8:
				return int64(1)
			case 9:
				return float32(1)
			case 10:
				return math.Inf(1)
			case 11:
				return amqp.Decimal{Scale: 2, Value: -1}
			case 12:
				return time.Unix(-62135596800, 0)
			case 13:
				return strings.Repeat("\xff", int(next())*100)
			case 14:
				return make([]byte, int(next())*100)
			case 15:
				return []any{value(depth + 1), value(depth + 1)}
			case 16:
				return amqp.Table{string(next()): value(depth + 1)}
			case 17:
				return uint64(1) // not sendable
			case 18:
				return map[string]any{} // not sendable
			default:
				var v any = "deep"
				for range int(next()) {
					v = []any{v}
				}
				return v
			}
		}
		headers := amqp.Table{}
		for i := range min(max(repeat, 0), 200) {
			headers[fmt.Sprint("k", i)] = value(0)
		}
		p := deadLetter(amqp.Delivery{Headers: headers}, "q", "h", "copy", event.Result{Reason: string(data), Error: string(data)}, time.Now(), frameMax)
		if err := p.Headers.Validate(); err != nil {
			t.Fatal(err)
		}
		if size := 8 + 14 + 10 + 7 + 4 + tableSize(p.Headers); size > frameMax {
			t.Fatalf("the frame has %d bytes, more than %d", size, frameMax)
		}
		for k := range headers {
			if _, ok := p.Headers[k]; !ok && p.Headers[headerDropped] == nil {
				t.Fatalf("header %s is dropped without a word", k)
			}
		}
	})
}

// Waiters of a fence share the next call, and nobody is let off by a call that was made before he came:
// his ack may have been written behind it.
func TestFenceBatches(t *testing.T) {
	s, _ := fakeSession(new(fakeAck), "")
	waiter := func() chan error {
		err := make(chan error, 1)
		go func() { err <- s.fence(context.Background()) }()
		return err
	}
	batch := func() (b *fenceBatch) { // as the owner does before its call
		brokertest.Eventually(t, "a token", func() bool { return len(s.fences) == 1 })
		<-s.fences
		s.mu.Lock()
		defer s.mu.Unlock()
		b, s.batch = s.batch, nil
		return b
	}
	began := time.Now()
	first := waiter()
	b := batch()
	second := waiter()
	brokertest.Eventually(t, "another batch", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.batch != nil && s.batch != b })
	if took := time.Since(began); took < settling {
		t.Errorf("the call was asked for after %v; acks may be on their way for %v", took, settling)
	}
	close(b.done)
	if err := <-first; err != nil {
		t.Errorf("fence: %v", err)
	}
	select {
	case err := <-second:
		t.Errorf("a call made before let a waiter off: %v", err)
	default:
	}
	// The session ends before the call has returned.
	batch()
	close(s.done)
	if err := <-second; !errors.Is(err, cmd.ErrDeliveryLost) {
		t.Errorf("fence: %v", err)
	}
	if err := s.fence(context.Background()); !errors.Is(err, cmd.ErrDeliveryLost) {
		t.Errorf("fence of a session that is over: %v", err)
	}
}

// TestRejection: a message that was rejected and comes back as it was begins anew, as another copy.
func TestRejection(t *testing.T) {
	death := func(queue, reason string) amqp.Table {
		return amqp.Table{"queue": queue, "reason": reason, "count": int64(2), "time": time.Unix(1700000000, 0)}
	}
	for _, tt := range []struct {
		deaths  any
		attempt int
		copy    string
	}{
		{nil, 3, "c"},
		{"x", 3, "c"},
		{[]any{"x", death("q.retry.1", "expired"), death("q", "delivery_limit"), death("other", "rejected")}, 3, "c"},
		{[]any{death("q.retry.1", "expired"), death("q", "rejected")}, 1, "crejected-2-1700000000"},
	} {
		d := amqp.Delivery{MessageId: "", Headers: amqp.Table{headerAttempt: int32(3), headerJob: "j", headerCopy: "c", "x-death": tt.deaths}}
		n, id := attempt(d, "q")
		want := map[int]string{1: "", 3: "j"}[tt.attempt]
		if got := copyOf(d, "q"); n != tt.attempt || got != tt.copy || id != want {
			t.Errorf("%v: attempt %d of %q, copy %q; want %d of %q, %q", tt.deaths, n, id, got, tt.attempt, want, tt.copy)
		}
	}
}

// TestAttemptNumber: a number that no attempt can have, and what is no number, counts as absent.
func TestAttemptNumber(t *testing.T) {
	for _, tt := range []struct {
		header any
		want   int
	}{
		{int64(1099511627776), 1},
		{int64(math.MaxInt64), 1},
		{int64(math.MinInt64), 1},
		{int32(math.MaxInt32), 1},
		{int32(-1), 1},
		{int32(0), 1},
		{int32(message.MaxAttempt + 1), 1},
		{int32(message.MaxAttempt), message.MaxAttempt},
		{int64(2), 2},
		{int8(2), 2},
		{int16(2), 2},
		{uint32(2), 2},
		{byte(2), 2},
		{2.0, 1},
		{"2", 1},
		{[]any{int32(2)}, 1},
		{nil, 1},
	} {
		if n, _ := attempt(amqp.Delivery{Headers: amqp.Table{headerAttempt: tt.header}}, "q"); n != tt.want {
			t.Errorf("%T %v: attempt %d, want %d", tt.header, tt.header, n, tt.want)
		}
	}
}

// FuzzHeaders: whatever a stranger writes into the headers that we read, what is made of it is bounded.
func FuzzHeaders(f *testing.F) {
	f.Add(byte(0), int64(1099511627776), "x")
	f.Add(byte(1), int64(-1), strings.Repeat("\xff", 300))
	f.Add(byte(2), int64(3), "")
	f.Fuzz(func(t *testing.T, kind byte, n int64, s string) {
		values := []any{n, int32(n), int16(n), int8(n), byte(n), uint32(n), float64(n), s, []byte(s), []any{n, s}, amqp.Table{s: n}, nil, time.Unix(n, 0)}
		v := values[int(kind)%len(values)]
		h := amqp.Table{}
		for _, k := range []string{headerAttempt, headerJob, headerCopy, headerReason, headerError, headerHost, headerTime, headerQueue, headerReply, headerUser, headerDropped, headerLook, "x-death", "x-delivery-count", "x-first-death-reason"} {
			h[k] = v
		}
		d := amqp.Delivery{Headers: h, ReplyTo: s}
		if got, id := attempt(d, "q"); got < 1 || got > message.MaxAttempt || len(id) > maxText {
			t.Fatalf("attempt %d of an id of %d bytes", got, len(id))
		}
		if c := copyOf(d, "q"); len(c) > maxText {
			t.Fatalf("the copy's mark has %d bytes", len(c))
		}
		h["x-death"] = []any{v, amqp.Table{"queue": "q", "reason": "rejected", "count": v, "time": v}}
		attempt(d, "q")
		copyOf(d, "q")
		r := Received{Message: Message{Headers: h, ReplyTo: s}}
		r.DeadLetter()
		r.Revived()
		p := deadLetter(d, "q", "h", "copy", event.Result{}, time.Unix(0, 0), 8192)
		if size := 8 + 14 + 10 + 7 + len(p.ReplyTo) + 4 + tableSize(p.Headers); size > 8192 && len(s) < 256 {
			t.Fatalf("the frame has %d bytes", size)
		}
	})
}
