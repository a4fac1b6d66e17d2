package amqpsrc

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// TestNotAMQP: what speaks something else at the broker's address is said at once, and in words for a person.
func TestNotAMQP(t *testing.T) {
	t.Parallel()
	engine := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(engine.Close)
	withTLS := httptest.NewTLSServer(http.NotFoundHandler())
	withTLS.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(withTLS.Close)
	for _, tt := range []struct {
		name, banner, want string
	}{
		{"HTTP", "", "it is an HTTP server"},
		{"HTTP over TLS", "", "does not speak AMQP in plain text: it speaks TLS; write amqps://"},
		{"amqps, HTTP", "", "it is an HTTP server"},
		{"amqps, AMQP", "AMQP\x00\x00\x09\x01", "the server speaks AMQP without TLS on this port; write amqp://"},
		{"amqps, SSH", "SSH-2.0-OpenSSH_9.2\r\n", `it does not speak TLS, and says "SSH-2"`},
		{"AMQP 1.0", "AMQP\x00\x01\x00\x00", `it offers "AMQP\x00\x01\x00\x00"`},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n", `it says "SSH-2.0-OpenSSH_9.2\r\n"`},
		{"a short word", "+\n", `it says "+\n"`},
		{"TLS", "\x15\x03\x03\x00\x02\x02\x28", "does not speak AMQP in plain text: it speaks TLS; write amqps://"},
		{"binary", "\x00\xff\x1b[2J\x00\x00\x00\x00\x00", `it says "\x00`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := engine.Listener.Addr().String()
			if tt.name == "HTTP over TLS" {
				address = withTLS.Listener.Addr().String()
			}
			if tt.banner != "" {
				address = says(t, tt.banner)
			}
			scheme := "amqp://"
			if strings.HasPrefix(tt.name, "amqps") {
				scheme = "amqps://"
			}
			_, err := client.Connect(context.Background(), client.Config{URL: scheme + address})
			if !errors.Is(err, wire.ErrNotAMQP) || !wire.Fatal(err) || !strings.HasPrefix(err.Error(), address+": ") || !strings.Contains(err.Error(), tt.want) || strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("%v", err)
			}
		})
	}
}

// says is the address of a server that says one thing to whoever comes, and waits for more.
func says(t *testing.T, text string) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			conn.Write([]byte(text))
		}
	}()
	return ln.Addr().String()
}
