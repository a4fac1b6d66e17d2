package dockerapi

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// The wrong ends of TLS, each with the sentence that says what to do.
func TestTLSMistakes(t *testing.T) {
	certs := testCerts()
	handler := func(w http.ResponseWriter, r *http.Request) { answerPing(w, r) }
	config := func(ca, cert, key string) *tls.Config {
		c, err := tlsconf.Config(ca, cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	good := config(certs.ca, certs.clientCert, certs.clientKey)
	wrongName := good.Clone()
	wrongName.ServerName = "engine.example"
	for _, test := range []struct {
		name, network string
		config        *tls.Config
		want          string
	}{
		{"good", "tls", good, ""},
		{"unknown CA", "tls", config(certs.otherCA, certs.clientCert, certs.clientKey), "certificate is not trusted"},
		{"wrong name", "tls", wrongName, "for another address"},
		{"no client certificate", "tls", config(certs.ca, "", ""), "check the client certificate"},
		{"client certificate of a stranger", "tls", config(certs.ca, certs.strayCert, certs.strayKey), "check the client certificate"},
		{"plain to TLS", "tls", nil, "it speaks TLS on this port"},
		{"TLS to plain", "tcp", good, "it does not speak TLS on this port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := serve(t, test.network, handler).Host()
			host.tls = false
			c := newClient(t, host, Options{TLS: test.config})
			_, err := c.Ping(background(t))
			// A long call takes another way to the same sentence.
			c.pinned = "1.41"
			_, longErr := c.WaitContainer(background(t), "x", NextExit)
			if test.want == "" {
				if err != nil || longErr != nil {
					t.Fatal(err, longErr)
				}
				return
			}
			for _, err := range []error{err, longErr} {
				if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), host.dialAddress()) {
					t.Errorf("%v; want %q", err, test.want)
				}
			}
		})
	}
}

// A server other than Go's answers plain HTTP on its TLS port with an alert.
func TestPlainToForeignTLS(t *testing.T) {
	c := script(t, "tcp", say("\x15\x03\x01\x00\x02\x02\x46"))
	for _, err := range []error{
		errOf(c.InspectContainer(background(t), "x")),
		errOf(c.WaitContainer(background(t), "x", NextExit)),
	} {
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "it speaks TLS on this port") {
			t.Error(err)
		}
	}
}

// https:// with no configuration trusts the system, and so not us.
func TestHTTPSWithoutConfig(t *testing.T) {
	host := serve(t, "tls", func(w http.ResponseWriter, r *http.Request) { answerPing(w, r) }).Host()
	c := newClient(t, mustHost(t, "https://"+host.dialAddress()), Options{})
	if _, err := c.Ping(background(t)); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Error(err)
	}
}

// HTTP/2 would make attach impossible: the engine offers it, we must not take
// it, whatever the caller's configuration says.
func TestNoHTTP2(t *testing.T) {
	l, host, o := listen(t, "tls")
	defer l.Close()
	o.TLS.NextProtos = []string{"h2"}
	proto := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			proto <- err.Error()
			return
		}
		defer conn.Close()
		_, err = http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\n\r\n")
		}
		proto <- conn.(*tls.Conn).ConnectionState().NegotiatedProtocol
	}()
	if _, err := newClient(t, host, o).Ping(background(t)); err != nil {
		t.Error(err)
	}
	if got := <-proto; got != "http/1.1" {
		t.Errorf("protocol %q", got)
	}
}
