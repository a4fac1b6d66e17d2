package tlsconf

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf/tlstest"
)

// TestSpeaks: a server that refuses clients without a certificate speaks TLS too. TLS 1.2 refuses them within the handshake.
func TestSpeaks(t *testing.T) {
	ca := tlstest.New(t.TempDir(), "ca")
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if version == 0 {
				conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				return
			}
			tls.Server(conn, &tls.Config{
				MaxVersion: version, Certificates: []tls.Certificate{ca.Issue("server", nil).Certificate},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
			}).Handshake()
		}()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := Speaks(context.Background(), conn); got != (version != 0) {
			t.Errorf("%s: %v", tls.VersionName(version), got)
		}
	}
}
