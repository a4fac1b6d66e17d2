package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

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
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, nil, 0, ErrTLS},
		{errors.New("tls: first record does not look like a TLS handshake"), nil, 0, nil},
		{syscall.ECONNREFUSED, nil, 0, nil},
	}
	for _, tt := range tests {
		got := explainDial(tt.err, "u", "v", tt.read, tt.took)
		if tt.want == nil && Fatal(got) || tt.want != nil && !errors.Is(got, tt.want) {
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
		got := ExplainQueue(tt.err, "q", "read permission")
		if tt.want == nil && Fatal(got) || tt.want != nil && !errors.Is(got, tt.want) {
			t.Errorf("explainQueue(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestAckTimedOut(t *testing.T) {
	e := server(406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. This timeout value can be configured, see consumers doc guide to learn more")
	if ms, ok := ackTimedOut(Plain(e)); !ok || ms != 1800000 {
		t.Errorf("ackTimedOut = %d, %v", ms, ok)
	}
	if _, ok := ackTimedOut(server(406, "PRECONDITION_FAILED - unknown delivery tag 3")); ok {
		t.Error("an unknown tag is taken for a timeout")
	}
	var book strings.Builder
	r := Reporter{Log: slog.New(slog.NewTextHandler(&book, nil)), Lost: "lost", Back: "back"}
	r.Fail(Plain(e))
	if s := book.String(); !strings.Contains(s, "timeout_ms=1800000") || !strings.Contains(s, "consumer_timeout") {
		t.Errorf("logged: %s", s)
	}
}
