package dockerapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig returns a client's TLS configuration from PEM files. Each name may be "".
//
// caFile holds the authorities that verify the engine's certificate. Without it the system's authorities are used.
// certFile and keyFile are the client's own certificate and key.
// If verify is false, the engine's certificate is not checked and caFile is not read.
// Anyone on the network path can then read and change all traffic.
//
// If a named file cannot be used, the error names it. A mistyped name never leads to an unverified connection.
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

// http1Only returns the ALPN offer. Engines from 29.2 choose h2 if it is offered, and HTTP/2 cannot hijack
// a connection for attach.
func http1Only() []string { return []string{"http/1.1"} }
