// Package tlsconf reads the files for TLS to a server, and says why TLS failed.
package tlsconf

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Config returns a client's TLS configuration from PEM files. Each name may be "".
//
// caFile holds the authorities that verify the server's certificate. Without it the system's authorities are used.
// certFile and keyFile are the client's own certificate and key.
//
// If a named file cannot be used, the error names it. A mistyped name never leads to an unverified connection.
func Config(caFile, certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA certificate: %s holds no PEM certificate", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("client certificate: the certificate and its key are needed together, and only one is given")
	}
	if certFile == "" {
		return config, nil
	}
	// Reading is separate from parsing because LoadX509KeyPair's parse errors name no file.
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("client key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %s with key %s: %w", certFile, keyFile, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// Fault says why one side refused the other's certificate or TLS, and what to do. It returns "" for other errors. Under
// TLS 1.3 the first read may be what returns the error: a server refuses the client's certificate only after the client
// has finished its handshake.
func Fault(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &authority):
		return fmt.Sprintf("its certificate is not trusted (%v); check the CA certificate", authority)
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is for another address (%v)", name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("its certificate is not valid (%v); renew it, or set this machine's clock", invalid)
	case errors.As(err, &other):
		return fmt.Sprintf("its certificate is not valid (%v)", other.Err)
	case !refused(err):
		return ""
	case strings.Contains(err.Error(), "protocol version"):
		return fmt.Sprintf("it refused TLS 1.2 and newer (%v); switch one of them on there", err)
	}
	return fmt.Sprintf("it refused the TLS connection (%v); check the client certificate and its key", err)
}

// Speaks reports whether the server at the other end of a new connection speaks TLS.
func Speaks(ctx context.Context, conn net.Conn) bool {
	// The server need not be trusted: no data is sent.
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	return err == nil || errors.As(err, new(tls.AlertError)) || refused(err)
}

// refused reports whether the server sent a TLS alert, such as "bad certificate".
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
