package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/tlsconf/tlstest"
)

// Certificates with a fault each.
var (
	expired   = func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early     = func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }
	elsewhere = func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"server.example"} }
	nameless  = func(c *x509.Certificate) { c.IPAddresses, c.Subject.CommonName = nil, "127.0.0.1" }
	noServer  = func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
)

// What both servers' errors say of a fault. Three dots stand for what differs.
const (
	renew          = "renew it, or set this machine's clock"
	unknownCA      = "its certificate is not trusted (x509: certificate signed by unknown authority...); check the CA certificate"
	isExpired      = "its certificate is not valid (x509: certificate has expired or is not yet valid: current time ... is after ...); " + renew
	isEarly        = "its certificate is not valid (x509: certificate has expired or is not yet valid: current time ... is before ...); " + renew
	isElsewhere    = "its certificate is for another address (x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs)"
	isNameless     = "its certificate is for another address (x509: certificate relies on legacy Common Name field, use SANs instead)"
	isNoServer     = "its certificate is not valid (x509: certificate specifies an incompatible key usage)"
	demandsClient  = "it refused the TLS connection (remote error: tls: certificate required); check the client certificate and its key"
	refusesClient  = "it refused the TLS connection (remote error: tls: unknown certificate authority); check the client certificate and its key"
	clientExpired  = "it refused the TLS connection (remote error: tls: expired certificate); check the client certificate and its key"
	handshakeFails = "it refused the TLS connection (remote error: tls: handshake failure); check the client certificate and its key"
	onlyOld        = "it refused TLS 1.2 and newer (remote error: tls: protocol version not supported); switch one of them on there"
)

const (
	engineTLSHint = "TLS is on with --tlsverify, DOCKER_TLS_VERIFY, https:// or any of the files; " +
		"--tlscacert names the CA that signed the engine's certificate, which must be for the host in the address; --tlscert and --tlskey are what the engine is shown"
	engineFilesHint = "--tlscacert, --tlscert and --tlskey name PEM files; DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem"
	brokerTLSHint   = "?cacertfile=FILE in the broker's address names the CA that signed the broker's certificate, " +
		"which must be for the host in the address, or for server_name_indication=NAME; certfile= and keyfile= are what the broker is shown"
	mechanismHint = "the broker's auth_mechanisms must have one of those in the address; EXTERNAL needs its plugin rabbitmq_auth_mechanism_ssl, " +
		"certfile and keyfile in the address, and a user with the name in that certificate; the broker's log has the reason"
	notAMQPHint = "check host and port of the broker's address; brokers take AMQP on port 5672, with TLS on 5671"
)

// says reports whether the text is want, in which three dots stand for anything.
func says(text, want string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, ".*") + "$").MatchString(text)
}

// ends checks that a program ends with code 2, and with this error and hint as its last lines.
func (p *process) ends(message, hint string) {
	p.l.t.Helper()
	code := p.wait()
	if lines := strings.Split(strings.TrimSpace(p.log()), "\n"); code != 2 || len(lines) < 2 ||
		!says(lines[len(lines)-2], "docker-dispatch: error: "+message) || lines[len(lines)-1] != "hint: "+hint {
		p.l.t.Errorf("exit %d\n%s\nwant: %s\nhint: %s", code, p.log(), message, hint)
	}
}

// TestTLSFiles: a file that cannot be used is named before any server is asked.
func TestTLSFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := tlstest.New(dir, "ca")
	client, server := ca.Issue("client", nil), ca.Issue("server", nil)
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := "client certificate " + client.CertFile + " with key "
	for _, tt := range []struct{ ca, cert, key, want string }{
		{ca: "/no/ca.pem", want: "CA certificate: open /no/ca.pem: no such file or directory"},
		{ca: dir, want: "CA certificate: read " + dir + ": is a directory"},
		{ca: junk, want: "CA certificate: " + junk + " holds no PEM certificate"},
		{ca: client.KeyFile, want: "CA certificate: " + client.KeyFile + " holds no PEM certificate"},
		{cert: "/no/cert.pem", key: client.KeyFile, want: "client certificate: open /no/cert.pem: no such file or directory"},
		{cert: client.CertFile, key: "/no/key.pem", want: "client key: open /no/key.pem: no such file or directory"},
		{cert: junk, key: client.KeyFile,
			want: "client certificate " + junk + " with key " + client.KeyFile + ": tls: failed to find any PEM data in certificate input"},
		{cert: client.CertFile, key: junk, want: pair + junk + ": tls: failed to find any PEM data in key input"},
		{cert: client.CertFile, key: client.CertFile,
			want: pair + client.CertFile + ": tls: found a certificate rather than a key in the PEM for the private key"},
		{cert: client.CertFile, key: server.KeyFile, want: pair + server.KeyFile + ": tls: private key does not match public key"},
		{cert: client.CertFile, want: "client certificate: the certificate and its key are needed together, and only one is given"},
		{key: client.KeyFile, want: "client certificate: the certificate and its key are needed together, and only one is given"},
	} {
		query := url.Values{}
		var options []string
		for _, f := range []struct{ option, parameter, file string }{
			{"--tlscacert", "cacertfile", tt.ca}, {"--tlscert", "certfile", tt.cert}, {"--tlskey", "keyfile", tt.key},
		} {
			if f.file != "" {
				options = append(options, f.option, f.file)
				query.Set(f.parameter, f.file)
			}
		}
		broker := "amqps://127.0.0.1?" + query.Encode()
		fault := func(message, hint string) string {
			return "docker-dispatch: error: " + message + "\nhint: " + hint + "\n"
		}
		toEngine, toBroker := fault(tt.want, engineFilesHint), fault("no TLS to the broker: "+tt.want, brokerTLSHint)
		for _, c := range []struct {
			args []string
			want string
		}{
			{append(options, "-q", "q", "127.0.0.1:2376"), toEngine},
			{[]string{"-q", "q", "127.0.0.1:2375", broker}, toBroker},
			{[]string{"send", "-q", "q", "--amqp", broker}, toBroker},
			{[]string{"run", "-q", "q", "--amqp", broker, "busybox"}, toBroker},
		} {
			if stdout, stderr, _ := call("", nil, c.args...); stdout != "" || stderr != c.want {
				t.Errorf("%q: %s\nwant: %s", c.args, stderr, c.want)
			}
		}
	}
}

// engineTLS serves the engine's API with TLS of at most that version until the test ends, as an engine with --tlsverify
// does: with net/http.
func (l *lab) engineTLS(ca *tlstest.Authority, change func(*x509.Certificate), version uint16) (address string) {
	l.t.Helper()
	s := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(l.dockerHost, "unix://"))
		}, DisableKeepAlives: true},
	})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Issue("server", change).Certificate}, MaxVersion: version,
		ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	s.StartTLS()
	l.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestEngineTLS: what is wrong with TLS to the engine ends the program at its start, and is said.
func TestEngineTLS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ca, other := tlstest.New(t.TempDir(), "ca"), tlstest.New(t.TempDir(), "ca")
	serve := func(change func(*x509.Certificate)) string { return l.engineTLS(ca, change, tls.VersionTLS13) }
	with := func(ca *tlstest.Authority, c tlstest.Certificate) []string {
		return []string{"--tlscacert", ca.CertFile, "--tlscert", c.CertFile, "--tlskey", c.KeyFile}
	}
	client := ca.Issue("client", nil)
	good := serve(nil)
	const speaksTLS = "it speaks TLS on this port; switch TLS on, or use its plain port, usually 2375"
	const speaksPlain = "it does not speak TLS on this port; switch TLS off, or use its TLS port, usually 2376"
	for _, tt := range []struct {
		name, address string
		options       []string
		want          string
	}{
		{"good", good, with(ca, client), ""},
		{"unknown CA", good, with(other, client), unknownCA},
		{"the system's CAs", good, []string{"--tlsverify"}, unknownCA},
		{"https", "https://" + good, nil, unknownCA},
		{"expired", serve(expired), with(ca, client), isExpired},
		{"not yet valid", serve(early), with(ca, client), isEarly},
		{"another name", serve(elsewhere), with(ca, client), isElsewhere},
		{"no name", serve(nameless), with(ca, client), isNameless},
		{"not for a server", serve(noServer), with(ca, client), isNoServer},
		{"no client certificate", good, []string{"--tlscacert", ca.CertFile}, demandsClient},
		{"another CA's client", good, with(ca, other.Issue("client", nil)), refusesClient},
		{"expired client", good, with(ca, ca.Issue("old", expired)), clientExpired},
		{"TLS 1.1", l.engineTLS(ca, nil, tls.VersionTLS11), with(ca, client), onlyOld},
		{"TLS to plain", brokertest.Required(t, "DISPATCH_TEST_TCP"), with(ca, client), speaksPlain},
		{"plain to TLS", good, nil, speaksTLS},
		{"plain to a TLS proxy", brokertest.Required(t, "DISPATCH_TEST_TLS"), nil, speaksTLS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := l.startExactly(program(t, append(tt.options, "-q", l.queue, tt.address, l.amqpURL)...))
			if tt.want != "" {
				p.ends("cannot reach the docker engine at tcp://"+strings.TrimPrefix(tt.address, "https://")+": "+tt.want, engineTLSHint)
				return
			}
			p.awaitLog("taking messages")
			if code := p.stop(); code != 0 {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// brokerTLS has the broker itself listen on a further port, with TLS, until the test ends.
func brokerTLS(t *testing.T, ca *tlstest.Authority, change func(*x509.Certificate), options string) (address string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	server := ca.Issue("server", change)
	key, err := x509.MarshalECPrivateKey(server.Key())
	if err != nil {
		t.Fatal(err)
	}
	der := func(b []byte) string {
		return fmt.Sprintf(`base64:decode(<<"%s">>)`, base64.StdEncoding.EncodeToString(b))
	}
	listener := fmt.Sprintf(`{"127.0.0.1", %d, inet}`, free.Addr().(*net.TCPAddr).Port)
	got := brokertest.Eval(t, `{ok, _} = application:ensure_all_started(ssl), rabbit_networking:start_ssl_listener(%s,
		[{cert, %s}, {key, {'ECPrivateKey', %s}}, {cacerts, [%s]}, {verify, verify_peer} | %s], 1)`,
		listener, der(server.Certificate.Certificate[0]), der(key), der(ca.Leaf.Raw), options)
	if got != "ok" {
		t.Fatal(got)
	}
	t.Cleanup(func() { brokertest.Eval(t, "rabbit_networking:stop_tcp_listener(%s)", listener) })
	return free.Addr().String()
}

// TestBrokerTLS: what is wrong with TLS to the broker ends each of the commands at its start, and is said.
func TestBrokerTLS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ca, other := tlstest.New(t.TempDir(), "ca"), tlstest.New(t.TempDir(), "ca")
	client, none := ca.Issue("client", nil), tlstest.Certificate{}
	named := ca.Issue("named-"+l.serial, nil)
	user := brokertest.NamedUser(t, "CN=named-"+l.serial)
	user.Permit(".*", ".*", ".*")
	enable(t, "rabbitmq_auth_mechanism_ssl")
	// These settings concern no other connection: EXTERNAL is offered only over TLS.
	brokertest.Eval(t, `{ok, M} = application:get_env(rabbit, auth_mechanisms),
		application:set_env(rabbit, ssl_options, [{verify, verify_peer}]),
		application:set_env(rabbit, auth_mechanisms, lists:usort(['EXTERNAL' | M]))`)
	with := func(ca *tlstest.Authority, c tlstest.Certificate, more string) string {
		if c.CertFile != "" {
			more += "&certfile=" + c.CertFile + "&keyfile=" + c.KeyFile
		}
		return "?cacertfile=" + ca.CertFile + more
	}
	const demand = "[{fail_if_no_peer_cert, true}]"
	serve := func(change func(*x509.Certificate)) string { return brokerTLS(t, ca, change, demand) }
	good, asking := serve(nil), brokerTLS(t, ca, nil, "[]")
	old := brokerTLS(t, ca, nil, "[{versions, ['tlsv1.2']}, {fail_if_no_peer_cert, true}]")
	renamed := serve(elsewhere)
	u, err := url.Parse(l.amqpURL)
	if err != nil {
		t.Fatal(err)
	}
	tcp, engine := u.Host, brokertest.Required(t, "DISPATCH_TEST_TCP")
	const noTLS = "no TLS to the broker: "
	const speaksTLS = "the server does not speak AMQP in plain text: it speaks TLS; write amqps:// for a broker's port with TLS"
	const refusesName = "login refused: EXTERNAL, with the name in the client certificate"
	for _, tt := range []struct {
		name, address, parameters string
		want, hint                string // "": it takes messages
	}{
		{"good", good, with(ca, client, ""), "", ""},
		{"TLS 1.2", old, with(ca, client, ""), "", ""},
		{"another name, given", renamed, with(ca, client, "&server_name_indication=server.example"), "", ""},
		{"EXTERNAL", good, with(ca, named, "&auth_mechanism=external"), "", ""},
		{"EXTERNAL first", good, with(ca, named, "&auth_mechanism=external&auth_mechanism=plain"), "", ""},
		{"EXTERNAL, no such user", good, with(ca, client, "&auth_mechanism=external"), refusesName, mechanismHint},
		// Some brokers offer EXTERNAL all the same, and refuse the login.
		{"EXTERNAL without a certificate", asking, with(ca, none, "&auth_mechanism=external"), "login refused: ...", mechanismHint},
		{"EXTERNAL without TLS", "amqp://" + tcp, "?auth_mechanism=external",
			"login refused: the broker offers none of the auth_mechanisms of the address", mechanismHint},
		{"unknown CA", good, with(other, client, ""), noTLS + unknownCA, brokerTLSHint},
		{"the system's CAs", good, "", noTLS + unknownCA, brokerTLSHint},
		{"expired", serve(expired), with(ca, client, ""), noTLS + isExpired, brokerTLSHint},
		{"not yet valid", serve(early), with(ca, client, ""), noTLS + isEarly, brokerTLSHint},
		{"another name", renamed, with(ca, client, ""), noTLS + isElsewhere, brokerTLSHint},
		{"no name", serve(nameless), with(ca, client, ""), noTLS + isNameless, brokerTLSHint},
		{"not for a server", serve(noServer), with(ca, client, ""), noTLS + isNoServer, brokerTLSHint},
		{"no client certificate", good, with(ca, none, ""), noTLS + demandsClient, brokerTLSHint},
		{"no client certificate, TLS 1.2", old, with(ca, none, ""), noTLS + handshakeFails, brokerTLSHint},
		{"another CA's client", good, with(ca, other.Issue("client", nil), ""), noTLS + refusesClient, brokerTLSHint},
		{"expired client", good, with(ca, ca.Issue("old", expired), ""), noTLS + clientExpired, brokerTLSHint},
		{"TLS 1.1", brokerTLS(t, ca, nil, "[{versions, ['tlsv1.1']}]"), with(ca, client, ""), noTLS + onlyOld, brokerTLSHint},
		{"TLS to plain", tcp, with(ca, client, ""), "the server speaks AMQP without TLS on this port; write amqp://", notAMQPHint},
		{"TLS to an engine", engine, with(ca, client, ""), "the server does not speak AMQP: it is an HTTP server...", notAMQPHint},
		{"plain to TLS", "amqp://" + good, "", speaksTLS, notAMQPHint},
		{"plain to TLS 1.2", "amqp://" + old, "", speaksTLS, notAMQPHint},
	} {
		if newer := l.broker.Version() >= "4"; newer && (tt.name == "TLS 1.1" || tt.name == "EXTERNAL without a certificate") {
			continue // its Erlang has no TLS 1.1, and it demands a certificate where one is needed
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := strings.TrimPrefix(tt.address, "amqp://")
			scheme, user := "amqps://", "guest:guest@"
			if host != tt.address {
				scheme = "amqp://"
			}
			if strings.Contains(tt.parameters, "external") {
				user = ""
			}
			broker := scheme + user + host + tt.parameters
			p := l.startExactly(program(t, "-q", l.queue, l.dockerHost, broker))
			if tt.want == "" {
				p.awaitLog("taking messages")
				if code := p.stop(); code != 0 {
					t.Errorf("exit %d", code)
				}
				return
			}
			want := host + ": " + tt.want
			p.ends(want, tt.hint)
			for _, args := range [][]string{{"send"}, {"run", "busybox"}} {
				args = append([]string{args[0], "-q", l.queue, "--amqp", broker}, args[1:]...)
				_, stderr, code := call(`{"Dockercmd": "pull", "Image": "a"}`, nil, args...)
				if code == 0 || !says(strings.ReplaceAll(stderr, "\n", " "), "..."+want+"...") || !strings.Contains(stderr, "\nhint: "+tt.hint+"\n") {
					t.Errorf("%q: exit %d\n%s", args, code, stderr)
				}
			}
		})
	}
}
