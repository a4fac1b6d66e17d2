// Command tlsfront gives the test engine a TCP port with mutual TLS: dockerd has TLS on all of its TCP ports or on none. It
// relays bytes, and the end of each direction separately, as the engine's own port does. It knows nothing of HTTP.
//
//	tlsfront ADDRESS CERTIFICATES SOCKET
package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	if len(os.Args) != 4 {
		log.Fatal("usage: tlsfront ADDRESS CERTIFICATES SOCKET")
	}
	log.Fatal(serve(os.Args[1], os.Args[2], os.Args[3]))
}

func serve(address, dir, socket string) error {
	config, err := tlsconf.Config(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	if err != nil {
		return err
	}
	config.ClientCAs, config.ClientAuth = config.RootCAs, tls.RequireAndVerifyClientCert
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go relay(conn.(*tls.Conn), socket)
	}
}

// relay joins one connection to the engine until both directions have ended.
func relay(client *tls.Conn, socket string) {
	defer client.Close()
	if err := client.Handshake(); err != nil {
		log.Printf("%s: %v", client.RemoteAddr(), err)
		return
	}
	engine, err := net.Dial("unix", socket)
	if err != nil {
		log.Printf("%s: %v", client.RemoteAddr(), err)
		return
	}
	defer engine.Close()

	var both sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if err == nil {
			err = to.(interface{ CloseWrite() error }).CloseWrite()
		}
		if err != nil { // broken, not ended: the other direction is broken too
			client.NetConn().Close()
			engine.Close()
		}
	}
	both.Go(func() { pass(engine, client) })
	both.Go(func() { pass(client, engine) })
	both.Wait()
}
