package dockerapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig makes the TLS configuration of a client from PEM files, each of
// which may be "".
//
// caFile holds the authorities that the engine's certificate is checked with;
// without it those of the system are used. certFile and keyFile are the
// client's own certificate and key. With verify false the engine's certificate
// is not checked and caFile not read: anyone on the way can then read and
// change everything.
//
// A file that was named and cannot be used is an error naming it, so that a
// typing mistake never ends in an unverified connection.
func TLSConfig(caFile, certFile, keyFile string, verify bool) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: !verify,
		NextProtos:         http1Only(),
	}
	if verify && caFile != "" {
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
	// Read apart from parsing, because LoadX509KeyPair's parse errors do not
	// name a file.
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

// http1Only is the ALPN offer. Engines from 29.2 take h2 where it is offered,
// and HTTP/2 has no way to hijack a connection for attach.
func http1Only() []string { return []string{"http/1.1"} }
