package wire

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

func TestReporter(t *testing.T) {
	book := new(strings.Builder)
	count := func(s string) int { return strings.Count(book.String(), s) }
	r := Reporter{Log: slog.New(slog.NewTextHandler(book, nil)), Lost: "lost", Back: "back"}
	r.Well() // nothing was wrong
	for range 3 {
		r.Fail(server(320, "CONNECTION_FORCED - bye"))
		r.Fail(errors.New("read tcp 127.0.0.1:41234->127.0.0.1:5672: connection reset by peer"))
		r.Fail(errors.New("dial tcp 127.0.0.1:5672: connect: connection refused"))
		r.Fail(io.EOF)
		r.Fail(Plain(amqp.ErrClosed))
	}
	if count("msg=lost") != 1 {
		t.Errorf("one outage is logged as\n%s", book)
	}
	r.Fail(fmt.Errorf("%w: %q", ErrNoQueue, "q1"))
	r.Fail(errors.New("lookup broker: no such host"))
	if count("msg=lost") != 2 || count("queue unavailable") != 1 {
		t.Errorf("another error is logged as\n%s", book)
	}
	r.Well()
	r.Well()
	r.Fail(io.EOF)
	if count("msg=back") != 1 || count("msg=lost") != 3 {
		t.Errorf("the next outage is logged as\n%s", book)
	}
	for _, refusal := range []error{
		server(403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"),
		server(530, "NOT_ALLOWED - access to vhost '/' refused for user 'u': connection limit (1) is reached"),
		server(530, "NOT_ALLOWED - number of channels opened (16) has reached the negotiated channel_max (16)"),
	} {
		r.Well()
		before := count("broker refuses, waiting")
		r.Fail(Plain(refusal))
		if count("broker refuses, waiting") != before+1 || count("msg=lost") != 3 {
			t.Errorf("%v is logged as\n%s", refusal, book)
		}
	}
	r.Well()
	r.Fail(server(541, "INTERNAL_ERROR"))
	if count("msg=lost") != 4 {
		t.Errorf("a broker that is broken is logged as\n%s", book)
	}
	second := Reporter{Log: r.Log, Lost: "second lost", Back: "second back", Second: true}
	second.Fail(io.EOF)
	second.Well()
	if count("second") != 0 {
		t.Errorf("what the first connection says is logged twice\n%s", book)
	}
	second.Fail(fmt.Errorf("%w: q", ErrNoQueue))
	second.Well()
	if count("queue unavailable") != 2 || count("second back") != 1 {
		t.Errorf("its own trouble is logged as\n%s", book)
	}
}
