package wire

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

const (
	defaultHeartbeat = 10 * time.Second
	defaultTimeout   = 30 * time.Second
)

// An address is an AMQP URI taken apart.
type address struct {
	host, port     string
	User, Password string
	VHost          string
	heartbeat      time.Duration
	timeout        time.Duration // for a dial, from TCP to the end of setup
	channelMax     uint16
	mechanisms     []string // upper case

	tls                       bool
	serverName                string
	caFile, certFile, keyFile string
}

// CheckURL returns an error that says what is wrong with an AMQP URI, without any part of the password. It reads the
// files that the URI names. CheckURL is stricter than the library. The library would send a user without a password with
// the password "guest", and ignore a mistyped parameter. If a password has an unescaped / or #, the library would take
// half of it as the host.
func CheckURL(url string) error {
	a, err := ParseURL(url)
	if err != nil || !a.tls {
		return err
	}
	_, err = a.tlsConfig()
	return err
}

// Redact returns an AMQP URI for logs, without the password. If the password cannot be located, it returns no part
// of the URI.
func Redact(raw string) string {
	if _, err := ParseURL(raw); err != nil {
		return "(unreadable AMQP address)"
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable AMQP address)"
	}
	return u.Redacted()
}

const escapeHint = "in a user name, a password or a vhost the characters / ? # % @ : must be written as %2F %3F %23 %25 %40 %3A"

// ParseURL parses an AMQP URI. It never returns errors of net/url, because they quote the URI with the password.
func ParseURL(raw string) (address, error) {
	var none address
	if raw == "" {
		return none, errors.New("the AMQP address is empty; it has the form amqp://user:password@host:5672/vhost")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return none, errors.New("the AMQP address has a space or a control character in it")
	}
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" {
		return none, errors.New("the AMQP address must begin with amqp:// or amqps://")
	}
	if scheme != "amqp" && scheme != "amqps" {
		return none, fmt.Errorf("the AMQP address has the scheme %q; it must be amqp or amqps", scheme)
	}
	// The authority ends at the first / ? or #. A later @ means that it ended too early.
	if i := strings.IndexAny(rest, "/?#"); i >= 0 && strings.Contains(rest[i:], "@") {
		return none, errors.New("the AMQP address has an @ after its first / ? or #: " + escapeHint)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return none, errors.New("the AMQP address cannot be read: the port must be a number, and " + escapeHint)
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		return none, errors.New("the AMQP address has a # in it: " + escapeHint)
	}
	if strings.Contains(u.Host, ",") {
		return none, errors.New("the AMQP address names several hosts; give one (put a load balancer or a DNS name before a cluster)")
	}
	if u.Hostname() == "" {
		return none, errors.New("the AMQP address names no host")
	}
	a := address{
		host:      u.Hostname(),
		port:      u.Port(),
		User:      "guest",
		Password:  "guest",
		VHost:     "/",
		heartbeat: defaultHeartbeat,
		timeout:   defaultTimeout,
		tls:       u.Scheme == "amqps",
	}
	switch {
	case a.port != "":
		if n, err := strconv.Atoi(a.port); err != nil || n < 1 || n > 65535 {
			return none, errors.New("the AMQP address has a port that is not in 1 to 65535")
		}
	case a.tls:
		a.port = "5671"
	default:
		a.port = "5672"
	}
	if len(u.Path) > 1 {
		a.VHost = u.Path[1:]
	}
	if len(a.VHost) > 255 {
		return none, errors.New("the AMQP address has a vhost of more than 255 bytes")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return none, errors.New("the AMQP address has parameters after its ? that cannot be read")
	}
	if err := a.parameters(query); err != nil {
		return none, err
	}
	if len(a.mechanisms) == 0 {
		a.mechanisms = []string{"PLAIN"}
	}
	if u.User != nil {
		password, given := u.User.Password()
		a.User, a.Password = u.User.Username(), password
		switch {
		case a.User == "":
			return none, errors.New("the AMQP address has no user name before its @")
		case !given && !a.external():
			return none, errors.New("the AMQP address has a user name without a password; write user:password@, or user:@ for an empty one")
		}
	}
	return a, nil
}

// mayBeShown reports whether a parameter's name looks like one. Other text may be a part of the password.
func mayBeShown(key string) bool {
	return key != "" && len(key) <= 40 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// parameters reads the parameters after the ? of a URI.
func (a *address) parameters(query url.Values) error {
	for key, values := range query {
		if len(values) > 1 && key != "auth_mechanism" {
			if mayBeShown(key) {
				return fmt.Errorf("the AMQP address has the parameter %s twice", key)
			}
			return errors.New("the AMQP address has a parameter twice")
		}
		value := values[0]
		switch key {
		case "heartbeat":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return errors.New("the AMQP address has a heartbeat that is not a number of seconds, 0 to 65535")
			}
			a.heartbeat = time.Duration(n) * time.Second
		case "connection_timeout":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || n == 0 {
				return errors.New("the AMQP address has a connection_timeout that is not a number of milliseconds, 1 or more")
			}
			a.timeout = time.Duration(n) * time.Millisecond
		case "channel_max":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil || n > 0 && n < ChannelsNeeded {
				return fmt.Errorf("the AMQP address has a channel_max that is not 0 or a number from %d to 65535", ChannelsNeeded)
			}
			a.channelMax = uint16(n)
		case "auth_mechanism":
			for _, m := range values {
				switch m = strings.ToUpper(m); m {
				case "PLAIN", "AMQPLAIN", "EXTERNAL":
					a.mechanisms = append(a.mechanisms, m)
				default:
					return errors.New("the AMQP address has an auth_mechanism that is not plain, amqplain or external")
				}
			}
		case "cacertfile":
			a.caFile = value
		case "certfile":
			a.certFile = value
		case "keyfile":
			a.keyFile = value
		case "server_name_indication":
			a.serverName = value
		default:
			if mayBeShown(key) {
				return fmt.Errorf("the AMQP address has the unknown parameter %s; known are heartbeat, connection_timeout, "+
					"channel_max, auth_mechanism, cacertfile, certfile, keyfile and server_name_indication", key)
			}
			return errors.New("the AMQP address has an unknown parameter after its ?; " + escapeHint)
		}
	}
	if !a.tls && (a.caFile != "" || a.certFile != "" || a.keyFile != "" || a.serverName != "") {
		return errors.New("the AMQP address has parameters for TLS, but is not amqps://")
	}
	return nil
}

func (a address) external() bool { return slices.Contains(a.mechanisms, "EXTERNAL") }

func (a address) HostPort() string { return net.JoinHostPort(a.host, a.port) }

// sasl returns the ways to log in. Each dial needs new ones, because the library blanks the passwords.
func (a address) sasl() (list []amqp.Authentication) {
	for _, m := range a.mechanisms {
		switch m {
		case "PLAIN":
			list = append(list, &amqp.PlainAuth{Username: a.User, Password: a.Password})
		case "AMQPLAIN":
			list = append(list, &amqp.AMQPlainAuth{Username: a.User, Password: a.Password})
		case "EXTERNAL":
			list = append(list, &amqp.ExternalAuth{})
		}
	}
	return list
}

// tlsConfig returns the TLS configuration. It reads the files at each dial, so renewed certificates take effect.
func (a address) tlsConfig() (*tls.Config, error) {
	c, err := tlsconf.Config(a.caFile, a.certFile, a.keyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	c.ServerName = cmp.Or(a.serverName, a.host)
	return c, nil
}
