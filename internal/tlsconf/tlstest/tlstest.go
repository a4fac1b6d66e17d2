// Package tlstest makes certificates for tests. It panics if it cannot.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A Certificate is a certificate with its key, for this process and as PEM files.
type Certificate struct {
	tls.Certificate
	CertFile, KeyFile string
}

// Key returns the private key.
func (c Certificate) Key() *ecdsa.PrivateKey { return c.PrivateKey.(*ecdsa.PrivateKey) }

// An Authority issues certificates, with their files in a folder.
type Authority struct {
	Certificate
	dir string
}

// New makes an authority. Its own files and those of its certificates are in dir.
func New(dir, name string) *Authority {
	a := &Authority{dir: dir}
	a.Certificate = a.Issue(name, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	return a
}

// Pool has the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Leaf)
	return pool
}

// Issue makes a certificate for a server at 127.0.0.1 or for a client, valid from an hour ago for two hours, unless
// change, if not nil, says otherwise.
func (a *Authority) Issue(name string, change func(*x509.Certificate)) Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(c)
	}
	parent, parentKey := a.Leaf, key
	if parent == nil {
		parent = c
	} else {
		parentKey = a.Key()
	}
	der := must(x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey))
	return Certificate{
		tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))},
		a.write(name+".pem", "CERTIFICATE", der), a.write(name+"-key.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))),
	}
}

func (a *Authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		panic(err)
	}
	return path
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
