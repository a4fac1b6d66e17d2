package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// tlsFiles fills in the files that the options do not name, as the docker CLI does. It takes them
// from DOCKER_CERT_PATH, else from the folder of docker's configuration. It leaves out files that
// do not exist.
func (s *settings) tlsFiles(getenv func(string) string) {
	if s.dockerHost.IsUnix() {
		return // as the docker CLI: no TLS over a socket
	}
	if !s.tlsVerify && !s.dockerHost.TLS() && s.tlsCA == "" && s.tlsCert == "" && s.tlsKey == "" {
		return
	}
	folder, from := getenv("DOCKER_CERT_PATH"), "DOCKER_CERT_PATH"
	if folder == "" {
		folder, from = getenv("DOCKER_CONFIG"), "DOCKER_CONFIG"
	}
	if folder == "" {
		folder, from = filepath.Join(getenv("HOME"), ".docker"), "default"
	}
	if !s.tlsVerify {
		s.tlsVerify = true
		s.options.SetFrom("tlsverify", "https:// or a file for TLS")
	}
	for _, f := range []struct {
		file         *string
		name, option string
	}{{&s.tlsCA, "ca.pem", "tlscacert"}, {&s.tlsCert, "cert.pem", "tlscert"}, {&s.tlsKey, "key.pem", "tlskey"}} {
		if *f.file != "" {
			continue
		}
		path := filepath.Join(folder, f.name)
		if _, err := os.Stat(path); err == nil {
			*f.file = path
			s.options.SetFrom(f.option, from)
		}
	}
}

// client returns a client of the engine. observe may be nil.
func (s *settings) client(observe func(route string, status int, took time.Duration)) (*dockerapi.Client, error) {
	o := dockerapi.Options{APIVersion: s.apiVersion, MaxText: s.maxMessage, Observe: observe}
	host := s.dockerHost
	if s.tlsVerify && !host.IsUnix() {
		conf, err := tlsconf.Config(s.tlsCA, s.tlsCert, s.tlsKey)
		if err != nil {
			return nil, ui.UsageError(err.Error(), "--tlscacert, --tlscert and --tlskey name PEM files; DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem")
		}
		o.TLS, host = conf, host.WithTLS()
	}
	c, err := dockerapi.New(host, o)
	if err != nil {
		return nil, ui.UsageError(err.Error(), "docker-dispatch -h explains the addresses")
	}
	return c, nil
}

// checkEngine asks the engine once, and returns an error only if waiting cannot fix it. An engine that does not
// answer is no error: the pool waits for it.
func (d *daemon) checkEngine(ctx context.Context) error {
	if why := d.exposed(); why != "" {
		d.log.Warn(why, "engine", d.dockerHost)
	}
	if why := d.secretsOnDisk(); why != "" {
		d.log.Warn(why, "secrets", d.secrets)
	}
	_, err := d.client.Ping(ctx)
	if err != nil && ui.Permanent(err) {
		return err
	}
	return nil
}
